"""ExpiredState: the argument of an expiry handler."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botbuilder.schema import ConversationReference


@dataclass(frozen=True, slots=True)
class ExpiredState:
    """Describes a property that has expired.

    - ``scope``, ``key``, ``name``: where it was. ``value``: its last value, as the property's type.
    - ``created``, ``updated``, ``expired``: aware UTC; when it first got a value, when it last got
      one, and when it ended, which may be long before the handler is called.
    - ``reference``: the conversation of the last turn that wrote it, for
      ``adapter.continue_conversation``; None unless the property has ``keep_reference``.
    - ``id``: the same each time that a handler is called for this expiry, and for no other.
    - ``attempt``: 1, and more when it is called again.
    """

    scope: str
    key: str
    name: str
    value: Any = field(repr=False)
    created: datetime | None
    updated: datetime | None
    expired: datetime
    reference: ConversationReference | None = field(repr=False)
    id: str
    attempt: int
