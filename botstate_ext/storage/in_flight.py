"""InFlight: the operations that are on their way to a storage, and end before it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_ABORT_SECONDS = 1.0
"""How long operations that were cut off may take to end."""


class Closed(Exception):
    """The storage was closed while an operation waited."""


class InFlight:
    """Counts operations. `aclose` waits for them, and cuts off those that take too long."""

    def __init__(self) -> None:
        self._running = 0
        self._is_idle = asyncio.Event()
        self._closed: asyncio.Future[None] | None = None

    @contextmanager
    def one(self) -> Iterator[asyncio.Future[None]]:
        """Count an operation for a block, which is given a future that is done when it must end."""
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_future()
        self._running += 1
        self._is_idle.clear()
        try:
            yield self._closed
        finally:
            self._running -= 1
            if not self._running:
                self._is_idle.set()

    async def aclose(self, seconds: float) -> None:
        """Wait for the operations, at most so many seconds; cut off the others."""
        try:
            await self._idle_within(seconds)
        finally:
            if self._running and self._closed is not None and not self._closed.done():
                self._closed.set_result(None)
                await self._idle_within(max(seconds, _ABORT_SECONDS))

    async def _idle_within(self, seconds: float) -> None:
        if self._running:
            waiting = asyncio.ensure_future(self._is_idle.wait())
            try:
                await asyncio.wait((waiting,), timeout=seconds)
            finally:
                waiting.cancel()


async def wait_within(
    awaitable: Awaitable[T], seconds: float | None, closed: asyncio.Future[None]
) -> T:
    """Await for so many seconds, or until ``closed`` is done.

    Before Python 3.12 ``asyncio.wait_for`` loses a cancellation that comes just when what it waits
    for has ended.

    :raises asyncio.TimeoutError: it took longer; it was cancelled, and has ended.
    :raises Closed: the storage was closed; it was cancelled, and has ended.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait((task, closed), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()  # so that it counts as retrieved, if this call is cancelled
    if not task.cancelled():
        return task.result()
    raise Closed if closed.done() else asyncio.TimeoutError
