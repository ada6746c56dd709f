"""Slots: how many requests run at once, and the queue of those that wait."""

from __future__ import annotations

import asyncio
from collections import deque

from .breaker import CircuitBreaker
from .in_flight import Closed
from .retry import Retries


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


async def take_while_answered(
    slots: Slots,
    breaker: CircuitBreaker,
    retries: Retries,
    closed: asyncio.Future[None],
) -> float:
    """Wait for a slot, for as long as the storage answers others. Return the deadline of what
    holds it, by the clock of ``retries``.

    In a queue that moves, an operation has all its time when its turn comes: failing it would only
    have it sent again. Of many that wait for a dead storage, the last fails in time.

    :raises asyncio.TimeoutError: the storage answered nobody for a whole deadline.
    :raises Closed: the storage was closed.
    """
    end = retries.clock() + retries.seconds
    place = slots.take()
    try:
        while not place.done():
            left = end - retries.clock()
            await asyncio.wait((place, closed), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            end = max(end, breaker.answered_at + retries.seconds)
            if closed.done():
                raise Closed
            if end <= retries.clock():
                raise asyncio.TimeoutError
    except BaseException:
        if not place.cancel():
            slots.release()
        raise
    return end
