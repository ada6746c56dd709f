"""Round trips of a turn that touches four scopes, on a storage that is 20 ms away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import botbuilder.core as sdk
from botbuilder.core import AutoSaveStateMiddleware, MemoryStorage, TurnContext
from botbuilder.core.adapters import TestAdapter

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext import storage as storages
from botstate_ext.testing import CountingStorage

from . import report, turns

LATENCY = timedelta(milliseconds=20)
TURNS = 10


class DistantMemory(MemoryStorage):
    """Upstream's memory storage as if it were 20 ms away."""

    operations = 0

    async def read(self, keys: Any) -> Any:
        await self._travel()
        return await super().read(keys)

    async def write(self, changes: Any) -> None:
        await self._travel()
        await super().write(changes)

    async def _travel(self) -> None:
        self.operations += 1
        await asyncio.sleep(LATENCY.total_seconds())


class BotData(sdk.BotState):
    """Upstream has three scopes; the fourth is written as its documentation shows."""

    def __init__(self, storage: MemoryStorage) -> None:
        super().__init__(storage, "BotData")

    def get_storage_key(self, turn_context: TurnContext) -> str:
        return "bot"


def counter(scopes: list[Any]) -> Callable[[TurnContext], Awaitable[None]]:
    properties = [scope.create_property("n") for scope in scopes]

    async def logic(turn: TurnContext) -> None:
        for one in properties:
            await one.set(turn, (await one.get(turn) or 0) + 1)

    return logic


async def timed(middleware: Any, logic: turns.Logic) -> float:
    adapter = TestAdapter()
    adapter.use(middleware)
    started = time.perf_counter()
    for _ in range(TURNS):
        await adapter.run_pipeline(TurnContext(adapter, turns.activity()), logic)
    return (time.perf_counter() - started) / TURNS


async def compare() -> list[list[str]]:
    distant = DistantMemory()
    theirs: list[Any] = [
        kind(distant)
        for kind in (sdk.UserState, sdk.ConversationState, sdk.PrivateConversationState, BotData)
    ]
    upstream = await timed(AutoSaveStateMiddleware(theirs), counter(theirs))

    counting = CountingStorage(storages.MemoryStorage(), latency=LATENCY)
    states = StateScopes(counting)
    mine = [states.user, states.conversation, states.private, states.bot]
    ours = await timed(StateMiddleware(states), counter(mine))
    return [
        ["upstream", f"{distant.operations / TURNS:.0f}", f"{upstream * 1e3:.0f} ms"],
        ["botstate_ext", f"{counting.round_trips / TURNS:.0f}", f"{ours * 1e3:.0f} ms"],
    ]


def main() -> None:
    rows = asyncio.run(compare())
    title = "A turn that changes four scopes, 20 ms from its storage"
    print(report.table(title, ("", "round trips", "time"), rows))
