"""Retries: the pauses between attempts, and the deadline of them all."""

from __future__ import annotations

import asyncio
import random as _random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from .waiting import BackOff


@dataclass(frozen=True)
class Retries:
    """Exponential back-off with full jitter, until a deadline.

    The first pause is at most a quarter of a second, the longest 2 seconds. ``deadline`` is for one
    operation with all its attempts. One attempt gets a part of it, a third by default, so that a
    connection that hangs leaves time for another attempt. ``clock`` returns seconds that never go
    back.
    """

    # A turn that fails, and its error handler, end within the 15 s after which Teams sends again;
    # and a lease lock, which waits 10 s, learns that the storage is down before it goes on without.
    deadline: timedelta = timedelta(seconds=8)
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    random: Callable[[], float] = _random.random
    clock: Callable[[], float] = time.monotonic
    parts: int = 3

    def __post_init__(self) -> None:
        if self.deadline <= timedelta(0):
            raise ValueError("deadline must be longer than zero.")

    @cached_property
    def seconds(self) -> float:
        """The deadline, in seconds."""
        return self.deadline.total_seconds()

    @cached_property
    def seconds_an_attempt(self) -> float:
        """The time of one attempt, in seconds."""
        return self.seconds / self.parts

    def pauses(self) -> Iterator[float]:
        """Yield the pause after each failed attempt, in seconds, without end."""
        return BackOff(first=0.25, longest=2.0, random=self.random).waits()
