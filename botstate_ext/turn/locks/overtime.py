"""Overtime: turns that have waited for their lock too long go on one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

from .key_queue import KeyQueue


class Overtime:
    """Lets the turns of a key whose wait is over begin one by one, in order of arrival.

    The next one begins when the one before it has ended, or has run for the seconds that it gave:
    a turn that hangs holds nobody up for longer. ``held`` has the keys of which such a turn runs.
    """

    def __init__(self) -> None:
        self._queue = KeyQueue()
        self.held = self._queue.held

    async def begin(self, key: Hashable, seconds: float) -> Callable[[], None]:
        """Wait until it is this turn's time. Return the function to call at its end."""
        await self._queue.take(key)
        running = [key]

        def pass_on() -> None:
            while running:
                self._queue.pass_on(running.pop())

        timer = asyncio.get_running_loop().call_later(seconds, pass_on)

        def end() -> None:
            timer.cancel()
            pass_on()

        return end
