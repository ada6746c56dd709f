"""Slots: how many requests run at once, and the queue of those that wait."""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    """A semaphore whose waiters are futures, so that a wait may end at a deadline.

    ``asyncio.wait_for(semaphore.acquire())`` can lose a slot, before Python 3.12, that is given at
    the moment of a time-out or a cancellation.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> asyncio.Future[None]:
        """Return a future that is done when a slot is held. To give up, cancel it and, if it was
        done already, `release`."""
        place = asyncio.get_running_loop().create_future()
        if self._free:
            self._free -= 1
            place.set_result(None)
        else:
            self._waiting.append(place)
        return place

    def release(self) -> None:
        """Give a slot to the next waiter, or back."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():  # cancelled ones are done
                place.set_result(None)
                return
        self._free += 1
