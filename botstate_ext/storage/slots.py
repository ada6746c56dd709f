"""Slots: how many requests run at once, and the queue of those that wait."""

from __future__ import annotations

import asyncio
from collections import deque

from .in_flight import InFlight, end_wait


class Slots:
    """A semaphore whose waiters can be refused.

    They wait for as long as the storage answers others. In a queue that moves, an operation has
    all its time when its turn comes: failing it would only have it sent again.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[bool]] = deque()

    async def take(self, in_flight: InFlight) -> bool:
        """Wait for a slot, and hold it until `release`. Return False if none is held: `refuse` was
        called, or the operations in flight must end."""
        if self._free:
            self._free -= 1
            return True
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            return await in_flight.until(place)
        except asyncio.CancelledError:
            if not place.cancelled() and place.result():
                self.release()  # given to one who was cancelled before it knew
            raise
        finally:
            place.cancel()  # of one who leaves, if it was not done

    def release(self) -> None:
        """Give a slot to the next waiter, or back."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():  # those that left are done
                place.set_result(True)
                return
        self._free += 1

    def refuse(self) -> None:
        """Give no slot to those that wait now: the storage answers nobody."""
        while self._waiting:
            end_wait(self._waiting.popleft(), False)
