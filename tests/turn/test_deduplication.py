"""What a channel delivers again is handled once."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from botstate_ext import StateConflictError, StateStorageError
from botstate_ext import storage as storages
from botstate_ext.documents.metadata import HANDLED_KEPT
from botstate_ext.testing import CountingStorage, FaultyStorage, ManualClock
from tests.backends import OneByOne
from tests.turns import Bot, Logic, StateMiddleware, StateScopes, TurnContext, context, message

CONVERSATION = "test/conversations/conv"
TEN_MINUTES = timedelta(minutes=10)
START = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc)


class Channel:
    """Delivers activities to a bot, and counts those that were handled."""

    def __init__(
        self, storage: storages.StateStorage, clock: ManualClock | None = None, **options: Any
    ) -> None:
        self.states = StateScopes(storage, clock=clock or ManualClock(START))
        options = {"deduplicate": TEN_MINUTES, **options}
        self.bot = Bot(StateMiddleware(self.states, **options))
        self.handled: list[str] = []
        self.count = self.states.user.create_property("count", int)

    async def deliver(self, id_: str | None, logic: Logic | None = None, **fields: Any) -> None:
        activity = message(f"text of {id_}")
        activity.id = id_
        for name, value in fields.items():
            setattr(activity, name, value)

        async def handle(turn: TurnContext) -> None:
            self.handled.append(turn.activity.id)
            if logic is not None:
                await logic(turn)

        await self.bot.turn(handle, activity)

    async def add_one(self, turn: TurnContext) -> None:
        await self.count.set(turn, await self.count.get(turn, 0) + 1)

    async def stored(self) -> dict[str, Any]:
        item = await self.states.storage.get(CONVERSATION)
        assert item is not None
        document: dict[str, Any] = json.loads(item.data)
        return document


@pytest.fixture
def storage() -> storages.MemoryStorage:
    return storages.MemoryStorage()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


async def test_a_finished_turn_is_not_run_again(storage: storages.MemoryStorage) -> None:
    channel = Channel(storage)
    for id_ in ("1", "1", "2", "1", "2"):
        await channel.deliver(id_, channel.add_one)
    assert channel.handled == ["1", "2"]
    assert await channel.count.get(context()) == 2


async def test_nor_is_one_that_changed_nothing(storage: storages.MemoryStorage) -> None:
    channel = Channel(storage)
    await channel.deliver("1")
    await channel.deliver("1")
    assert channel.handled == ["1"]


async def test_another_process_knows_it_too(storage: storages.MemoryStorage) -> None:
    one, two = Channel(storage), Channel(storage)
    await one.deliver("1")
    await two.deliver("1")
    assert (one.handled, two.handled) == (["1"], [])


async def test_without_the_option_every_delivery_is_handled(
    storage: storages.MemoryStorage,
) -> None:
    channel = Channel(storage, deduplicate=None)
    await channel.deliver("1")
    await channel.deliver("1")
    assert channel.handled == ["1", "1"]
    assert await storage.get(CONVERSATION) is None, "a turn that changes nothing writes nothing"


@pytest.mark.parametrize("serialize_turns", [True, False])
async def test_a_delivery_during_the_turn_waits_for_its_end_and_is_skipped(
    storage: storages.MemoryStorage, serialize_turns: bool
) -> None:
    channel = Channel(storage, serialize_turns=serialize_turns)
    running, go_on = asyncio.Event(), asyncio.Event()

    async def slow(turn: TurnContext) -> None:
        running.set()
        await go_on.wait()

    first = asyncio.ensure_future(channel.deliver("1", slow))
    await running.wait()
    others = [asyncio.ensure_future(channel.deliver("1", slow)) for _ in range(2)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(other.done() for other in others)
    go_on.set()
    await asyncio.gather(first, *others)
    assert channel.handled == ["1"]


async def test_a_turn_that_failed_may_be_delivered_again(storage: storages.MemoryStorage) -> None:
    channel = Channel(storage)

    async def fails(turn: TurnContext) -> None:
        await channel.add_one(turn)
        raise RuntimeError("the bot")

    first = asyncio.ensure_future(channel.deliver("1", fails))
    again = asyncio.ensure_future(channel.deliver("1", channel.add_one))
    with pytest.raises(RuntimeError, match="the bot"):
        await first
    await again
    assert channel.handled == ["1", "1"]
    assert await channel.count.get(context()) == 1


@pytest.mark.parametrize("at", [1, 2])
async def test_a_turn_whose_save_failed_may_be_delivered_again(
    storage: storages.MemoryStorage, at: int
) -> None:
    """Whichever write fails: the note that it was handled is written last."""
    faulty = FaultyStorage(OneByOne(storage))
    channel = Channel(faulty)
    faulty.fail("put", at=at)
    with pytest.raises(StateStorageError) as raised:
        await channel.deliver("1", channel.add_one)
    assert raised.value.saved == (("test/users/user",) if at == 2 else ())
    assert raised.value.not_saved[-1] == CONVERSATION
    await channel.deliver("1")
    assert channel.handled == ["1", "1"]


async def test_a_lost_answer_is_no_failure(storage: storages.MemoryStorage) -> None:
    faulty = FaultyStorage(storage)
    channel = Channel(faulty)
    faulty.lose_answer("put")
    await channel.deliver("1")
    await channel.deliver("1")
    assert channel.handled == ["1"]


async def test_after_its_time_it_is_a_new_one(
    storage: storages.MemoryStorage, clock: ManualClock
) -> None:
    channel = Channel(storage, clock)
    await channel.deliver("1")
    clock.advance(TEN_MINUTES - timedelta(seconds=1))
    await channel.deliver("1")
    assert channel.handled == ["1"]
    clock.advance(timedelta(seconds=1))
    await channel.deliver("1")
    assert channel.handled == ["1", "1"]


async def test_what_is_kept_is_bounded(storage: storages.MemoryStorage, clock: ManualClock) -> None:
    channel = Channel(storage, clock)
    for number in range(HANDLED_KEPT + 5):
        await channel.deliver(str(number))
    handled = (await channel.stored())["$state"]["handled"]
    assert list(handled) == [f"message {n}" for n in range(5, HANDLED_KEPT + 5)]
    clock.advance(TEN_MINUTES)
    await channel.deliver("last")
    assert list((await channel.stored())["$state"]["handled"]) == ["message last"]


async def test_a_long_id_is_kept_short(storage: storages.MemoryStorage) -> None:
    channel = Channel(storage)
    for id_ in ("a" * 5_000, "a" * 5_000, "a" * 4_999 + "b", "\ud800", "\ud800"):
        await channel.deliver(id_)
    assert len(channel.handled) == 3
    assert all(len(mark) < 80 for mark in (await channel.stored())["$state"]["handled"])


async def test_a_document_of_marks_alone_ends_with_them(storage: storages.MemoryStorage) -> None:
    channel = Channel(storage)
    await channel.deliver("1")
    item = await storage.get(CONVERSATION)
    assert item is not None
    until = START + TEN_MINUTES
    for name in ("agentsstorageexpiresat", "statenextexpiry", "stateexpires"):
        assert datetime.fromisoformat(item.metadata[name]) == until

    lasting = channel.states.conversation.create_property("lasting")

    async def write(turn: TurnContext) -> None:
        await lasting.set(turn, 1)

    await channel.deliver("2", write)
    item = await storage.get(CONVERSATION)
    assert item is not None
    assert item.metadata["statenextexpiry"] == "never", "what lives on does not end with them"
    assert not {"agentsstorageexpiresat", "stateexpires"} & {*item.metadata}


async def test_sweeps_remove_a_document_of_marks_alone(
    storage: storages.MemoryStorage, clock: ManualClock
) -> None:
    channel = Channel(storage, clock)
    await channel.deliver("1")
    clock.advance(TEN_MINUTES - timedelta(seconds=1))
    await channel.states.sweep()
    await channel.deliver("1")
    assert channel.handled == ["1"]
    clock.advance(timedelta(seconds=1))
    await channel.states.sweep()
    assert await storage.get(CONVERSATION) is None


async def test_what_expires_before_its_marks_leaves_them_there(
    storage: storages.MemoryStorage, clock: ManualClock
) -> None:
    channel = Channel(storage, clock)
    minute = timedelta(minutes=1)
    code = channel.states.conversation.create_property("code", expires_after=minute)

    async def write(turn: TurnContext) -> None:
        await code.set(turn, "1234")

    await channel.deliver("1", write)
    clock.advance(minute)
    await channel.states.sweep()
    assert list(await channel.stored()) == ["$state"]
    await channel.deliver("1", write)
    assert channel.handled == ["1"]
    clock.advance(TEN_MINUTES)
    await channel.states.sweep()
    assert await storage.get(CONVERSATION) is None


@pytest.mark.parametrize(
    ("id_", "fields"),
    [
        (None, {}),
        ("1", {"type": "invoke"}),
        ("1", {"type": "messageUpdate"}),
        ("1", {"type": "event", "name": "ContinueConversation"}),
        ("1", {"conversation": None}),
    ],
)
async def test_what_cannot_be_told_apart_is_handled_each_time(
    storage: storages.MemoryStorage, id_: str | None, fields: dict[str, Any]
) -> None:
    channel = Channel(storage)
    await channel.deliver(id_, **fields)
    await channel.deliver(id_, **fields)
    assert len(channel.handled) == 2


async def test_an_event_may_have_the_id_of_a_message(storage: storages.MemoryStorage) -> None:
    channel = Channel(storage)
    await channel.deliver("1")
    await channel.deliver("1", type="event")
    assert len(channel.handled) == 2


async def test_the_bots_own_turn_with_the_same_activity_is_no_redelivery(
    storage: storages.MemoryStorage,
) -> None:
    channel = Channel(storage)

    async def hands_it_on(turn: TurnContext) -> None:
        await channel.deliver("1", channel.add_one)

    await channel.deliver("1", hands_it_on)
    await channel.deliver("1")
    assert channel.handled == ["1", "1"]
    assert await channel.count.get(context()) == 1


@pytest.mark.parametrize("on_conflict", ["merge", "raise", "last_writer_wins"])
async def test_two_processes_at_once_the_later_save_is_refused(
    storage: storages.MemoryStorage, on_conflict: str
) -> None:
    """Without a lock that both share. The conversation is as the first one left it."""
    one, two = (Channel(storage, on_conflict=on_conflict) for _ in range(2))
    added = [c.states.conversation.create_property("order", merge="append") for c in (one, two)]

    async def first(turn: TurnContext) -> None:
        (await added[0].get(turn, list)).append("by one")

    async def second(turn: TurnContext) -> None:
        (await added[1].get(turn, list)).append("by two")
        await one.deliver("1", first)

    with pytest.raises(StateConflictError, match="Etag conflict"):
        await two.deliver("1", second)
    assert (await one.stored())["order"] == ["by one"]
    await two.deliver("1", second)
    assert (one.handled, two.handled) == (["1"], ["1"])


async def test_two_processes_at_once_with_replay_the_later_one_is_skipped(
    storage: storages.MemoryStorage,
) -> None:
    one = Channel(CountingStorage(storage), on_conflict="replay")
    two = Channel(CountingStorage(storage), on_conflict="replay")

    async def first(turn: TurnContext) -> None:
        await one.add_one(turn)

    async def second(turn: TurnContext) -> None:
        await two.add_one(turn)
        await turn.send_activity("never said")
        await one.deliver("1", first)

    await two.deliver("1", second)
    assert (one.handled, two.handled) == (["1"], ["1"])
    assert await one.count.get(context()) == 1
    assert two.bot.adapter.get_next_activity() is None


async def test_of_a_conversation_that_has_ended_only_the_note_is_left(
    storage: storages.MemoryStorage,
) -> None:
    channel = Channel(storage, end_conversation=True)
    topic = channel.states.conversation.create_property("topic")

    async def talk(turn: TurnContext) -> None:
        await topic.set(turn, "pizza")

    await channel.deliver("1", talk)
    await channel.deliver("2", type="endOfConversation")
    assert list(await channel.stored()) == ["$state"]
    await channel.deliver("1", talk)
    await channel.deliver("2", type="endOfConversation")
    assert channel.handled == ["1", "2"]


async def test_someone_elses_write_is_no_conflict_for_a_mark(
    storage: storages.MemoryStorage,
) -> None:
    channel = Channel(storage, on_conflict="raise")

    async def meanwhile(turn: TurnContext) -> None:
        other = context()
        other_states = StateScopes(storage)
        await other_states.conversation.create_property("x").set(other, 1)
        await other_states.conversation.save_changes(other)

    await channel.deliver("1", meanwhile)
    await channel.deliver("1")
    assert channel.handled == ["1"]
    assert (await channel.stored())["x"] == 1


async def test_update_keeps_what_was_handled(storage: storages.MemoryStorage) -> None:
    channel = Channel(storage)
    log = channel.states.conversation.create_property("log")

    async def update(turn: TurnContext) -> None:
        await log.update(turn, lambda value: [*value, turn.activity.id], default=list)

    await channel.deliver("1", update)
    await channel.deliver("2", update)
    await channel.deliver("1", update)
    assert channel.handled == ["1", "2"]
    assert (await channel.stored())["log"] == ["1", "2"]


@pytest.mark.parametrize("in_one_step", [True, False])
async def test_it_costs_one_write_more_unless_all_is_one_step(
    storage: storages.MemoryStorage, in_one_step: bool
) -> None:
    counting = CountingStorage(storage if in_one_step else OneByOne(storage))
    channel = Channel(counting)
    await channel.deliver("1")
    assert counting.operations == {"get": 1, "put": 1}
    counting.reset()
    await channel.deliver("2", channel.add_one)
    assert counting.operations == {"get": 1, "put": 1 if in_one_step else 2}
    assert counting.round_trips == (2 if in_one_step else 3), "the mark is written after the rest"
    counting.reset()
    await channel.deliver("2", channel.add_one)
    assert counting.operations == {"get": 1}


@pytest.mark.parametrize("wrong", [timedelta(0), timedelta(seconds=-1)])
def test_the_time_is_longer_than_zero(storage: storages.MemoryStorage, wrong: timedelta) -> None:
    with pytest.raises(ValueError, match="deduplicate must be longer than zero"):
        StateMiddleware(StateScopes(storage), deduplicate=wrong)
