"""CircuitBreaker: after a storage failed, requests fail at once for a moment instead of waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CircuitBreaker:
    """Opens when an operation failed and the storage answered nobody while it ran.

    While it is open, operations are refused. After ``pause`` seconds one operation may try; the
    others wait for it, since a turn that reads several documents at once needs all of them. Any
    answer closes the breaker.

    ``clock`` returns seconds that never go back.
    """

    def __init__(self, pause: float, clock: Callable[[], float]) -> None:
        self._pause, self._clock = pause, clock
        self._open_until: float | None = None
        self._is_probed = asyncio.Event()
        self._is_probed.set()
        self._answers = 0

    @property
    def is_probing(self) -> bool:
        """Return True while one operation tries for all."""
        return not self._is_probed.is_set()

    async def probed(self) -> None:
        """Wait until the operation that tries for all has ended."""
        await self._is_probed.wait()

    @contextmanager
    def admit(self) -> Iterator[int | None]:
        """Let one operation run. The block is given a number for `failed`, or None if the operation
        is refused."""
        if self._open_until is None:
            yield self._answers
        elif self.is_probing or self._clock() < self._open_until:
            yield None
        else:
            self._is_probed.clear()
            try:
                yield self._answers
            finally:
                self._is_probed.set()

    def answered(self) -> None:
        """Close the breaker: the storage gave an answer, whatever it said."""
        self._answers += 1
        self._open_until = None

    def failed(self, admitted: int) -> bool:
        """Open the breaker, unless the storage gave an answer since `admit` gave this number.
        Return True if it is opened."""
        if admitted != self._answers:
            return False
        self._open_until = self._clock() + self._pause
        return True
