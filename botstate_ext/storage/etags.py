"""ETags made in this process, and the condition of a write. Pure except for a counter."""

from __future__ import annotations

import itertools
from typing import Final

from ..errors import StateConflictError

ANY: Final = "*"
"""The ETag that matches whatever is stored: an unconditional write or delete."""

_numbers: Final = itertools.count(1)


def new_etag() -> str:
    """Return an ETag that this process has not used before."""
    return f"0x{next(_numbers):016X}"


def check_condition(key: str, expected: str | None, stored: str | None) -> None:
    """Check the condition of a write. ``stored`` is the item's ETag, or None if there is no item.

    ``expected`` None demands that there is none, ``ANY`` demands nothing.

    :raises StateConflictError: the condition does not hold.
    """
    if expected in (ANY, stored):
        return
    raise conflict(key, expected)


def conflict(key: str, expected: str | None, *, maybe_written: bool = False) -> StateConflictError:
    """Return the error of a write when its condition did not hold.

    ``maybe_written``: an earlier attempt of this write may have been made.
    """
    reason = "it was changed or deleted since it was read"
    if expected is None:
        reason = "it exists already"
    return StateConflictError(reason, key=key, maybe_written=maybe_written)
