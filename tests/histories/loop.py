"""An event loop whose time is simulated: what waits costs nothing, and a run repeats exactly."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SimulatedLoop(asyncio.BaseEventLoop):
    """Does no I/O. Where a real loop waits for its next timer, this one sets its clock to it."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """What the base class waits with."""
        if timeout is None:
            raise RuntimeError("Deadlock: every task waits, and nothing is left to happen.")
        self._now += timeout
        return []

    def _process_events(self, events: list[Any]) -> None:
        assert not events


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run this in a loop of its own, in no time."""
    loop = SimulatedLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
