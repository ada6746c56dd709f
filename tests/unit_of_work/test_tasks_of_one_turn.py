"""Tasks of one turn that work at once, and what is on its way while they do: nothing is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from botstate_ext import StateConflictError, StateStorageError
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import CountingStorage, FaultyStorage, ManualClock
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context


@dataclass
class Profile:
    name: str = ""


@pytest.fixture
def storage() -> FaultyStorage:
    return FaultyStorage(MemoryStorage())


@pytest.fixture
def states(storage: FaultyStorage) -> StateScopes:
    return StateScopes(storage)


async def stored(states: StateScopes, name: str) -> Any:
    return await states.user.create_property(name).get(context())


async def save_elsewhere(states: StateScopes, name: str, value: Any) -> None:
    other = context()
    await states.user.create_property(name).set(other, value)
    await states.user.save_changes(other)


async def test_a_second_load_does_not_undo_what_the_first_ones_task_changed(
    states: StateScopes, storage: FaultyStorage
) -> None:
    turn, count = context(), states.user.create_property("count")
    one, two = storage.hold("get"), storage.hold("get", at=2)
    first = asyncio.ensure_future(count.set(turn, 1))
    await one.reached()
    second = asyncio.ensure_future(states.user.load(turn))
    await two.reached()
    one.release()
    await first
    two.release()
    await second
    assert await count.get(turn) == 1


async def test_a_value_set_while_update_runs_is_not_dropped(states: StateScopes) -> None:
    turn, count = context(), states.user.create_property("count")

    async def slowly(value: int) -> int:
        await count.set(turn, 100)
        return value + 1

    assert await count.update(turn, slowly, default=0) == 1
    assert await count.get(turn) == 100
    with pytest.raises(StateConflictError):
        await states.user.save_changes(turn)
    assert await stored(states, "count") == 1


async def test_updates_answered_in_another_order_leave_the_newest_value(
    states: StateScopes, storage: FaultyStorage
) -> None:
    turn = context()
    one, two = states.user.create_property("one"), states.user.create_property("two")
    await states.user.load(turn)
    late = _LateAnswer(storage)

    first = asyncio.ensure_future(one.update(turn, lambda n: n + 1, default=0))
    await late.written.wait()
    second = asyncio.ensure_future(two.update(turn, lambda n: n + 1, default=0))
    for _ in range(20):
        await asyncio.sleep(0)
    late.answer.set()
    await asyncio.gather(first, second)
    assert (await one.get(turn), await two.get(turn)) == (1, 1)


class _LateAnswer:
    """The first write of this storage is carried out at once and answered when it is told to."""

    def __init__(self, storage: FaultyStorage) -> None:
        self.written, self.answer = asyncio.Event(), asyncio.Event()
        self._put = storage.put_if
        storage.put_if = self.put_if  # type: ignore[method-assign]  # only in this test

    async def put_if(self, *args: Any, **options: Any) -> str:
        etag = await self._put(*args, **options)
        if not self.written.is_set():
            self.written.set()
            await self.answer.wait()
        return etag


async def test_two_saves_at_once_are_no_conflict(
    states: StateScopes, storage: FaultyStorage
) -> None:
    value = states.user.create_property("value")

    async def logic(turn: TurnContext) -> None:
        await value.set(turn, 1)
        held = storage.hold("put")
        first = asyncio.ensure_future(states.user.save_changes(turn))
        await held.reached()
        second = asyncio.ensure_future(states.user.save_changes(turn))
        await asyncio.sleep(0)
        held.release()
        await asyncio.gather(first, second)

    await Bot(StateMiddleware(states, on_conflict="raise")).turn(logic)
    assert await stored(states, "value") == 1


async def test_update_waits_for_the_save_that_is_on_its_way(
    states: StateScopes, storage: FaultyStorage
) -> None:
    turn, count = context(), states.user.create_property("count")
    await count.set(turn, 1)
    held = storage.hold("put")
    save = asyncio.ensure_future(states.user.save_changes(turn))
    await held.reached()
    update = asyncio.ensure_future(count.update(turn, lambda n: n + 1))
    await asyncio.sleep(0)
    held.release()
    await save
    assert await update == 2
    assert await stored(states, "count") == 2


async def test_a_load_by_force_during_a_save_removes_nothing(
    states: StateScopes, storage: FaultyStorage
) -> None:
    await save_elsewhere(states, "value", "old")
    turn, value = context(), states.user.create_property("value")
    await value.set(turn, "new")
    held = storage.hold("put")
    save = asyncio.ensure_future(states.user.save_changes(turn))
    await held.reached()
    await states.user.load(turn, force=True)
    held.release()
    await save
    await states.user.save_changes(turn)
    assert await stored(states, "value") == "new"


async def test_a_delete_during_a_save_leaves_nothing_to_conflict(
    states: StateScopes, storage: FaultyStorage
) -> None:
    turn = context()
    items = states.user.create_property("items", list[int], merge="append")
    await items.set(turn, [1])
    held = storage.hold("put")
    save = asyncio.ensure_future(states.user.save_changes(turn))
    await held.reached()
    delete = asyncio.ensure_future(states.user.delete(turn))
    await asyncio.sleep(0)
    held.release()
    await asyncio.gather(save, delete)
    await states.user.save_changes(turn)
    assert await storage.get("test/users/user") is None


async def test_a_late_write_of_a_save_that_failed_is_recognised(
    states: StateScopes, storage: FaultyStorage
) -> None:
    """The answer is lost, and the write arrives only after it was looked for."""
    turn = context()
    items = states.user.create_property("items", list[int], merge="append")
    await items.set(turn, [1])
    body: dict[str, Any] = {}

    async def lost(key: str, data: bytes, **options: Any) -> str:
        body.update(key=key, data=data, **options)
        raise StateStorageError("put", key, "no answer", maybe_written=True)

    put_if, storage.put_if = storage.put_if, lost  # type: ignore[method-assign]
    with pytest.raises(StateStorageError):
        await states.user.save_changes(turn)
    storage.put_if = put_if  # type: ignore[method-assign]
    await storage.put_if(body.pop("key"), body.pop("data"), **body)

    await states.user.save_changes(turn)
    assert await stored(states, "items") == [1]


async def test_the_sliding_renewal_of_a_read_neither_conflicts_nor_brings_back(
    states: StateScopes, storage: FaultyStorage
) -> None:
    clock = ManualClock(datetime(2030, 1, 1, tzinfo=timezone.utc))
    states = StateScopes(storage, clock=clock)
    cart = states.user.create_property(
        "cart", list[int], expires_after=timedelta(hours=1), sliding=True
    )
    bot = Bot(StateMiddleware(states, on_conflict="raise"))
    await save_elsewhere(states, "cart", [1])
    clock.advance(timedelta(minutes=30))

    async def reads_while_another_writes(turn: TurnContext) -> None:
        assert await cart.get(turn) == [1]
        await save_elsewhere(states, "other", 1)

    async def reads_while_another_deletes(turn: TurnContext) -> None:
        assert await cart.get(turn) == [1]
        await states.user.delete(context())

    await bot.turn(reads_while_another_writes)
    assert await cart.get(context()) == [1]
    clock.advance(timedelta(minutes=30))
    await bot.turn(reads_while_another_deletes)
    assert await storage.get("test/users/user") is None


async def test_a_lifetime_is_of_the_value_it_was_given_with(states: StateScopes) -> None:
    turn, code = context(), states.user.create_property("code")
    await code.set(turn, 1, expires_after=timedelta(minutes=1))
    await code.set(turn, 2)
    await states.user.save_changes(turn)
    document = states.user._unloaded_document(turn)
    assert document.metadata.props["code"].expires is None


async def test_a_class_asked_for_after_a_dialogs_memory_looked(states: StateScopes) -> None:
    await StateScopes(states.storage).user.create_property("profile").get(context(), Profile)
    turn, profile = context(), states.user.create_property("profile")
    await profile.get(turn, Profile)
    await states.user.save_changes(turn)

    turn = context()
    await states.user.load(turn)
    assert states.user.get(turn) == {"profile": {"name": ""}}
    value = await profile.get(turn, Profile)
    assert value == Profile()
    value.name = "Ann"
    mapping = states.user.get(turn)
    assert mapping is not None
    assert mapping["profile"] is value
    await states.user.save_changes(turn)
    assert await profile.get(context(), Profile) == Profile("Ann")


async def test_update_uses_the_class_that_get_was_given(states: StateScopes) -> None:
    turn, profile = context(), states.user.create_property("profile")
    await profile.get(turn, Profile)
    await states.user.save_changes(turn)

    def rename(value: Profile) -> None:
        value.name = "Ann"

    assert await profile.update(turn, rename) == Profile("Ann")


class Tasks:
    """Random updates, sets and saves of several tasks of one turn, and what they were told."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.states = StateScopes(CountingStorage(MemoryStorage()))
        self.turn = context()
        self.total = self.states.user.create_property("total", int)
        self.log = self.states.user.create_property("log", list[str], merge="append")
        self.counted = 0
        self.logged: list[str] = []
        self.set: dict[str, int] = {}

    async def pause(self) -> None:
        for _ in range(self.rng.randrange(6)):
            await asyncio.sleep(0)

    async def count(self) -> None:
        async def slowly(value: int) -> int:
            await self.pause()
            return value + 1

        await self.total.update(self.turn, slowly, default=0)
        self.counted += 1

    async def note(self, turn: Any, item: str) -> None:
        await self.log.update(turn, partial(_with, item), default=list)
        self.logged.append(item)

    async def put(self, name: str, value: int) -> None:
        self.set[name] = value
        await self.states.user.create_property(name).set(self.turn, value)

    async def act(self, task: int) -> None:
        for step in range(6):
            await self.pause()
            actions: list[Callable[[], Awaitable[Any]]] = [
                self.count,
                partial(self.note, self.turn, f"{task}.{step}"),
                partial(self.put, f"own{task}", step),
                partial(self.states.user.save_changes, self.turn),
                partial(self.total.get, self.turn),
            ]
            await self.rng.choice(actions)()

    async def act_elsewhere(self) -> None:
        for step in range(4):
            await self.pause()
            await self.note(context(), f"elsewhere.{step}")


