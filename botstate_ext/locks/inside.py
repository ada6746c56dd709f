"""Inside: what the running code is a part of, also across tasks and nested turns."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(eq=False, slots=True)
class _Part:
    owner: object
    key: Hashable
    is_running: bool = True


_parts: Final[ContextVar[tuple[_Part, ...]]] = ContextVar("botstate_ext.inside", default=())


@contextmanager
def inside(owner: object, key: Hashable) -> Iterator[None]:
    """What runs in this block, and every task that it starts, is inside of this key."""
    part = _Part(owner, key)
    token = _parts.set((*_running(), part))
    try:
        yield
    finally:
        # A task that outlives the block keeps its copy of the context, but is inside no more.
        part.is_running = False
        _parts.reset(token)


def is_inside(owner: object, key: Hashable) -> bool:
    """True in a block of this owner and key that is still running."""
    return any(part.owner is owner and part.key == key for part in _running())


def _running() -> list[_Part]:
    return [part for part in _parts.get() if part.is_running]
