"""What the handlers of ``on_saved`` are told, and when."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from botstate_ext import SavedState, StateConflictError, StateData
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import FaultyStorage, ManualClock
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context

START = datetime(2024, 5, 6, tzinfo=timezone.utc)
USER, CONVERSATION = "test/users/user", "test/conversations/conv"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def storage(clock: ManualClock) -> FaultyStorage:
    return FaultyStorage(MemoryStorage(clock=clock))


@pytest.fixture
def states(storage: FaultyStorage, clock: ManualClock) -> StateScopes:
    return StateScopes(storage, clock=clock)


@pytest.fixture
def told(states: StateScopes) -> list[SavedState]:
    found: list[SavedState] = []
    states.on_saved(found.append)
    return found


def saved_state(
    scope: str,
    key: str,
    properties: tuple[str, ...],
    before: str | None,
    etag: str | None,
    **more: Any,
) -> SavedState:
    """What a turn of `context` is told to have saved at the start of the clock."""
    fields = {"is_removed": False, "time": START, "activity_id": "activity-1", **more}
    return SavedState(scope, key, properties, before, etag, **fields)


async def etag(states: StateScopes, key: str) -> str | None:
    item = await states.storage.get(key)
    return None if item is None else item.etag


async def test_each_document_that_a_turn_wrote(states: StateScopes, told: list[SavedState]) -> None:
    name, age = (states.user.create_property(n) for n in ("name", "age"))
    topic = states.conversation.create_property("topic")
    bot = Bot(StateMiddleware(states))

    async def first(turn: TurnContext) -> None:
        await name.set(turn, "Ann")
        await age.set(turn, 5)
        await topic.set(turn, "pizza")
        assert told == []

    async def second(turn: TurnContext) -> None:
        await name.delete(turn)
        await topic.get(turn)

    await bot.turn(first)
    created = await etag(states, USER)
    assert sorted(told, key=lambda saved: saved.scope) == [
        saved_state(
            "conversation",
            CONVERSATION,
            ("topic",),
            None,
            await etag(states, CONVERSATION),
        ),
        saved_state("user", USER, ("age", "name"), None, created),
    ]
    told.clear()
    await bot.turn(second)
    assert told == [saved_state("user", USER, ("name",), created, await etag(states, USER))]


async def test_values_only_when_asked(states: StateScopes, told: list[SavedState]) -> None:
    whole: list[SavedState] = []

    @states.on_saved(values=True)
    async def audit(saved: SavedState) -> None:
        whole.append(saved)

    turn = context()
    when = states.user.create_property("when")
    await when.set(turn, START)
    await states.user.set_state(turn, "secret", {"pin": 1234})
    await states.user.save_changes(turn)
    await states.user.delete_state(turn, "secret")
    await states.user.save_changes(turn)
    assert [saved.values for saved in told] == [None, None]
    assert whole[0].values is not None
    assert whole[0].values["secret"] == {"pin": 1234}
    assert set(whole[0].values) == {"when", "secret"}
    assert whole[1].values == {}
    assert "1234" not in repr(whole)


async def test_what_was_there_before_only_when_asked(
    states: StateScopes, told: list[SavedState], storage: FaultyStorage
) -> None:
    whole: list[SavedState] = []
    states.on_saved(before=True)(whole.append)
    turn = context()
    pin, when = (states.user.create_property(name) for name in ("pin", "when"))
    await pin.set(turn, 1234)
    await states.user.save_changes(turn)
    await when.set(turn, START)
    await pin.set(turn, 5)
    await states.user.save_changes(turn)
    await pin.delete(turn)
    storage.lose_answer()
    await states.user.save_changes(turn)
    await states.user.delete(turn)
    assert [saved.before for saved in whole] == [{}, {"pin": 1234}, None, None]
    assert [saved.properties for saved in whole] == [("pin",), ("pin", "when"), ("pin",), ()]
    assert [saved.before for saved in told] == [None] * 4
    assert [saved.values for saved in whole] == [None] * 4
    assert "1234" not in repr(whole)


async def test_when_and_by_which_activity(
    states: StateScopes, told: list[SavedState], clock: ManualClock
) -> None:
    name = states.user.create_property("name")

    async def logic(turn: TurnContext) -> None:
        clock.advance(timedelta(minutes=1))
        await name.set(turn, "Ann")

    await Bot(StateMiddleware(states)).turn(logic)
    clock.advance(timedelta(minutes=1))
    async with states.unit_of_work(channel_id="test", user_id="user") as work:
        await name.set(work, "Bob")
    await states.erase_user("test", "user")
    minute = timedelta(minutes=1)
    assert [(saved.time, saved.activity_id) for saved in told] == [
        (START + minute, "activity-1"),
        (START + 2 * minute, None),
        (START + 2 * minute, None),
    ]


async def test_a_replayed_turn_tells_what_it_replaced_in_storage(states: StateScopes) -> None:
    told: list[SavedState] = []
    states.on_saved(values=True, before=True)(told.append)
    name = states.user.create_property("name")
    async with states.unit_of_work(channel_id="test", user_id="user") as work:
        await name.set(work, "Ann")

    async def logic(turn: TurnContext) -> None:
        await name.set(turn, "Bea")
        await states.user.save_changes(turn)
        await name.set(turn, "Cid")

    await Bot(StateMiddleware(states, on_conflict="replay")).turn(logic)
    assert [(saved.before, saved.values) for saved in told] == [
        ({}, {"name": "Ann"}),
        ({"name": "Ann"}, {"name": "Cid"}),
    ]


async def test_update_write_data_and_deletions(states: StateScopes, told: list[SavedState]) -> None:
    count = states.user.create_property("count", int)
    turn = context()
    await count.update(turn, lambda n: n + 1, default=0)
    await states.user.write_data(turn, StateData({"other": 1}))
    last = await etag(states, USER)
    assert last is not None
    await states.user.load(turn, force=True)
    await states.user.delete(turn)
    await states.user.delete(turn)
    assert [(saved.properties, saved.is_removed) for saved in told] == [
        (("count",), False),
        (("count", "other"), False),
        ((), True),
    ]
    assert [saved.etag_before for saved in told] == [None, told[0].etag, last]
    assert told[-1].etag is None


async def test_a_sweep_tells_what_it_took_out(
    states: StateScopes, told: list[SavedState], clock: ManualClock
) -> None:
    turn = context()
    for scope in (states.user, states.conversation):
        await scope.set_state(turn, "ends", 1, expires_after=timedelta(hours=1))
    await states.user.set_state(turn, "stays", 1)
    await states.user.save_changes(turn)
    await states.conversation.save_changes(turn)
    told.clear()
    clock.advance(timedelta(hours=1))
    await states.sweep()
    found = {saved.key: (saved.properties, saved.is_removed) for saved in told}
    assert found == {USER: (("ends",), False), CONVERSATION: (("ends",), True)}


async def test_the_end_of_a_conversation(states: StateScopes, told: list[SavedState]) -> None:
    turn = context()
    await states.conversation.set_state(turn, "x", 1)
    await states.conversation.save_changes(turn)
    told.clear()
    await states.complete_conversation(turn)
    assert [(s.key, s.properties, s.is_removed) for s in told] == [(CONVERSATION, ("x",), True)]


async def test_an_erasure(states: StateScopes, told: list[SavedState]) -> None:
    turn = context()
    for scope in (states.user, states.private):
        await scope.set_state(turn, "x", 1)
        await scope.save_changes(turn)
    written = [saved.etag for saved in told]
    told.clear()
    await states.erase_user("test", "user")
    assert {(saved.scope, saved.is_removed) for saved in told} == {
        ("user", True),
        ("private", True),
    }
    assert {saved.etag_before for saved in told} == set(written)


async def test_a_write_whose_answer_was_lost_is_told(
    states: StateScopes, told: list[SavedState], storage: FaultyStorage
) -> None:
    turn = context()
    await states.user.set_state(turn, "x", 1)
    storage.lose_answer("put")
    await states.user.save_changes(turn)
    stored = await etag(states, USER)
    assert told == [saved_state("user", USER, ("x",), None, stored)]


async def test_what_was_not_written_is_not_told(
    states: StateScopes, told: list[SavedState], storage: FaultyStorage
) -> None:
    name = states.user.create_property("name")
    turn, other = context(), context()
    await name.set(turn, "a")
    await name.set(other, "b")
    await states.user.save_changes(other)
    told.clear()
    with pytest.raises(StateConflictError):
        await states.user.save_changes(turn)
    assert told == []
    await states.user.save_changes(context())
    assert told == []


async def test_after_a_merge_it_is_told_what_this_write_changed(
    states: StateScopes, told: list[SavedState]
) -> None:
    mine, theirs = (states.user.create_property(name) for name in ("mine", "theirs"))
    turn, other = context(), context()
    await mine.set(turn, 1)
    await theirs.set(other, 2)
    await states.user.save_changes(other)
    await states.user.save_changes(turn)
    assert [saved.properties for saved in told] == [("theirs",), ("mine",)]
    assert told[1].etag_before == told[0].etag


async def test_a_handler_that_raises_fails_nothing(
    states: StateScopes, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[SavedState] = []

    @states.on_saved
    def broken(saved: SavedState) -> None:
        raise RuntimeError("the audit is down")

    states.on_saved(heard.append)
    bot = Bot(StateMiddleware(states))

    async def turn(turn_context: TurnContext) -> None:
        await states.user.set_state(turn_context, "pin", "s3cret")

    with caplog.at_level(logging.ERROR, "botstate_ext"):
        await bot.turn(turn)
    assert len(heard) == 1
    assert (await states.user.get_state(context(), "pin")).payload == "s3cret"
    assert "the audit is down" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_handler_may_save_and_is_not_told_of_that(states: StateScopes) -> None:
    keys: list[str] = []
    log = states.shared.create_property("log", list[str])

    @states.on_saved
    async def audit(saved: SavedState) -> None:
        keys.append(saved.key)
        async with states.unit_of_work() as work:
            await log.at("audit").update(work, lambda seen: [*seen, saved.key], default=list)
            await states.user.create_property("seen").set(held[0], True)
            await states.user.save_changes(held[0])

    held = [context()]
    await states.user.set_state(held[0], "x", 1)
    await states.user.save_changes(held[0])
    assert keys == [USER]
    assert await log.at("audit").get(context()) == [USER]
    assert await states.user.create_property("seen").get(context()) is True


async def test_a_replayed_turn_is_told_when_it_is_committed(
    states: StateScopes, told: list[SavedState]
) -> None:
    name = states.user.create_property("name")
    count = states.user.create_property("count", int)
    gone = states.private.create_property("gone")
    bot = Bot(StateMiddleware(states, on_conflict="replay"))
    attempts: list[Any] = []
    before = context()
    await gone.set(before, 1)
    await states.private.save_changes(before)
    told.clear()

    async def turn(turn_context: TurnContext) -> None:
        attempts.append(1)
        await name.set(turn_context, f"attempt {len(attempts)}")
        await states.user.save_changes(turn_context)
        await count.update(turn_context, lambda n: n + 1, default=0)
        await states.private.delete(turn_context)
        assert told == seen
        if len(attempts) == 1:
            async with states.unit_of_work(channel_id="test", user_id="user") as work:
                await states.user.set_state(work, "other", 1)
            seen.extend(told)

    seen: list[SavedState] = []
    await bot.turn(turn)
    assert len(attempts) == 2
    by_user, deleted = told[1:]
    assert by_user == saved_state(
        "user", USER, ("count", "name"), told[0].etag, await etag(states, USER), is_removed=False
    )
    assert (deleted.scope, deleted.is_removed, deleted.etag) == ("private", True, None)
    assert deleted.etag_before is not None


async def test_a_turn_inside_a_replayed_one_is_told_once(
    states: StateScopes, told: list[SavedState]
) -> None:
    bot = Bot(StateMiddleware(states, on_conflict="replay"))
    count = states.shared.at("c").create_property("count", int)

    async def inner(turn: TurnContext) -> None:
        await count.update(turn, lambda n: n + 1, default=0)
        raise RuntimeError("after its update")

    async def outer(turn: TurnContext) -> None:
        await count.update(turn, lambda n: n + 1, default=0)
        with pytest.raises(RuntimeError):
            await bot.turn(inner)
        assert told == []

    await bot.turn(outer)
    assert await count.get(context()) == 2
    stored = await etag(states, "shared/c")
    assert told == [saved_state("shared", "shared/c", ("count",), None, stored)]


async def test_a_turn_that_fails_under_replay_tells_nothing(
    states: StateScopes, told: list[SavedState]
) -> None:
    bot = Bot(StateMiddleware(states, on_conflict="replay"))

    async def turn(turn_context: TurnContext) -> None:
        await states.user.set_state(turn_context, "x", 1)
        await states.user.save_changes(turn_context)
        raise RuntimeError("the bot")

    with pytest.raises(RuntimeError, match="the bot"):
        await bot.turn(turn)
    assert told == []


async def test_a_handler_whose_inner_task_is_cancelled_does_not_end_the_turn(
    states: StateScopes, told: list[SavedState], caplog: pytest.LogCaptureFixture
) -> None:
    @states.on_saved
    async def cancelled(saved: SavedState) -> None:
        inner = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(inner.cancel)
        await inner

    after: list[SavedState] = []
    states.on_saved(after.append)
    name = states.user.create_property("name")
    await Bot(StateMiddleware(states)).turn(lambda turn: name.set(turn, "Ann"))
    assert len(told) == len(after) == 1
    assert "A handler of on_saved failed" in caplog.text
