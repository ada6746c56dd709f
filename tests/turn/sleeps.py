"""Sleeps that a test ends."""

from __future__ import annotations

import asyncio


class Sleeps:
    """Instead of sleeping: notes for how long, and goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.asleep, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.asleep.set()
        await self.go_on.wait()
        self.go_on.clear()

    async def wake(self) -> None:
        """Let it go on, when it is asleep."""
        await self.asleep.wait()
        self.asleep.clear()
        self.go_on.set()

    async def is_late(self, place: asyncio.Future[None], seconds: float | None) -> None:
        """A time-out that comes when the lock was refused for the first time."""
        asleep = asyncio.ensure_future(self.asleep.wait())
        await asyncio.wait((place, asleep), return_when=asyncio.FIRST_COMPLETED)
        asleep.cancel()
