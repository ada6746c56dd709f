"""InFlight: the operations that are on their way to a storage, and end before it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

_ABORT_SECONDS = 1.0
"""How long operations that were cut off may take to end."""


class Closed(Exception):
    """The storage was closed while an operation waited."""


class InFlight:
    """Counts operations: ``with in_flight:`` runs one. `aclose` waits for them, and cuts off those
    that take too long.

    - ``is_closed``: True once operations are cut off.
    """

    def __init__(self) -> None:
        self._running = 0
        self._is_idle = asyncio.Event()
        self._waiting: set[asyncio.Future[bool]] = set()
        self.is_closed = False

    def __enter__(self) -> InFlight:
        self._running += 1
        self._is_idle.clear()
        return self

    def __exit__(self, *raised: object) -> None:
        self._running -= 1
        if not self._running:
            self._is_idle.set()

    async def aclose(self, seconds: float) -> None:
        """Wait for the operations, at most so many seconds; cut off the others."""
        try:
            await self._idle_within(seconds)
        finally:
            if self._running and not self.is_closed:
                self.is_closed = True
                for future in self._waiting:
                    end_wait(future, False)
                await self._idle_within(max(seconds, _ABORT_SECONDS))

    async def _idle_within(self, seconds: float) -> None:
        if self._running:
            waiting = asyncio.ensure_future(self._is_idle.wait())
            try:
                await asyncio.wait((waiting,), timeout=seconds)
            finally:
                waiting.cancel()

    async def until(self, future: asyncio.Future[bool]) -> bool:
        """Wait for a future, and return its result; False if the operation must end."""
        if self.is_closed:
            return False
        self._waiting.add(future)
        try:
            return await future
        finally:
            self._waiting.discard(future)

    async def wait_within(self, awaitable: Awaitable[T], seconds: float | None) -> T:
        """Await for so many seconds, or until the operation must end.

        Before Python 3.12 ``asyncio.wait_for`` loses a cancellation that comes just when what it
        waits for has ended. ``asyncio.wait`` does not, and takes twice as long as this.

        :raises asyncio.TimeoutError: it took longer; it was cancelled, and has ended.
        :raises Closed: the storage was closed; it was cancelled, and has ended.
        """
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(awaitable)
        over: asyncio.Future[bool] = loop.create_future()
        task.add_done_callback(lambda _: end_wait(over, True))
        timer = None if seconds is None else loop.call_later(seconds, end_wait, over, False)
        try:
            await self.until(over)
        finally:
            if timer is not None:
                timer.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
            if not task.cancelled():
                task.exception()  # so that it counts as retrieved, if this call is cancelled
        if not task.cancelled():
            return task.result()
        raise Closed if self.is_closed else asyncio.TimeoutError


def end_wait(future: asyncio.Future[bool], result: bool) -> None:
    """Set the result of a future, unless it is done: it may have been cancelled."""
    if not future.done():
        future.set_result(result)
