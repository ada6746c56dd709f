"""How long to wait between attempts, and how long in all."""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from .waiting import BackOff


@dataclass(frozen=True)
class Retries:
    """Exponential back-off with full jitter, until a deadline.

    The first wait is at most a quarter of a second, the longest 8. ``deadline`` is for all attempts
    of one operation together; one attempt alone gets a third of it, so that a connection that hangs
    leaves time for another.
    """

    deadline: timedelta = timedelta(seconds=30)
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    random: Callable[[], float] = _random.random

    def __post_init__(self) -> None:
        if self.deadline <= timedelta(0):
            raise ValueError("deadline must be longer than zero.")

    @property
    def seconds(self) -> float:
        """The deadline, in seconds."""
        return self.deadline.total_seconds()

    @property
    def seconds_an_attempt(self) -> float:
        """The time of one attempt, in seconds."""
        return self.seconds / 3

    def waits(self) -> Iterator[float]:
        """The waits after each failed attempt, in seconds, without end."""
        return BackOff(first=0.25, longest=8.0, random=self.random).waits()
