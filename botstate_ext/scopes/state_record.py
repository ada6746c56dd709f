"""StateRecord: holds a property, its name and its times."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class StateRecord:
    """Holds one property of a document.

    - ``scope``: the name of its scope.
    - ``id``: the argument of ``.at`` for its document: the user's id in the user and private
      scopes, the conversation's id in the conversation scope. None if only the hash of a very long
      id is known.
    - ``payload``: the live value, as the property's ``get`` returns it. Not shown in the repr.
    - ``created``, ``updated``, ``expires``: aware UTC, as stored. None for a property that is not
      saved yet, or that the SDK wrote.
    """

    scope: str
    id: str | None
    name: str
    payload: Any = field(repr=False)
    created: datetime | None
    updated: datetime | None
    expires: datetime | None
