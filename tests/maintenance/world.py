"""A bot whose clock moves when it is told to."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from botstate_ext.storage import MemoryStorage, StateStorage
from botstate_ext.testing import CountingStorage, FaultyStorage, ManualClock
from tests.turns import Bot, StateMiddleware, StateScopes

START = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
KEY = "test/conversations/conv"


class World:
    """A bot on memory or another storage, with a clock in hand."""

    def __init__(self, storage: StateStorage | None = None, **options: Any) -> None:
        self.clock = ManualClock(START)
        self.memory = storage or MemoryStorage(clock=self.clock)
        self.faults = FaultyStorage(self.memory)
        self.storage = CountingStorage(self.faults)
        self.states = StateScopes(self.storage, clock=self.clock, **options)
        self.bot = Bot(StateMiddleware(self.states))

    async def write(self, prop: Any, value: Any, **options: Any) -> None:
        await self.bot.turn(lambda turn: prop.set(turn, value, **options))

    async def read(self, prop: Any) -> Any:
        """What a turn finds, saving what there is to save at its end."""
        found: list[Any] = []

        async def logic(turn: Any) -> None:
            found.append(await prop.get(turn))

        await self.bot.turn(logic)
        return found[0]

    async def body(self, key: str = KEY) -> dict[str, Any] | None:
        item = await self.memory.get(key)
        return None if item is None else json.loads(item.data)

    async def expires(self, name: str) -> datetime:
        body = await self.body()
        assert body is not None
        return datetime.fromisoformat(
            body["$state"]["props"][name]["expires"].replace("Z", "+00:00")
        )
