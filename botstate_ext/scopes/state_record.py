"""StateRecord: a property by its name alone, with its times."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class StateRecord:
    """A state by its name.

    - ``scope``: the name of its scope. ``id``: whose it is: what ``.at`` takes, the user's id in
      the user and private scopes, the conversation's in the conversation scope; None where only
      the hash of a very long one is known.
    - ``payload``: the live value, as the property's ``get`` gives it. Not shown.
    - ``created``, ``updated``, ``expires``: aware UTC, as stored; None for what is not saved yet,
      and for what upstream wrote.
    """

    scope: str
    id: str | None
    name: str
    payload: Any = field(repr=False)
    created: datetime | None
    updated: datetime | None
    expires: datetime | None
