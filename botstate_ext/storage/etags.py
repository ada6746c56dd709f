"""ETags that this process makes, and the condition of a write. Pure but for the counter."""

from __future__ import annotations

import itertools
from typing import Final

from ..errors import StateConflictError

ANY: Final = "*"
"""The ETag that matches whatever is stored: an unconditional write or delete."""

_numbers: Final = itertools.count(1)


def new_etag() -> str:
    """An ETag that this process has never used."""
    return f"0x{next(_numbers):016X}"


def check_condition(key: str, expected: str | None, stored: str | None) -> None:
    """Whether an item whose ETag is ``stored`` (None: there is none) may be written.

    ``expected`` None asks for absence, ``ANY`` for nothing.

    :raises StateConflictError: it may not.
    """
    if expected in (ANY, stored):
        return
    raise conflict(key, expected)


def conflict(key: str, expected: str | None) -> StateConflictError:
    """The error of a write that came second."""
    if expected is None:
        return StateConflictError("it exists already", key=key)
    return StateConflictError("it was changed or deleted since it was read", key=key)
