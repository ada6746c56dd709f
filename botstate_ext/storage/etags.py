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


def conflict(key: str, expected: str | None, *, maybe_written: bool = False) -> StateConflictError:
    """Return the error of a write whose condition did not hold.

    ``maybe_written``: an earlier attempt of this write may have been made.
    """
    reason = "it was changed or deleted since it was read"
    if expected is None:
        reason = "it exists already"
    return StateConflictError(reason, key=key, maybe_written=maybe_written)