def _with(item: str, items: list[str]) -> list[str]:
    return [*items, item]


@pytest.mark.parametrize("seed", range(15))
async def test_tasks_of_one_turn_lose_nothing(seed: int) -> None:
    tasks = Tasks(seed)
    await asyncio.gather(*(tasks.act(task) for task in range(4)), tasks.act_elsewhere())
    await tasks.states.user.save_changes(tasks.turn)

    after = context()
    assert await tasks.total.get(after, 0) == tasks.counted
    assert sorted(await tasks.log.get(after, list)) == sorted(tasks.logged)
    own = {item for item in tasks.logged if not item.startswith("elsewhere")}
    assert own <= {*await tasks.log.get(tasks.turn, list)}, "a turn sees what it has committed"
    assert await tasks.total.get(tasks.turn, 0) == tasks.counted
    for name, value in tasks.set.items():
        assert await tasks.states.user.create_property(name).get(after) == value


@pytest.mark.parametrize("is_asked", [False, True], ids=["before it is asked", "on its way"])
async def test_a_read_that_everyone_gave_up_leaves_nothing_behind(
    states: StateScopes, storage: FaultyStorage, is_asked: bool
) -> None:
    turn, count = context(), states.user.create_property("count")
    before, held = asyncio.all_tasks(), storage.hold("get")
    readers = [asyncio.ensure_future(count.get(turn, 1)) for _ in range(2)]
    if is_asked:
        await held.reached()
    else:
        await asyncio.sleep(0)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert asyncio.all_tasks() <= before
    held.release()
    assert await count.get(turn, 1) == 1


async def test_a_read_that_one_gave_up_goes_on_for_the_other(
    states: StateScopes, storage: FaultyStorage
) -> None:
    turn, count = context(), states.user.create_property("count")
    held = storage.hold("get")
    one, other = (asyncio.ensure_future(count.get(turn, 1)) for _ in range(2))
    await held.reached()
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    held.release()
    assert await other == 1
