"""Turns of an agent, over real HTTP with the SDK's aiohttp hosting."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from microsoft_agents.hosting.core import ActivityHandler, MessageFactory

from botstate_ext import turn_is_replay
from botstate_ext.agents import AgentsStorage, StateMiddleware, StateScopes, TurnState, setup
from botstate_ext.errors import StateConflictError, StateKeyError
from botstate_ext.storage import MemoryStorage
from tests.agents.world import Agent, adapter, application, prepared


@dataclass
class Cart:
    items: list[str] = field(default_factory=list)


async def count(context: Any, state: TurnState) -> None:
    """Count the messages of a conversation; "fail" fails after it has counted and spoken."""
    n = state.conversation.get_value("count", lambda: 0) + 1
    state.conversation.set_value("count", n)
    await context.send_activity(f"{context.activity.from_property.id} {n}")
    if context.activity.text == "fail":
        raise RuntimeError("its own secret")


async def test_values_are_kept(storage: Any, start: Any) -> None:
    states = StateScopes(storage)
    carts = states.user.create_property("cart", Cart, default=Cart, merge="append")

    async def on_message(context: Any, state: TurnState) -> None:
        n = state.conversation.get_value("count", lambda: 0)
        state.set_value("ConversationState.count", n + 1)
        cart = await carts.get(context, Cart)
        cart.items.append(context.activity.text)
        items = state.get_value("user.cart").items
        await context.send_activity(f"{state.get_value('conversation.count')} {items}")

    agent = await start(states, on_message)
    assert await agent.say("tea") == ["1 ['tea']"]
    assert await agent.say("milk") == ["2 ['tea', 'milk']"]
    assert await agent.say("tea", user="bob") == ["3 ['tea']"]
    assert await agent.say("bread", conversation="other") == ["1 ['tea', 'milk', 'bread']"]


async def test_every_scope_by_both_spellings(start: Any) -> None:
    states = StateScopes(MemoryStorage())
    states.scope("team", key=lambda turn: turn.activity.channel_data["team"])
    found: dict[str, Any] = {}

    async def on_message(context: Any, state: TurnState) -> None:
        for scope in ("user", "conversation", "private", "bot", "team"):
            found[scope] = state.get_value(f"{scope}.text")
            state.set_value(f"{scope}.text", context.activity.text)
        for name in ("UserState", "ConversationState", "PrivateConversationState"):
            assert state.get_value(f"{name}.text") == context.activity.text
        assert state.has_value("private.text")
        state.set_value("only now", 1)
        assert state.get_value("temp.only now") == 1
        with pytest.raises(ValueError, match="nothing"):
            state.get_value("nothing.text")

    agent = await start(states, on_message)
    team = {"channelData": {"team": "red"}}
    await agent.say("one", **team)
    assert set(found.values()) == {None}
    await agent.say("two", **team)
    assert set(found.values()) == {"one"}
    await agent.say("three", user="bob", conversation="other", channelData={"team": "blue"})
    assert found == {
        "user": None, "conversation": None, "private": None, "bot": "two", "team": None,
    }  # fmt: skip


async def test_deleting_clearing_and_defaults(start: Any) -> None:
    states = StateScopes(MemoryStorage())
    seen: list[Any] = []

    async def on_message(context: Any, state: TurnState) -> None:
        scope = state.conversation
        if context.activity.text == "set":
            for name, value in (("zero", 0), ("empty", ""), ("list", []), ("no", False)):
                scope.set_value(name, value)
            assert scope.get_value("absent") is None
        elif context.activity.text == "delete":
            scope.delete_value("zero")
            scope.delete_value("never there")
        elif context.activity.text == "clear":
            state.clear(context, "conversation")
        seen.append([scope.get_value(n, lambda: 9) for n in ("zero", "empty", "list", "no")])
        seen[-1].append(scope.has_value("absent"))

    agent = await start(states, on_message)
    for text in ("set", "look", "delete", "clear", "look"):
        await agent.say(text)
    assert seen == [
        [0, "", [], False, False],
        [0, "", [], False, False],
        [9, "", [], False, False],
        [9, 9, 9, 9, False],
        [9, 9, 9, 9, False],
    ]


async def test_the_sdks_activity_handler(storage: Any, start: Any) -> None:
    states = StateScopes(storage)
    names = states.user.create_property("name")

    class Handler(ActivityHandler):
        async def on_message_activity(self, turn_context: Any) -> None:
            n = states.conversation.get_value("count", lambda: 0)
            states.conversation.set_value("count", n + 1)
            before = await names.get(turn_context, "nobody")
            await names.set(turn_context, turn_context.activity.text)
            await states.user.save(turn_context)
            await turn_context.send_activity(f"{n} {before}")

    on = adapter()
    on.use(StateMiddleware(states))
    async with Agent(Handler(), on) as agent:
        assert await agent.say("Ann") == ["0 nobody"]
        assert await agent.say("Bob") == ["1 Ann"]


async def test_one_object_for_all_turns_at_once() -> None:
    """The SDK's own pattern for handlers: one UserState, loaded and saved in each turn."""
    states = StateScopes(MemoryStorage())
    both = asyncio.Barrier(2) if hasattr(asyncio, "Barrier") else None

    class Handler(ActivityHandler):
        async def on_message_activity(self, turn_context: Any) -> None:
            await states.user.load(turn_context)
            states.user.set_value("name", turn_context.activity.from_property.id)
            if both is not None:
                await both.wait()
            await asyncio.sleep(0)
            await states.user.save(turn_context)

    on = adapter()
    on.use(StateMiddleware(states))
    async with Agent(Handler(), on) as agent:
        await asyncio.gather(
            agent.say("hi", user="ann", conversation="a"),
            agent.say("hi", user="bob", conversation="b"),
        )
    for user in ("ann", "bob"):
        async with states.unit_of_work(channel_id="test", user_id=user) as work:
            assert (await states.user.get_state(work, "name")).payload == user


