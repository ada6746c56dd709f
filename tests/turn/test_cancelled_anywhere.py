"""A turn that is cancelled at any of its awaits, in each mode and on each storage: its state is
stored whole or not at all, nothing is left behind, and the next turn works."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from botstate_ext import InProcessTurnLock
from botstate_ext.storage import StateStorage
from botstate_ext.storage.wrapper import Operation, StorageWrapper, T
from tests.backends import OWN, make_own
from tests.cancellation import CancelledAt
from tests.patience import LIMIT
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context

MODES: dict[str, dict[str, Any]] = {
    "merge": {},
    "raise": {"on_conflict": "raise"},
    "last_writer_wins": {"on_conflict": "last_writer_wins"},
    "replay": {"on_conflict": "replay"},
    "held replies": {"replies": "after_save"},
}


class Yielding(StorageWrapper):
    """Lets others run before and after each operation, as a storage behind a network does."""

    async def _run(
        self, operation: Operation, key: str | None, run: Callable[[], Awaitable[T]]
    ) -> T:
        await asyncio.sleep(0)
        result = await run()
        await asyncio.sleep(0)
        return result


@pytest.fixture(params=OWN)
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StateStorage]:
    made = make_own(request.param, request, tmp_path)
    if request.param == "memory":
        made = Yielding(made)
    yield made
    await made.aclose()


class Turns:
    """A bot whose turns write one number to two properties of the conversation and one of the user,
    and say it twice."""

    def __init__(self, storage: StateStorage, options: dict[str, Any]) -> None:
        self.storage, self.states = storage, StateScopes(storage)
        self.lock = InProcessTurnLock()
        middleware = StateMiddleware(self.states, serialize_turns=self.lock, **options)
        self.bot = Bot(middleware)
        self.one = self.states.conversation.create_property("one")
        self.two = self.states.conversation.create_property("two")
        self.user = self.states.user.create_property("number")

    async def turn(self, number: int) -> None:
        async def logic(turn: TurnContext) -> None:
            await self.one.set(turn, number)
            await turn.send_activity(f"one {number}")
            await asyncio.sleep(0)
            await self.two.set(turn, number)
            await self.user.set(turn, number)
            await turn.send_activity(f"two {number}")

        await self.bot.turn(logic)

    async def stored(self) -> tuple[Any, Any, Any]:
        """Return what a process reads that starts now."""
        turn = context()
        one, two, user = [await each.get(turn) for each in (self.one, self.two, self.user)]
        return one, two, user

    async def arrived(self) -> None:
        """Wait for the writes that a cancelled turn had sent: this one is made after them."""
        await self.storage.put_if(f"test/{uuid.uuid4().hex}", b"{}", etag=None)

    def heard(self) -> list[str]:
        heard = [activity.text for activity in self.bot.adapter.activity_buffer]
        self.bot.adapter.activity_buffer.clear()
        return heard


@pytest.mark.parametrize("mode", MODES)
async def test_a_turn_cancelled_at_each_await(storage: StateStorage, mode: str) -> None:
    turns = Turns(storage, MODES[mode])
    await turns.turn(0)
    turns.heard()
    tasks, number, at, cancelled = asyncio.all_tasks(), 0, 0, 0
    while True:
        at, number, before = at + 1, number + 1, number
        steps = CancelledAt(turns.turn(number), at)
        task = await steps.ended()
        cancelled += task.cancelled()
        await no_new_task_is_left(tasks | {task})
        await turns.arrived()
        assert repr(turns.lock) == "<InProcessTurnLock, 0 held>"
        one, two, user = await turns.stored()
        assert one == two, f"half of a document is stored, cancelled at await {at}"
        assert {one, user} <= {before, number}
        if turns.heard() and mode in ("held replies", "replay"):
            assert (one, user) == (number, number), "said, and not stored"
        if steps.awaits < at:
            break
        number += 1
        await turns.turn(number)
        assert await turns.stored() == (number, number, number)
        turns.heard()
    assert not task.cancelled()
    assert cancelled > 1, "no await was met"


async def no_new_task_is_left(before: set[asyncio.Task[Any]]) -> None:
    """Wait until what a cancelled turn had begun has ended."""
    left = asyncio.all_tasks() - before
    if left:
        _, pending = await asyncio.wait(left, timeout=LIMIT.total_seconds())
        assert not pending
