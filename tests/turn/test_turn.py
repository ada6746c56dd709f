"""A turn, end to end: load, logic, save."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from botstate_ext import StateConflictError, StateKeyError
from botstate_ext import storage as storages
from botstate_ext.testing import CountingStorage, FaultyStorage
from tests.turns import (
    Activity,
    Bot,
    StateMiddleware,
    StateScopes,
    TurnContext,
    context,
    message,
    next_step,
    reference_to,
)


@dataclass
class Profile:
    name: str | None = None
    visits: int = 0
    tags: list[str] = field(default_factory=list)


@pytest.fixture
def storage() -> storages.MemoryStorage:
    return storages.MemoryStorage()


@pytest.fixture
def states(storage: storages.MemoryStorage) -> StateScopes:
    return StateScopes(storage)


@pytest.fixture
def bot(states: StateScopes) -> Bot:
    return Bot(StateMiddleware(states))


async def test_what_one_turn_changes_the_next_turn_sees(states: StateScopes, bot: Bot) -> None:
    profile = states.user.create_property("profile", Profile)

    async def first(turn: TurnContext) -> None:
        value = await profile.get(turn, Profile)
        value.name = "Ann"
        value.tags.append("new")

    async def second(turn: TurnContext) -> None:
        assert await profile.get(turn) == Profile("Ann", 0, ["new"])

    await bot.turn(first)
    await bot.turn(second)


async def test_all_six_scopes_are_stored_each_under_its_key(
    states: StateScopes, storage: storages.MemoryStorage, bot: Bot
) -> None:
    async def logic(turn: TurnContext) -> None:
        states.workflow.bind(turn, "w/1")
        for scope in states:
            chosen = scope.at("s 1") if scope.scope_name == "shared" else scope
            await chosen.create_property("x").set(turn, scope.scope_name)

    await bot.turn(logic)

    keys = [item.key async for item in storage.list_items()]
    assert keys == sorted(
        [
            "test/users/user",
            "test/conversations/conv",
            "test/conversations/conv/users/user/",
            "bot/bot",
            "workflow/w%2F1",
            "shared/s%201",
        ]
    )


async def test_a_turn_that_only_reads_writes_nothing() -> None:
    counting = CountingStorage(storages.MemoryStorage())
    states = StateScopes(counting)
    bot = Bot(StateMiddleware(states))
    profile = states.user.create_property("profile", Profile)

    async def write(turn: TurnContext) -> None:
        await profile.set(turn, Profile("Ann"))

    async def read(turn: TurnContext) -> None:
        assert await profile.get(turn) == Profile("Ann")
        assert await states.conversation.create_property("none").get(turn) is None

    await bot.turn(write)
    counting.reset()
    await bot.turn(read)
    assert counting.operations["put"] == 0
    assert counting.round_trips == 1


async def test_the_bot_raises_and_nothing_is_saved(states: StateScopes, bot: Bot) -> None:
    count = states.user.create_property("count", int)

    async def fails(turn: TurnContext) -> None:
        await count.set(turn, 1)
        raise RuntimeError("the bot")

    async def reads(turn: TurnContext) -> None:
        assert await count.get(turn) is None

    with pytest.raises(RuntimeError, match="the bot"):
        await bot.turn(fails)
    await bot.turn(reads)


async def test_on_error_save_keeps_the_changes(states: StateScopes) -> None:
    bot = Bot(StateMiddleware(states, on_error="save"))
    count = states.user.create_property("count", int)

    async def fails(turn: TurnContext) -> None:
        await count.set(turn, 1)
        raise RuntimeError("the bot")

    async def reads(turn: TurnContext) -> None:
        assert await count.get(turn) == 1

    with pytest.raises(RuntimeError, match="the bot"):
        await bot.turn(fails)
    await bot.turn(reads)


async def test_on_turn_error_may_delete_the_conversation(states: StateScopes, bot: Bot) -> None:
    data = states.conversation.create_property("data")
    name = states.user.create_property("name")

    async def writes(turn: TurnContext) -> None:
        await data.set(turn, {"broken": True})
        await name.set(turn, "Ann")

    async def fails(turn: TurnContext) -> None:
        await data.set(turn, {"broken": "more"})
        raise RuntimeError("the bot")

    async def on_error(turn: TurnContext, error: Exception) -> None:
        await states.conversation.delete(turn)

    async def reads(turn: TurnContext) -> None:
        assert await data.get(turn) is None
        assert await name.get(turn) == "Ann"

    await bot.turn(writes)
    bot.adapter.on_turn_error = on_error
    await bot.turn(fails)
    bot.adapter.on_turn_error = None
    await bot.turn(reads)


async def test_on_turn_error_handles_a_conflict_with_the_same_turn(states: StateScopes) -> None:
    bot = Bot(StateMiddleware(states))
    data = states.conversation.create_property("data")
    seen: list[Exception] = []

    async def on_error(turn: TurnContext, error: Exception) -> None:
        seen.append(error)
        assert await data.get(turn) == "theirs"
        await states.conversation.delete(turn)

    async def loses(turn: TurnContext) -> None:
        await data.set(turn, "mine")
        other = context()
        await data.set(other, "theirs")
        await states.conversation.save_changes(other)

    bot.adapter.on_turn_error = on_error
    await bot.turn(loses)
    assert isinstance(seen[0], StateConflictError)
    assert seen[0].properties == ("data",)
    assert seen[0].key == "test/conversations/conv"
    assert "Etag conflict" in str(seen[0])
    assert await data.get(context()) is None


@pytest.mark.parametrize(
    ("missing", "activity"),
    [("user", message(user=None)), ("conversation", message(conversation=None))],
)
async def test_an_activity_without_user_or_conversation(
    states: StateScopes, bot: Bot, missing: str, activity: Activity
) -> None:
    scope = getattr(states, missing)

    async def logic(turn: TurnContext) -> None:
        with pytest.raises(StateKeyError, match=missing):
            await scope.create_property("x").get(turn)
        with pytest.raises(TypeError):  # what upstream raises
            await states.private.create_property("x").set(turn, 1)
        await states.bot.create_property("x").set(turn, 1)

    await bot.turn(logic, activity)
    assert await states.bot.create_property("x").get(context()) == 1


async def test_a_save_by_hand_in_the_turn_and_then_more_changes(
    states: StateScopes, bot: Bot
) -> None:
    items = states.conversation.create_property("items")

    async def logic(turn: TurnContext) -> None:
        value = await items.get(turn, list)
        value.append(1)
        await states.conversation.save_changes(turn)
        value.append(2)
        await states.conversation.save_changes(turn)
        value.append(3)

    await bot.turn(logic)
    assert await items.get(context()) == [1, 2, 3]


async def test_two_turns_share_no_live_object(states: StateScopes) -> None:
    items = states.conversation.create_property("items")
    one, two = context(), context()
    await items.set(one, [1])
    await states.conversation.save_changes(one)
    (await items.get(one, list)).append("never saved")
    assert await items.get(two) == [1]


async def test_a_turn_inside_a_turn(states: StateScopes, bot: Bot) -> None:
    inner_name = states.user.create_property("inner")
    outer_name = states.user.create_property("outer")

    async def inner(turn: TurnContext) -> None:
        await inner_name.set(turn, 1)

    async def outer(turn: TurnContext) -> None:
        await outer_name.set(turn, 2)
        await bot.turn(inner)

    await bot.turn(outer)
    after = context()
    assert (await inner_name.get(after), await outer_name.get(after)) == (1, 2)


async def test_the_middleware_used_twice_is_one_turn() -> None:
    counting = CountingStorage(storages.MemoryStorage())
    states = StateScopes(counting)
    bot = Bot(StateMiddleware(states), StateMiddleware(states))

    async def logic(turn: TurnContext) -> None:
        await states.user.create_property("x").set(turn, 1)

    await bot.turn(logic)
    assert counting.round_trips == 2


@pytest.mark.parametrize("on_conflict", ["merge", "raise", "last_writer_wins", "replay"])
async def test_a_middleware_that_uses_state_before_ours(
    states: StateScopes, on_conflict: Any
) -> None:
    """Its look at state is no turn: ours loads and saves all the same, and what it set is kept."""
    name, visits = states.user.create_property("name"), states.user.create_property("visits", int)

    class Early:
        async def on_turn(self, turn: TurnContext, logic: Any) -> None:
            await visits.set(turn, await visits.get(turn, 0) + 1)
            await next_step(turn, logic)

    async def logic(turn: TurnContext) -> None:
        await name.set(turn, f"Ann {await visits.get(turn)}")

    bot = Bot(Early(), StateMiddleware(states, on_conflict=on_conflict))
    await bot.turn(logic)
    await bot.turn(logic)
    after = context()
    assert (await name.get(after), await visits.get(after)) == ("Ann 2", 2)


async def test_continue_conversation_loads_and_saves(states: StateScopes, bot: Bot) -> None:
    count = states.conversation.create_property("count", int)
    reference = reference_to(message())

    async def logic(turn: TurnContext) -> None:
        await count.set(turn, await count.get(turn, 0) + 1)

    await bot.turn(logic)
    await bot.adapter.continue_conversation(reference, logic)
    assert await count.get(context()) == 2


@pytest.mark.bot_framework
async def test_an_apps_own_bot_state_is_loaded_and_saved(states: StateScopes) -> None:
    from botbuilder.core import BotState, MemoryStorage

    class TeamState(BotState):
        def __init__(self, storage: MemoryStorage) -> None:
            super().__init__(storage, "TeamState")

        def get_storage_key(self, turn_context: TurnContext) -> str:
            return "team/1"

    memory = MemoryStorage()
    team = TeamState(memory)
    states.add(team)
    bot = Bot(StateMiddleware(states))

    async def logic(turn: TurnContext) -> None:
        assert team.get(turn) is not None, "it was loaded"
        await team.create_property("members").set(turn, 3)

    await bot.turn(logic)
    assert memory.memory["team/1"]["members"] == 3


async def test_a_scope_of_the_apps_own(states: StateScopes, bot: Bot) -> None:
    team = states.scope("team", key=lambda turn: turn.activity.conversation.id.split(";")[0])
    size = team.create_property("size", int)

    async def logic(turn: TurnContext) -> None:
        await size.set(turn, 5)

    await bot.turn(logic, message(conversation="19:abc;messageid=1"))
    assert await size.get(context(message(conversation="19:abc;messageid=2"))) == 5
    assert await size.at("19:abc").get(context()) == 5


@pytest.mark.parametrize("name", ["user", "shared", "a/b", "", "1"])
def test_a_scope_needs_a_name_of_its_own(states: StateScopes, name: str) -> None:
    with pytest.raises(ValueError, match="scope"):
        states.scope(name)


async def test_key_functions_choose_user_and_conversation(storage: storages.MemoryStorage) -> None:
    states = StateScopes(
        storage,
        user_key=lambda turn: turn.activity.from_property.aad_object_id,
        conversation_key=lambda turn: None,
    )
    name = states.user.create_property("name")
    on_teams, on_web = message(channel="msteams", user="1"), message(channel="web", user="2")
    on_teams.from_property.aad_object_id = on_web.from_property.aad_object_id = "ann"
    turn = context(on_teams)
    await name.set(turn, "Ann")
    await states.conversation.create_property("x").set(turn, 1)
    await states.user.save_changes(turn)
    await states.conversation.save_changes(turn)
    assert await name.get(context(on_web)) == "Ann"
    assert await storage.get("msteams/conversations/conv") is not None


async def test_documents_asked_for_together_are_read_in_one_batch() -> None:
    counting = CountingStorage(storages.MemoryStorage())
    states = StateScopes(counting)
    order = states.shared.create_property("order")
    turn = context()
    await asyncio.gather(*(order.at(str(i)).get(turn) for i in range(10)))
    assert counting.round_trips == 1


async def test_four_scopes_cost_two_round_trips() -> None:
    counting = CountingStorage(storages.MemoryStorage())
    states = StateScopes(counting)
    bot = Bot(StateMiddleware(states))

    async def logic(turn: TurnContext) -> None:
        for scope in (states.user, states.conversation, states.private, states.bot):
            value = await scope.create_property("n").get(turn, dict)
            value["n"] = value.get("n", 0) + 1

    await bot.turn(logic)
    assert counting.round_trips == 4  # the first use of the private and of the bot scope
    for _ in range(2):
        counting.reset()
        await bot.turn(logic)
        assert counting.round_trips == 2


async def test_a_turn_reads_what_the_process_uses() -> None:
    counting = CountingStorage(storages.MemoryStorage())
    states = StateScopes(counting)
    bot = Bot(StateMiddleware(states))
    team = states.scope("team", key=lambda turn: "red")

    async def keys_read(logic: Any) -> int:
        counting.reset()
        await bot.turn(logic)
        return sum(counting.keys_read.values())

    async def nothing(turn: TurnContext) -> None: ...

    async def ask(turn: TurnContext) -> None:
        await states.private.load(turn)

    async def query(turn: TurnContext) -> None:
        await states.query(turn, "$.bot.motto")

    async def bind(turn: TurnContext) -> None:
        states.workflow.bind(turn, "1")

    assert await keys_read(nothing) == 2  # user and conversation
    team.create_property("motto")
    assert await keys_read(nothing) == 3
    assert await keys_read(ask) == 4
    assert counting.round_trips == 2  # a first use in the middle of a turn, once a process
    assert await keys_read(ask) == 4
    assert counting.round_trips == 1
    assert await keys_read(query) == 5
    assert await keys_read(nothing) == 5
    await team.at("blue").get_or_set_state(context(), "motto", "go")
    await states.shared.at("12").load(context())
    assert await keys_read(bind) == 5  # no turn starts with a shared document


async def test_a_task_that_outlives_its_turn_is_warned_about(
    states: StateScopes, bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    count = states.user.create_property("count")

    async def nothing(turn: TurnContext) -> None: ...

    turn = await bot.turn(nothing)
    await count.set(turn, "a secret")
    turn.turn_state.clear()
    assert "'count'" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.bot_framework
async def test_auto_save_and_bot_state_set_work_as_with_upstream() -> None:
    from botbuilder.core import AutoSaveStateMiddleware, BotStateSet, MemoryStorage

    from botstate_ext import ConversationState, UserState

    memory = MemoryStorage()
    user, conversation = UserState(memory), ConversationState(memory)
    name, topic = user.create_property("name"), conversation.create_property("topic")
    bot = Bot(AutoSaveStateMiddleware(BotStateSet([user, conversation])))

    async def logic(turn: TurnContext) -> None:
        await name.set(turn, "Ann")
        await topic.set(turn, "pizza")

    await bot.turn(logic)
    turn = context()
    await BotStateSet([user, conversation]).load_all(turn)
    assert (await name.get(turn), await topic.get(turn)) == ("Ann", "pizza")
    assert user.get(turn) == {"name": "Ann"}
    cached: Any = conversation.get_cached_state(turn)
    cached.state["topic"] = "pasta"
    assert cached.is_changed
    await BotStateSet([user, conversation]).save_all_changes(turn)
    assert await topic.get(context()) == "pasta"


@pytest.mark.parametrize(("name", "value"), [("on_conflict", "never"), ("on_error", "ignore")])
def test_a_wrong_option_says_what_is_right(states: StateScopes, name: str, value: str) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"{name} must be one of"):
        StateMiddleware(states, **options)


def test_the_middleware_takes_scopes_not_storage() -> None:
    with pytest.raises(TypeError, match="StateScopes"):
        StateMiddleware(storages.MemoryStorage())


async def test_a_save_that_fails_after_the_bot_does_not_hide_the_bots_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faulty = FaultyStorage(storages.MemoryStorage())
    states = StateScopes(faulty)
    name = states.user.create_property("name")
    bot = Bot(StateMiddleware(states, on_error="save", replies="after_save"))

    async def logic(turn: TurnContext) -> None:
        await name.set(turn, "Ann")
        await turn.send_activity("saved")
        raise RuntimeError("the bot's own")

    faulty.fail("put")
    with pytest.raises(RuntimeError, match="the bot's own"):
        await bot.turn(logic)
    assert "could not be saved" in caplog.text
    assert [a.text for a in bot.adapter.activity_buffer] == []
    assert await name.get(context()) is None
