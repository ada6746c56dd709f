"""CircuitBreaker: after a storage failed, requests fail at once for a moment instead of waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CircuitBreaker:
    """Opens when an operation failed and the storage answered nobody while it ran.

    While it is open, requests are refused. After ``pause`` seconds one operation may try; the
    others are refused until that one is answered. Any answer closes the breaker.

    ``clock`` returns seconds that never go back.
    """

    def __init__(self, pause: float, clock: Callable[[], float]) -> None:
        self._pause, self._clock = pause, clock
        self._open_until: float | None = None
        self._is_probing = False
        self._answers = 0

    @contextmanager
    def admit(self) -> Iterator[int | None]:
        """Let one operation run. The block is given a number for `failed`, or None if the operation
        is refused."""
        if self._open_until is None:
            yield self._answers
        elif self._is_probing or self._clock() < self._open_until:
            yield None
        else:
            self._is_probing = True
            try:
                yield self._answers
            finally:
                self._is_probing = False

    def answered(self) -> None:
        """Close the breaker: the storage gave an answer, whatever it said."""
        self._answers += 1
        self._open_until = None

    def failed(self, admitted: int) -> None:
        """Open the breaker, unless the storage gave an answer since `admit` gave this number."""
        if admitted == self._answers:
            self._open_until = self._clock() + self._pause
