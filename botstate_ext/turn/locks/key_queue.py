"""KeyQueue: one at a time for each key, first come first served, in one process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeAlias

WaitFor: TypeAlias = Callable[["asyncio.Future[None]", "float | None"], Awaitable[object]]
"""Returns when the future is done, or when so many seconds have gone by (None: never)."""


async def wait_for(holds: asyncio.Future[None], seconds: float | None) -> None:
    """Wait until the future is done, at most so long. Not ``asyncio.wait_for``: before Python 3.12
    that loses a key which is given in the very moment of a time-out or a cancellation."""
    await asyncio.wait((holds,), timeout=seconds)


class KeyQueue:
    """A lock for each key, in order of arrival. A key that nobody holds takes no memory.

    ``held``: who waits for each key that is held.
    """

    def __init__(self, wait_for: WaitFor = wait_for) -> None:
        self._wait_for = wait_for
        self.held: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        """Return the number of keys that are held."""
        return len(self.held)

    async def take(self, key: Hashable, seconds: float | None = None) -> bool:
        """Wait for this key, and hold it until `pass_on`. False if it was not free within so many
        seconds (None: wait without end): then it is not held."""
        queue = self.held.get(key)
        if queue is None:
            self.held[key] = deque()
            return True
        holds = asyncio.get_running_loop().create_future()
        queue.append(holds)
        try:
            await self._wait_for(holds, seconds)
        except BaseException:
            if holds.done():
                self.pass_on(key)  # given to one who was cancelled before it knew
            else:
                queue.remove(holds)
            raise
        if not holds.done():
            queue.remove(holds)
            return False
        return True

    def pass_on(self, key: Hashable) -> None:
        """Release this key to the next in its queue."""
        queue = self.held[key]
        if queue:
            queue.popleft().set_result(None)
        else:
            del self.held[key]
