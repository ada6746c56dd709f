"""Inside: what the running code is a part of, also across tasks and nested turns."""

from __future__ import annotations

from collections.abc import Hashable
from contextvars import ContextVar
from typing import Final

from msgspec import Struct


class _Part(Struct, eq=False):
    owner: object
    key: Hashable
    is_running: bool = True


_parts: Final[ContextVar[tuple[_Part, ...]]] = ContextVar("botstate_ext.inside", default=())


class inside:  # noqa: N801  # it reads as the block that it opens
    """Marks a block, and the tasks that it starts, as a part of the turn that holds ``key``.

    A class and no generator, for it is in the path of every turn.
    """

    __slots__ = ("_around", "_part")

    def __init__(self, owner: object, key: Hashable) -> None:
        self._part = _Part(owner, key)

    def __enter__(self) -> None:
        self._around = around = _parts.get()
        running = [part for part in around if part.is_running] if around else ()
        _parts.set((*running, self._part))

    def __exit__(self, *error: object) -> None:
        # A task that outlives the block keeps its copy of the context, but is inside no more.
        self._part.is_running = False
        if _parts.get()[-1:] == (self._part,):  # not in another task than the one that entered
            _parts.set(self._around)


def leave_outer_turn() -> None:
    """Make this task no part of the turn that started it."""
    _parts.set(())


def is_inside(owner: object, key: Hashable) -> bool:
    """Return True in a block of this owner and key that is still running."""
    parts = _parts.get()
    if not parts:
        return False
    return any(part.is_running and part.owner is owner and part.key == key for part in parts)
