"""What the SDK's application does around a turn, with each way to send replies and to save."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from microsoft_agents.activity import (
    Activity,
    ChannelAccount,
    ConversationParameters,
    InvokeResponse,
)
from microsoft_agents.hosting.core import AuthHandler, ClaimsIdentity
from microsoft_agents.hosting.core.app.proactive import (
    CreateConversationOptions,
    ProactiveOptions,
)
from microsoft_agents.hosting.core.app.typing_indicator import TypingOptions

from botstate_ext.agents import AgentsStorage, StateScopes, TurnState
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import FaultyStorage
from tests.agents.test_turns import count
from tests.agents.world import Tokens, application, prepared
from tests.patience import LIMIT

MODES: dict[str, dict[str, Any]] = {
    "immediate": {},
    "held": {"replies": "after_save"},
    "replay": {"on_conflict": "replay"},
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {**MODES[request.param], "deduplicate": timedelta(minutes=5)}


def made(states: StateScopes, **options: Any) -> Any:
    return application(
        storage=AgentsStorage(states.storage), turn_state_factory=states.turn_state, **options
    )


async def saved_count(states: StateScopes, conversation: str = "talk") -> Any:
    async with states.unit_of_work(channel_id="test", conversation_id=conversation) as work:
        return await states.conversation.create_property("count").get(work)


async def test_streaming(mode: dict[str, Any]) -> None:
    states = StateScopes(MemoryStorage())

    async def on_message(context: Any, state: TurnState) -> None:
        state.conversation.set_value("count", 1)
        context.streaming_response.queue_informative_update("thinking")
        context.streaming_response.queue_text_chunk("a ")
        context.streaming_response.queue_text_chunk("b")
        await context.streaming_response.end_stream()
        await context.send_activity("after")

    async with prepared(states, on_message, made(states), **mode) as agent:
        channel = {"channelId": "webchat"}
        assert await agent.say("hi", **channel) == ["a b", "after"]
        parts = [each for each in agent.channel.activities if each["type"] == "typing"]
        if mode.get("on_conflict") == "replay":
            assert parts == [], "a turn that may run again sends the whole as one message"
        else:
            assert parts[0]["text"] == "thinking"
            assert agent.channel.activities.index(parts[0]) == 0
        assert await agent.say("hi") == ["a b", "after"], "on a channel that does not stream"


@pytest.mark.parametrize("channel", ["webchat", "msteams"])
async def test_a_turn_that_runs_again_streams_once(channel: str) -> None:
    states, attempts = StateScopes(MemoryStorage()), list[int]()

    async def on_message(context: Any, state: TurnState) -> None:
        attempts.append(1)
        context.streaming_response.queue_informative_update("thinking")
        context.streaming_response.queue_text_chunk(f"attempt {len(attempts)}")
        await context.streaming_response.end_stream()
        state.conversation.set_value("count", len(attempts))
        if len(attempts) == 1:
            other = StateScopes(states.storage)
            async with other.unit_of_work(channel_id=channel, conversation_id="talk") as work:
                await other.conversation.create_property("count").set(work, 9)

    async with prepared(states, on_message, made(states), on_conflict="replay") as agent:
        assert await agent.say("hi", channelId=channel) == ["attempt 2"]
        assert [each["type"] for each in agent.channel.activities] == ["message"]


async def test_the_typing_timer(mode: dict[str, Any]) -> None:
    states = StateScopes(MemoryStorage())
    app = made(
        states, start_typing_timer=True, typing=TypingOptions(initial_delay_ms=0, interval_ms=10)
    )
    typed = asyncio.Event()

    async def on_message(context: Any, state: TurnState) -> None:
        await count(context, state)
        if context.activity.text == "slow":
            await typed.wait()

    async with prepared(states, None, app, **mode) as agent:
        agent.channel.on_reply = lambda a: typed.set() if a["type"] == "typing" else None

        @app.activity("message")
        async def wait_first(context: Any, state: TurnState) -> None:
            await typed.wait()
            await count(context, state)

        assert await agent.say("slow") == ["ann 1"]
        assert agent.channel.activities[0]["type"] == "typing"
        assert await agent.say("hi") == ["ann 2"]


@pytest.mark.parametrize("handles_errors", [True, False])
async def test_long_running_messages(mode: dict[str, Any], handles_errors: bool) -> None:
    states = StateScopes(MemoryStorage())
    app = made(states, long_running_messages=True, bot_app_id="x")
    async with prepared(states, count, app, **mode) as agent:
        if handles_errors:

            @app.error
            async def on_error(context: Any, error: Exception) -> None:
                await context.send_activity("sorry")

        assert await agent.say("hi") == ["ann 1"]
        failing = agent.activity("fail")
        await agent.post(failing)
        held = [] if len(mode) > 1 else ["ann 2"]
        sorry = "sorry" if handles_errors else "Sorry, something went wrong."
        assert agent.channel.said == ["ann 1", *held, sorry]
        assert await saved_count(states) == 1
        agent.channel.activities.clear()
        await agent.post({**failing, "text": "again"})
        assert agent.channel.said == ["ann 2"], "a failed turn's activity may come again"
        await agent.post({**failing, "text": "again"})
        assert agent.channel.said == ["ann 2"]


async def test_proactive_turns(mode: dict[str, Any]) -> None:
    states = StateScopes(MemoryStorage())
    app = made(states, proactive=ProactiveOptions())

    async def on_message(context: Any, state: TurnState) -> None:
        await app.proactive.store_conversation(context)
        await count(context, state)

    async def on_news(context: Any, state: TurnState) -> None:
        await count(context, state)

    async def failing(context: Any, state: TurnState) -> None:
        await count(context, state)
        raise LookupError("news")

    async def lost(context: Any, state: TurnState) -> None:
        state.conversation.set_value("count", 50)
        other = StateScopes(states.storage)
        async with other.unit_of_work(channel_id="test", conversation_id="talk") as work:
            await other.conversation.create_property("count").set(work, 9)

    async with prepared(states, on_message, app, **mode) as agent:

        @app.error
        async def on_error(context: Any, error: Exception) -> None:
            await context.send_activity("never said: the caller has the error")

        await agent.say("hi")
        await app.proactive.continue_conversation(agent.adapter, "talk", on_news)
        assert agent.channel.said == ["ann 1", "ann 2"]
        with pytest.raises(LookupError):
            await app.proactive.continue_conversation(agent.adapter, "talk", failing)
        assert agent.channel.said[2:] == ([] if len(mode) > 1 else ["ann 3"])
        assert await saved_count(states) == 2
        if mode.get("on_conflict") != "replay":
            with pytest.raises(Exception, match="Etag conflict"):
                await app.proactive.continue_conversation(agent.adapter, "talk", lost)
            assert await saved_count(states) == 9
        assert "never said" not in str(agent.channel.said)


async def test_a_proactive_turn_within_a_turn(mode: dict[str, Any]) -> None:
    """Its replies are held with those of the turn around it, and its connection closed meanwhile"""
    states = StateScopes(MemoryStorage())
    app = made(states, proactive=ProactiveOptions())

    async def on_news(context: Any, state: TurnState) -> None:
        await count(context, state)

    async def on_message(context: Any, state: TurnState) -> None:
        if context.activity.conversation.id == "other":
            await app.proactive.store_conversation(context)
            return
        await context.send_activity("before")
        await app.proactive.continue_conversation(agent.adapter, "other", on_news)
        await context.send_activity("after")

    async with prepared(states, on_message, app, **mode) as agent:
        await agent.say("hi", conversation="other")
        assert await agent.say("hi") == ["before", "ann 1", "after"]
        assert await saved_count(states, "other") == 1


async def test_a_turn_in_a_task_that_a_turn_started_is_a_part_of_it(
    mode: dict[str, Any],
) -> None:
    """As on the other SDK: it does not wait for the turn that waits for it."""
    states = StateScopes(MemoryStorage())
    app = made(states, proactive=ProactiveOptions())

    async def on_message(context: Any, state: TurnState) -> None:
        await app.proactive.store_conversation(context)
        news = app.proactive.continue_conversation(agent.adapter, "talk", count)
        await asyncio.wait([asyncio.create_task(news)])
        if context.activity.text == "fail":
            raise RuntimeError

    async with prepared(states, on_message, app, **mode) as agent:

        @app.error
        async def on_error(context: Any, error: Exception) -> None:
            await context.send_activity("sorry")

        assert await agent.say("hi") == ["ann 1"]
        holds = "replies" in mode or "on_conflict" in mode
        assert await agent.say("fail") == ([] if holds else ["ann 2"]) + ["sorry"]
        assert await saved_count(states) == (1 if "on_conflict" in mode else 2)


async def test_a_new_conversation(mode: dict[str, Any]) -> None:
    states = StateScopes(MemoryStorage())
    app = made(states, proactive=ProactiveOptions())

    async def welcome(context: Any, state: TurnState) -> None:
        state.conversation.set_value("count", 7)
        await context.send_activity("welcome")

    async with prepared(states, None, app, **mode) as agent:
        options = CreateConversationOptions(
            identity=ClaimsIdentity(),
            channel_id="test",
            service_url=agent.channel.url,
            parameters=ConversationParameters(agent=ChannelAccount(id="agent")),
            audience="x",
        )
        await app.proactive.create_conversation(agent.adapter, options, welcome)
        assert agent.channel.said == ["welcome"]
    assert await saved_count(states, "new") == 7


async def test_expected_replies_and_invokes(mode: dict[str, Any]) -> None:
    """They are answered in the answer of the request."""
    states = StateScopes(MemoryStorage())

    async def on_invoke(context: Any, state: TurnState) -> None:
        state.conversation.set_value("count", 5)
        value = InvokeResponse(status=200, body={"answer": 1})
        await context.send_activity(Activity(type="invokeResponse", value=value))

    async with prepared(states, count, **mode) as agent:
        agent.app.activity("invoke")(on_invoke)
        answer = await agent.post(agent.activity("hi", deliveryMode="expectReplies"))
        assert [each["text"] for each in answer["activities"]] == ["ann 1"]
        assert agent.channel.activities == []
        assert await agent.post(agent.activity(type="invoke", name="n")) == {"answer": 1}
        assert await agent.say("hi") == ["ann 6"]


def signing_in(states: StateScopes, storage: Any) -> Any:
    handler = AuthHandler("graph", abs_oauth_connection_name="c", auth_type="UserAuthorization")
    return application(
        storage=AgentsStorage(storage),
        turn_state_factory=states.turn_state,
        auto_sign_in=True,
        authorization_handlers={"graph": handler},
    )


async def test_auto_sign_in(mode: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tokens, "signed_in", False)
    states = StateScopes(MemoryStorage())
    app = signing_in(states, states.storage)
    async with prepared(states, count, app, **mode) as agent:
        agent.query = "?app=agent-id"
        asked = agent.activity("what I wanted")
        await agent.post(asked)
        (card,) = agent.channel.activities
        assert card["attachments"][0]["contentType"].endswith("oauth")
        agent.channel.activities.clear()
        goes_on = asyncio.Event()
        agent.channel.on_reply = lambda _: goes_on.set()
        await agent.post(agent.activity("123456"))
        await asyncio.wait_for(goes_on.wait(), LIMIT.total_seconds())
        assert agent.channel.said == ["ann 1"], "it goes on with what the user had wanted"
        assert await agent.say("next") == ["ann 2"]
        await agent.post(asked)
        assert agent.channel.said == ["ann 1", "ann 2"], "it is handled now"
        assert await saved_count(states) == 2


async def test_what_goes_on_after_a_sign_in_is_no_part_of_the_turn_that_signed_in(
    mode: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK starts it and does not wait: that the first turn fails undoes nothing of it."""
    monkeypatch.setattr(Tokens, "signed_in", False)
    storage = FaultyStorage(MemoryStorage())
    states = StateScopes(storage)
    app = signing_in(states, MemoryStorage())
    async with prepared(states, count, app, **mode) as agent:

        @app.error
        async def on_error(context: Any, error: Exception) -> None:
            await context.send_activity("sorry")

        agent.query = "?app=agent-id"
        await agent.post(agent.activity("what I wanted"))
        agent.channel.activities.clear()  # the card
        goes_on = asyncio.Event()
        agent.channel.on_reply = lambda a: goes_on.set() if a.get("text") == "ann 1" else None
        held = storage.hold("put")
        storage.fail("put")
        signs_in = asyncio.create_task(agent.post(agent.activity("123456")))
        await held.reached()
        for _ in range(50):  # the other turn comes as far as it can
            await asyncio.sleep(0)
        held.release()
        await signs_in
        await asyncio.wait_for(goes_on.wait(), LIMIT.total_seconds())
        assert agent.channel.said == ["sorry", "ann 1"]
        assert await agent.say("next") == ["ann 2"]
