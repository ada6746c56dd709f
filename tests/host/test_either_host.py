"""What holds on both SDKs: `make test` runs this on the Bot Framework SDK, `make successor` on the
Agents SDK."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from botstate_ext import turn_is_replay
from botstate_ext.errors import StateConflictError, StateStorageError
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import CountingStorage
from botstate_ext.testing.clock import ManualClock
from botstate_ext.testing.faults import FaultyStorage
from tests.either_host import Bot, StateScopes, host

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 2, tzinfo=timezone.utc))


@pytest.fixture
def states(clock: ManualClock) -> Any:
    return StateScopes(MemoryStorage(), clock=clock)


async def saved(states: Any, scope: str, name: str) -> Any:
    async with states.unit_of_work(
        channel_id="test", user_id="ann", conversation_id="talk"
    ) as work:
        return await getattr(states, scope).create_property(name).get(work)


def counting(states: Any) -> Any:
    count = states.conversation.create_property("count")

    async def logic(turn: Any) -> None:
        n = await count.get(turn, 0) + 1
        await count.set(turn, n)
        await turn.send_activity(str(n))

    return logic


def failing(states: Any) -> Any:
    logic = counting(states)

    async def fail(turn: Any) -> None:
        await logic(turn)
        raise RuntimeError("a bug of the bot's")

    return fail


# Turns


async def test_a_turn_is_saved_once_and_the_next_one_sees_it(states: Any) -> None:
    bot, writes = Bot(states), list[Any]()
    states.on_saved(writes.append)
    assert await bot.turn(counting(states)) == ["1"]
    assert await bot.turn(counting(states)) == ["2"]
    assert [event.scope for event in writes] == ["conversation", "conversation"]


async def test_a_turn_that_raised_saves_nothing(states: Any) -> None:
    bot = Bot(states)
    with pytest.raises(RuntimeError):
        await bot.turn(failing(states))
    assert await bot.turn(counting(states)) == ["1"]


async def test_on_error_save(states: Any) -> None:
    bot = Bot(states, on_error="save")
    with pytest.raises(RuntimeError):
        await bot.turn(failing(states))
    assert await bot.turn(counting(states)) == ["2"]


async def test_every_scope(states: Any) -> None:
    bot = Bot(states)
    team = states.scope("team", key=lambda turn: "red")
    scopes = [states.user, states.conversation, states.private, states.bot, team]
    texts = [each.create_property("text") for each in scopes]
    order = states.shared.create_property("order")
    step = states.workflow.create_property("step")
    seen: list[Any] = []

    async def logic(turn: Any) -> None:
        states.workflow.bind(turn, "w-1")
        every = [*texts, order.at("12"), step]
        seen.append([await each.get(turn) for each in every])
        for each in every:
            await each.set(turn, turn.activity.text)

    await bot.turn(logic, "one")
    await bot.turn(logic, "two")
    assert seen == [[None] * 7, ["one"] * 7]


async def test_queries_and_templates(states: Any) -> None:
    name = states.user.create_property("name")

    async def logic(turn: Any) -> None:
        await name.set(turn, "Ann")
        await states.conversation.set_state(turn, "items", [{"price": 2}, {"price": 3}])
        assert await states.query(turn, "$.conversation.items[*].price") == [2, 3]
        assert await states.query(turn, "$.turn.channelId") == "test"
        await turn.send_activity(await states.render(turn, "Hi {@user.name}, {@turn.text}"))

    assert await Bot(states).turn(logic, "hello") == ["Hi Ann, hello"]


async def test_a_turn_starts_without_a_read_and_notices_that_its_state_was_stale() -> None:
    memory = MemoryStorage()
    storages = [CountingStorage(memory) for _ in range(2)]
    processes = [
        StateScopes(each, cache=host.DocumentCache(max_bytes=10_000, max_age=MINUTE))
        for each in storages
    ]
    one, two = (Bot(each, on_conflict="replay") for each in processes)
    assert await one.turn(counting(processes[0]), id="m-1") == ["1"]
    storages[0].reset()
    assert await one.turn(counting(processes[0]), id="m-2") == ["2"]
    assert storages[0].operations == {"put": 1}
    assert await two.turn(counting(processes[1]), id="m-3") == ["3"]
    assert await one.turn(counting(processes[0]), id="m-4") == ["4"]
    assert await saved(processes[0], "conversation", "count") == 4


def test_a_cache_needs_a_mode_that_notices() -> None:
    states = StateScopes(
        MemoryStorage(), cache=host.DocumentCache(max_bytes=10_000, max_age=MINUTE)
    )
    with pytest.raises(ValueError, match="sticky"):
        Bot(states)


async def test_turns_of_a_conversation_run_one_after_another(states: Any) -> None:
    bot, running, most = Bot(states), [], []

    async def logic(turn: Any) -> None:
        running.append(1)
        most.append(len(running))
        await asyncio.sleep(0)
        running.pop()

    await asyncio.gather(*(bot.turn(logic, id=f"m-{n}") for n in range(5)))
    assert max(most) == 1
    await asyncio.gather(*(bot.turn(logic, conversation=f"c-{n}") for n in range(5)))
    assert max(most) == 5


async def test_an_activity_that_comes_again_is_handled_once(states: Any, clock: Any) -> None:
    bot = Bot(states, deduplicate=5 * MINUTE)
    logic = counting(states)
    assert [await bot.turn(logic, id="m-7") for _ in range(2)] == [["1"], []]
    assert await bot.turn(logic, id="m-8") == ["2"]
    clock.advance(5 * MINUTE)
    assert await bot.turn(logic, id="m-7") == ["3"]


async def test_the_end_of_a_conversation(states: Any) -> None:
    bot = Bot(states, end_conversation=True)
    await bot.turn(counting(states))
    await bot.turn(counting(states), type="endOfConversation")
    assert await bot.turn(counting(states)) == ["1"]


# Replies


async def test_held_replies_are_sent_in_order_after_the_save(states: Any) -> None:
    bot, log = Bot(states, replies="after_save"), []
    states.on_saved(lambda event: log.append("saved"))

    async def logic(turn: Any) -> None:
        await counting(states)(turn)
        for text in ("two", "three"):
            answer = await turn.send_activity(text)
            log.append(answer.id[:5])

    assert await bot.turn(logic) == ["1", "two", "three"]
    assert log == ["held-", "held-", "saved"]


async def test_held_replies_of_a_failed_turn_are_dropped(states: Any) -> None:
    bot = Bot(states, replies="after_save")
    with pytest.raises(RuntimeError):
        await bot.turn(failing(states))
    assert await bot.turn(counting(states)) == ["1"]


async def test_a_held_reply_may_be_changed(states: Any) -> None:
    async def logic(turn: Any) -> None:
        answer = await turn.send_activity("wait")
        changed = type(turn.activity)(type="message", text="done")
        changed.id = answer.id
        await turn.update_activity(changed)

    assert await Bot(states, replies="after_save").turn(logic) == ["done"]


async def test_handlers_of_sending_see_what_is_really_sent(states: Any) -> None:
    bot, seen = Bot(states, replies="after_save"), list[Any]()

    async def logic(turn: Any) -> None:
        async def note(context: Any, activities: Any, send: Any) -> Any:
            seen.extend(each.text for each in activities)
            return await send()

        turn.on_send_activities(note)
        await turn.send_activity("a")

    assert await bot.turn(logic) == ["a"]
    assert seen == ["a"]


async def test_a_save_that_fails_sends_nothing(clock: ManualClock) -> None:
    storage = FaultyStorage(MemoryStorage())
    states = StateScopes(storage, clock=clock)
    bot = Bot(states, replies="after_save")
    storage.fail("put")
    with pytest.raises(StateStorageError):
        await bot.turn(counting(states))
    assert await bot.turn(counting(states)) == ["1"]


# Two at once


async def other_wrote(states: Any, name: str, value: Any) -> None:
    other = StateScopes(states.storage)
    async with other.unit_of_work(channel_id="test", conversation_id="talk") as work:
        await other.conversation.create_property(name).set(work, value)


async def test_replay_runs_a_turn_again_as_it_began(states: Any) -> None:
    count = states.conversation.create_property("count")
    attempts: list[Any] = []

    async def logic(turn: Any) -> None:
        attempts.append((turn.activity.text, turn_is_replay(turn)))
        turn.activity.text = "changed"
        await counting(states)(turn)
        if len(attempts) == 1:
            await other_wrote(states, "count", 10)

    assert await Bot(states, on_conflict="replay").turn(logic) == ["11"]
    assert attempts == [("hi", False), ("hi", True)]
    assert await saved(states, "conversation", count.name) == 11


async def test_replayed_turns_at_once_all_count(states: Any) -> None:
    bot = Bot(states, on_conflict="replay", serialize_turns=False)
    said = await asyncio.gather(*(bot.turn(counting(states), id=f"m-{n}") for n in range(8)))
    del said
    assert await saved(states, "conversation", "count") == 8


@pytest.mark.parametrize("on_conflict", ["merge", "raise"])
async def test_a_lost_race_is_an_error(states: Any, on_conflict: str) -> None:
    async def logic(turn: Any) -> None:
        await counting(states)(turn)
        await other_wrote(states, "count", 10)

    with pytest.raises(StateConflictError):
        await Bot(states, on_conflict=on_conflict).turn(logic)
    assert await saved(states, "conversation", "count") == 10


async def test_what_two_add_to_a_list_is_merged(states: Any) -> None:
    pizzas = states.conversation.create_property("pizzas", list, default=list, merge="append")
    bot = Bot(states, serialize_turns=False)

    async def logic(turn: Any) -> None:
        order = await pizzas.get(turn, list)
        await asyncio.sleep(0)
        order.append(turn.activity.text)

    texts = [f"pizza {n}" for n in range(10)]
    await asyncio.gather(*(bot.turn(logic, text, id=text) for text in texts))
    assert sorted(await saved(states, "conversation", "pizzas")) == sorted(texts)


async def test_update_counts_each_of_many(states: Any) -> None:
    visits = states.bot.create_property("visits")
    bot = Bot(states)

    async def logic(turn: Any) -> None:
        await visits.update(turn, lambda n: n + 1, default=0)

    await asyncio.gather(*(bot.turn(logic, conversation=f"c-{n}") for n in range(10)))
    assert await saved(states, "bot", "visits") == 10


# Expiry


async def test_a_value_expires_and_its_handler_can_message_the_user(
    states: Any, clock: ManualClock
) -> None:
    code = states.conversation.create_property(
        "code", expires_after=5 * MINUTE, keep_reference=True
    )
    told: list[Any] = []

    @code.on_expired
    async def on_expired(expired: Any) -> None:
        told.append((expired.value, expired.reference))

    bot, seen = Bot(states), []

    async def logic(turn: Any) -> None:
        seen.append(await code.get(turn))
        if turn.activity.text == "set":
            await code.set(turn, "1234")

    await bot.turn(logic, "set")
    clock.advance(4 * MINUTE)
    await bot.turn(logic, "look")
    clock.advance(MINUTE)
    await bot.turn(logic, "look")
    assert seen == [None, "1234", None]
    await states.sweep()
    ((value, reference),) = told
    assert value == "1234"
    assert reference.conversation.id == "talk"
    assert reference.service_url == "https://channel.test"
    assert reference.user.id == "ann"


# Erasure


async def test_a_user_is_erased(states: Any) -> None:
    bot, erased = Bot(states), []
    name, secret = states.user.create_property("name"), states.private.create_property("secret")
    name.on_erase(lambda work, user: erased.append(user.user_id))

    async def logic(turn: Any) -> None:
        await name.set(turn, "x")
        await secret.set(turn, "y")
        await counting(states)(turn)

    for conversation in ("talk", "other"):
        await bot.turn(logic, conversation=conversation)
        await bot.turn(logic, conversation=conversation, user="bob")
    export = await states.export_user("test", "ann")
    assert len(export["documents"]) == 3
    assert (await states.erase_user("test", "ann")).complete
    assert erased == ["ann"]
    left = [item.key async for item in states.storage.list_items()]
    assert not [key for key in left if "ann" in key]
    assert len([key for key in left if "bob" in key]) == 3


async def test_a_user_who_leaves_is_erased(states: Any) -> None:
    bot = Bot(states, erase_on_removal=True)
    name = states.user.create_property("name")
    await bot.turn(lambda turn: name.set(turn, "Ann"))
    await bot.turn(lambda turn: name.set(turn, "Ann"), type="deleteUserData")
    assert [i.key async for i in states.storage.list_items() if "ann" in i.key] == []
