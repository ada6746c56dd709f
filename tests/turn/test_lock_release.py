"""Locks, claims and held replies that end in another task than they began in, or that raise as they
are let go: nothing stays held, and the turn ends as it has ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from botstate_ext import BlobLeaseLock, InProcessTurnLock, StateConflictError, TurnLock
from botstate_ext.storage import BlobStorage, MemoryStorage
from botstate_ext.turn.deduplication import Deliveries
from botstate_ext.turn.held_replies import HeldReplies
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context, message


class FailsToRelease(TurnLock):
    """A user's own lock: it raises when its block ends, or swallows what the block raised."""

    def __init__(self, *, is_held: bool = True, swallows: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._is_held, self._swallows = is_held, swallows

    @asynccontextmanager
    async def hold(self, key: str, wait: timedelta) -> AsyncIterator[bool]:
        try:
            yield self._is_held
        except RuntimeError:
            if self._swallows:
                return
            raise
        raise ConnectionError("the server of the lock is gone")


@pytest.fixture
def states() -> StateScopes:
    return StateScopes(MemoryStorage())


async def test_a_lock_that_fails_to_release_does_not_fail_a_turn_that_is_saved(
    states: StateScopes, caplog: pytest.LogCaptureFixture
) -> None:
    name = states.user.create_property("name")
    bot = Bot(StateMiddleware(states, serialize_turns=FailsToRelease(), replies="after_save"))

    async def logic(turn: TurnContext) -> None:
        await name.set(turn, "Ann")
        await turn.send_activity("hello")

    await bot.turn(logic)
    assert await name.get(context()) == "Ann"
    assert [activity.text for activity in bot.adapter.activity_buffer] == ["hello"]
    failed = [r for r in caplog.records if "failed to release" in r.getMessage()]
    assert [record.levelno for record in failed] == [logging.ERROR]


async def test_a_lock_cannot_suppress_the_error_of_a_turn(states: StateScopes) -> None:
    bot = Bot(StateMiddleware(states, serialize_turns=FailsToRelease(swallows=True)))

    async def logic(turn: TurnContext) -> None:
        raise RuntimeError("the bot's own")

    with pytest.raises(RuntimeError, match="the bot's own"):
        await bot.turn(logic)


async def test_a_turn_that_waited_in_vain_says_so_whatever_its_lock_raises(
    states: StateScopes,
) -> None:
    lock = FailsToRelease(is_held=False, on_timeout="raise")

    async def logic(turn: TurnContext) -> None:
        raise AssertionError("it does not run")

    with pytest.raises(StateConflictError, match="waited 10 s"):
        await Bot(StateMiddleware(states, serialize_turns=lock)).turn(logic)


async def enter_and_leave_in_two_tasks(block: AbstractAsyncContextManager[Any]) -> None:
    await asyncio.ensure_future(block.__aenter__())
    await asyncio.ensure_future(block.__aexit__(None, None, None))


async def test_a_turn_of_a_lock_may_be_left_by_another_task(states: StateScopes) -> None:
    lock = InProcessTurnLock()
    await enter_and_leave_in_two_tasks(lock.turn(context()))
    assert repr(lock) == "<InProcessTurnLock, 0 held>"


async def test_left_by_a_task_that_is_in_a_turn_of_its_own() -> None:
    """What the leaving task is inside of stays as it is: another turn of that key still nests."""
    lock = InProcessTurnLock()
    foreign = lock.turn(context(message(conversation="foreign")))
    await asyncio.ensure_future(foreign.__aenter__())
    async with lock.turn(context()):
        await foreign.__aexit__(None, None, None)
        async with lock.turn(context()):  # inside: it does not wait for the turn around it
            assert repr(lock) == "<InProcessTurnLock, 1 held>"
    assert repr(lock) == "<InProcessTurnLock, 0 held>"


@pytest.mark.blob
async def test_a_turn_of_a_lease_may_be_left_by_another_task(
    azurite: str, container_name: str
) -> None:
    before = asyncio.all_tasks()
    async with BlobStorage(connection_string=azurite, container_name=container_name) as storage:
        lock = BlobLeaseLock(storage)
        await enter_and_leave_in_two_tasks(lock.turn(context()))
        assert repr(lock) == "<BlobLeaseLock, 0 held or wanted here>"
    assert asyncio.all_tasks() <= before


@pytest.mark.blob
async def test_a_lease_whose_release_breaks_is_free_for_the_next_turn_here(
    azurite: str, container_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with BlobStorage(connection_string=azurite, container_name=container_name) as storage:
        lock = BlobLeaseLock(storage)
        release = lock._leases.release

        async def released_and_breaks(key: str, lease_id: str) -> bool:
            await release(key, lease_id)
            raise RuntimeError("a bug of the driver")

        lock._leases.release = released_and_breaks  # type: ignore[method-assign]
        for _ in range(2):
            async with lock.turn(context()):
                assert repr(lock) == "<BlobLeaseLock, 1 held or wanted here>"
        assert repr(lock) == "<BlobLeaseLock, 0 held or wanted here>"
    assert caplog.text.count("failed to release") == 2


@pytest.mark.blob
async def test_a_renewal_that_breaks_is_logged_and_tried_again(
    azurite: str, container_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    tried: asyncio.Queue[None] = asyncio.Queue()

    async def breaks(key: str, lease_id: str) -> bool:
        tried.put_nowait(None)
        raise RuntimeError("a bug of the driver")

    async def no_sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    async with BlobStorage(connection_string=azurite, container_name=container_name) as storage:
        lock = BlobLeaseLock(storage, sleep=no_sleep)
        lock._leases.renew = breaks  # type: ignore[method-assign]
        async with lock.turn(context()):
            await tried.get()
            for _ in range(20):
                await asyncio.sleep(0)
            assert not tried.empty(), "it is tried again"
    assert "was not renewed" in caplog.text


async def test_a_delivery_may_be_left_by_another_task(states: StateScopes) -> None:
    deliveries = Deliveries(states.conversation, timedelta(minutes=1))
    await enter_and_leave_in_two_tasks(deliveries.delivery(context()))
    assert len(deliveries._queue) == 0


async def test_held_replies_may_be_left_by_another_task() -> None:
    turn = context()
    replies = HeldReplies(StateScopes(MemoryStorage())._workspace.host, turn)
    await asyncio.ensure_future(replies.__aenter__())
    await turn.send_activity("held")
    replies.release_on_exit()
    await asyncio.ensure_future(replies.__aexit__(None, None, None))
    assert [activity.text for activity in turn.adapter.activity_buffer] == ["held"]