# A turn that failed


async def test_a_turn_whose_error_the_app_handled_saves_nothing(storage: Any, start: Any) -> None:
    states = StateScopes(storage)
    agent = await start(states, count)

    @agent.app.error
    async def on_error(context: Any, error: Exception) -> None:
        await context.send_activity(f"sorry, {type(error).__name__}")

    assert await agent.say("hi") == ["ann 1"]
    assert await agent.say("fail") == ["ann 2", "sorry, RuntimeError"]
    assert await agent.say("hi") == ["ann 2"]


@pytest.mark.parametrize("mode", [{"replies": "after_save"}, {"on_conflict": "replay"}])
async def test_an_error_handlers_words_are_sent_and_the_held_ones_are_not(
    start: Any, mode: dict[str, Any]
) -> None:
    states = StateScopes(MemoryStorage())
    agent = await start(states, count, **mode)

    @agent.app.error
    async def on_error(context: Any, error: Exception) -> None:
        n = await states.conversation.create_property("count").get(context)
        await context.send_activity(f"sorry, still {n}")

    assert await agent.say("hi") == ["ann 1"]
    assert await agent.say("fail") == ["sorry, still 1"]
    assert await agent.say("hi") == ["ann 2"]


async def test_an_error_handler_may_save(start: Any) -> None:
    states = StateScopes(MemoryStorage())
    agent = await start(states, count)

    @agent.app.error
    async def on_error(context: Any, error: Exception) -> None:
        await states.conversation.delete(context)
        await states.user.create_property("failed").set(context, True)
        await states.user.save(context)

    await agent.say("hi")
    await agent.say("fail")
    assert await agent.say("hi") == ["ann 1"]
    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        assert await states.user.create_property("failed").get(work) is True


async def test_on_error_save_keeps_what_the_turn_had(start: Any) -> None:
    states = StateScopes(MemoryStorage())
    agent = await start(states, count, on_error="save", replies="after_save")

    @agent.app.error
    async def on_error(context: Any, error: Exception) -> None:
        await context.send_activity("sorry")

    assert await agent.say("fail") == ["ann 1", "sorry"]
    assert await agent.say("hi") == ["ann 2"]


async def test_no_exceptions_text_reaches_the_user(
    start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    agent = await start(StateScopes(MemoryStorage()), count, replies="after_save")
    assert await agent.say("fail") == ["Sorry, something went wrong."]
    assert "nothing of the app handled its error" in caplog.text
    assert await agent.say("hi") == ["ann 1"]


async def test_an_adapters_own_error_handler_stays(start: Any) -> None:
    agent = await start(StateScopes(MemoryStorage()), count)

    async def on_turn_error(context: Any, error: Exception) -> None:
        await context.send_activity(MessageFactory.text("mine"))

    agent.adapter.on_turn_error = on_turn_error
    assert await agent.say("fail") == ["ann 1", "mine"]


async def test_a_redelivered_activity_of_a_failed_turn_is_handled(start: Any) -> None:
    fails = [True]

    async def on_message(context: Any, state: TurnState) -> None:
        if fails.pop():
            raise RuntimeError
        await context.send_activity("done")

    states = StateScopes(MemoryStorage())
    agent = await start(states, on_message, deduplicate=timedelta(minutes=5))

    @agent.app.error
    async def on_error(context: Any, error: Exception) -> None:
        fails.append(False)

    activity = agent.activity("hi")
    for _ in range(3):
        await agent.post(activity)
    assert agent.channel.said == ["done"]


# An error of the save


async def overtaken(states: StateScopes, activity: Any) -> None:
    """Let another process write what the turn of this activity changes."""
    other = StateScopes(states.storage)
    async with other.unit_of_work(
        channel_id="test", user_id="ann", conversation_id=activity.conversation.id
    ) as work:
        await other.conversation.create_property("count").set(work, 100)


@pytest.mark.parametrize("replies", ["immediate", "after_save"])
async def test_an_error_of_the_save_reaches_the_app(storage: Any, start: Any, replies: str) -> None:
    states = StateScopes(storage)
    errors: list[Exception] = []

    async def on_message(context: Any, state: TurnState) -> None:
        state.conversation.set_value("count", 1)
        await overtaken(states, context.activity)
        await context.send_activity("counted")

    agent = await start(states, on_message, replies=replies, deduplicate=timedelta(minutes=5))

    @agent.app.error
    async def on_error(context: Any, error: Exception) -> None:
        errors.append(error)
        n = await states.conversation.create_property("count").get(context)
        await context.send_activity(f"not saved, {n}")

    activity = agent.activity("hi")
    await agent.post(activity)
    held = [] if replies == "after_save" else ["counted"]
    assert agent.channel.said == [*held, "not saved, 100"]
    assert [type(error) for error in errors] == [StateConflictError]


async def test_an_error_of_the_load_reaches_the_app(start: Any) -> None:
    class Down(MemoryStorage):
        is_down = False

        async def get_many(self, keys: Any) -> Any:
            if self.is_down:
                raise ConnectionError("down")
            return await super().get_many(keys)

    storage = Down()
    agent = await start(StateScopes(storage), count)

    @agent.app.error
    async def on_error(context: Any, error: Exception) -> None:
        await context.send_activity(f"later: {type(error).__name__}")

    storage.is_down = True
    assert await agent.say("hi") == ["later: ConnectionError"]


# Replay


async def test_untyped_counters_lose_nothing_under_replay(storage: Any, start: Any) -> None:
    """Two agents on one storage, as two processes: their turns do not wait for each other."""
    agents = [
        await start(StateScopes(storage), count, on_conflict="replay", serialize_turns=False)
        for _ in range(2)
    ]
    said = await asyncio.gather(*(agents[n % 2].say("hi") for n in range(8)))
    del said
    numbers = {text for agent in agents for text in agent.channel.said}
    assert numbers == {f"ann {n}" for n in range(1, 9)}


async def test_a_replayed_turn_begins_as_it_began(start: Any) -> None:
    states = StateScopes(MemoryStorage())
    attempts: list[Any] = []

    async def on_message(context: Any, state: TurnState) -> None:
        attempts.append((context.activity.text, turn_is_replay(context), context.responded))
        context.activity.text = "changed"
        context.activity.entities = []
        state.conversation.set_value("count", state.conversation.get_value("count", lambda: 0) + 1)
        await context.send_activity(f"count {state.conversation.get_value('count')}")
        if len(attempts) == 1:
            await overtaken(states, context.activity)

    agent = await start(states, on_message, on_conflict="replay")
    assert await agent.say("hi") == ["count 101"]
    assert attempts == [("hi", False, False), ("hi", True, False)]


async def test_a_turn_that_always_loses_reaches_the_app(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botstate_ext.turn.replay.MAX_ATTEMPTS", 3)
    states = StateScopes(MemoryStorage())
    numbers = iter(range(1000))

    async def on_message(context: Any, state: TurnState) -> None:
        state.conversation.set_value("count", next(numbers))
        await overtaken(states, context.activity)
        other = StateScopes(states.storage)
        async with other.unit_of_work(channel_id="test", conversation_id="talk") as work:
            await other.conversation.create_property("count").set(work, next(numbers))

    agent = await start(states, on_message, on_conflict="replay")

    @agent.app.error
    async def on_error(context: Any, error: Exception) -> None:
        await context.send_activity(type(error).__name__)

    assert await agent.say("hi") == ["StateConflictError"]


# Without the middleware


async def test_the_turn_state_alone_loads_and_saves_as_the_sdks_does(storage: Any) -> None:
    states = StateScopes(storage)
    app = application(storage=AgentsStorage(storage), turn_state_factory=states.turn_state)
    setup(app, states)
    app.activity("message")(count)

    @app.error
    async def on_error(context: Any, error: Exception) -> None:
        await context.send_activity("sorry")

    async with Agent(app, adapter()) as agent:
        assert await agent.say("hi") == ["ann 1"]
        assert await agent.say("fail") == ["ann 2", "sorry"]
        assert await agent.say("hi") == ["ann 2"]


# What an app's own handlers around a turn do


async def test_a_handler_before_the_turn_may_end_it(start: Any) -> None:
    states = StateScopes(MemoryStorage())
    agent = await start(states, count, replies="after_save")

    @agent.app.before_turn
    async def stop(context: Any, state: TurnState) -> bool:
        state.conversation.set_value("count", state.conversation.get_value("count", lambda: 0) + 10)
        if context.activity.text == "stop":
            await context.send_activity("stopped")
            return False
        return True

    assert await agent.say("stop") == ["stopped"]
    assert await agent.say("hi") == ["ann 21"]


async def test_what_the_app_saves_itself_stays_if_the_turn_fails(storage: Any, start: Any) -> None:
    async def on_message(context: Any, state: TurnState) -> None:
        await context.send_activity(str(state.conversation.get_value("count", lambda: 0)))
        state.conversation.set_value("count", 1)
        await state.save(context)
        state.conversation.set_value("count", 2)
        raise RuntimeError

    agent = await start(StateScopes(storage), on_message)

    @agent.app.error
    async def on_error(context: Any, error: Exception) -> None:
        pass

    assert [*await agent.say("hi"), *await agent.say("hi")] == ["0", "1"]


# What is refused when the agent is made


async def test_what_setup_refuses() -> None:
    states = StateScopes(MemoryStorage())
    app = application(storage=AgentsStorage(states.storage))
    with pytest.raises(ValueError, match="keeps its state elsewhere"):
        setup(app, states)
    app = application(storage=AgentsStorage(states.storage), turn_state_factory=states.turn_state)
    with pytest.raises(TypeError, match="AgentApplication"):
        setup(states, app)
    with pytest.raises(ValueError, match="with the StateScopes"):
        setup(app, StateScopes(MemoryStorage()))
    setup(app, states)
    with pytest.raises(ValueError, match="already"):
        setup(app, states)
    with pytest.raises(TypeError, match="with a StateScopes"):
        TurnState.with_storage(MemoryStorage())


async def test_state_is_not_used_before_it_is_loaded() -> None:
    states = StateScopes(MemoryStorage())
    with pytest.raises(StateKeyError, match="is not loaded"):
        states.turn_state().user.get_value("name")
    with pytest.raises(StateKeyError, match="outside a turn"):
        states.user.get_value("name")


async def test_an_app_subclass_of_the_turn_state() -> None:
    class Mine(TurnState):
        @property
        def name(self) -> Any:
            return self.user.get_value("name", lambda: "nobody")

    states = StateScopes(MemoryStorage())

    async def on_message(context: Any, state: Mine) -> None:
        await context.send_activity(state.name)

    app = application(
        storage=AgentsStorage(states.storage), turn_state_factory=lambda: Mine(states)
    )
    async with prepared(states, on_message, app) as agent:
        assert await agent.say("hi") == ["nobody"]


async def test_what_a_function_makes_is_written_without_tags() -> None:
    """The SDK's accessor is given the class beside the function that makes the default."""
    storage = MemoryStorage()
    for items in ([], ["tea"]):
        states = StateScopes(storage)
        value: Any = states.user.create_property("cart")
        async with states.unit_of_work(channel_id="test", user_id="user") as work:
            cart = await value.get(work, lambda: Cart(), target_cls=Cart)
            assert cart == Cart(items)
            cart.items = ["tea"]
    item = await storage.get("test/users/user")
    assert item is not None
    assert item.data.startswith(b'{"cart":{"items":["tea"]}')
