"""Held replies, through the SDK's TestAdapter."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from botstate_ext import StateStorageError
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import FaultyStorage
from tests.turns import (
    ON_AGENTS,
    Activity,
    ActivityHandler,
    Bot,
    Entity,
    InvokeResponse,
    MessageFactory,
    ResourceResponse,
    StateMiddleware,
    StateScopes,
    TestAdapter,
    TurnContext,
    context,
    message,
    next_step,
    reference_to,
)

INVOKE_RESPONSE = (
    "ChannelAdapter.InvokeResponse" if ON_AGENTS else "BotFrameworkAdapter.InvokeResponse"
)


@pytest.fixture
def storage() -> FaultyStorage:
    return FaultyStorage(MemoryStorage())


@pytest.fixture
def states(storage: FaultyStorage) -> StateScopes:
    return StateScopes(storage)


@pytest.fixture
def bot(states: StateScopes) -> Bot:
    return Bot(StateMiddleware(states, replies="after_save"))


def said(bot: Bot) -> list[str]:
    return [activity.text for activity in bot.adapter.activity_buffer]


async def count(states: StateScopes, turn: TurnContext) -> None:
    prop = states.conversation.create_property("count", int)
    await prop.set(turn, await prop.get(turn, 0) + 1)


async def counted(states: StateScopes) -> int | None:
    value: int | None = await states.conversation.create_property("count", int).get(context())
    return value


class Outside:
    """A middleware before ours, which notes what was said when the turn is over."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def on_turn(self, turn: TurnContext, logic: Any) -> None:
        await next_step(turn, logic)
        self.seen = [activity.text for activity in turn.adapter.activity_buffer]


async def test_replies_go_in_order_when_state_is_saved(states: StateScopes) -> None:
    outside = Outside()
    bot = Bot(outside, StateMiddleware(states, replies="after_save"))

    async def logic(turn: TurnContext) -> None:
        await count(states, turn)
        await turn.send_activity("one")
        await turn.send_activities([MessageFactory.text("two"), MessageFactory.text("three")])
        assert turn.responded
        assert said(bot) == []

    await bot.turn(logic)
    assert outside.seen == ["one", "two", "three"]
    assert await counted(states) == 1


async def test_one_is_sent_after_the_other(states: StateScopes, bot: Bot) -> None:
    sending: list[str] = []

    async def slow(turn: TurnContext, activities: list[Activity]) -> list[ResourceResponse]:
        assert turn.adapter is not None
        sending.append(f"begin {activities[0].text}")
        await asyncio.sleep(0)
        sending.append(f"end {activities[0].text}")
        return [ResourceResponse(id="1")]

    async def logic(turn: TurnContext) -> None:
        await asyncio.gather(turn.send_activity("a"), turn.send_activity("b"))

    bot.adapter.send_activities = slow
    await bot.turn(logic)
    assert sending == ["begin a", "end a", "begin b", "end b"]


@pytest.mark.parametrize("operation", ["get", "put"])
async def test_nothing_is_said_when_state_cannot_be_loaded_or_saved(
    states: StateScopes, storage: FaultyStorage, bot: Bot, operation: Any
) -> None:
    responses: list[Any] = []

    async def logic(turn: TurnContext) -> None:
        responses.append(await turn.send_activity("ordered"))
        await count(states, turn)

    async def on_error(turn: TurnContext, error: Exception) -> None:
        assert isinstance(error, StateStorageError)
        assert turn.adapter is bot.adapter
        assert not turn.responded
        await turn.send_activity("sorry")
        assert said(bot) == ["sorry"]  # at once

    bot.adapter.on_turn_error = on_error
    storage.fail(operation)
    await bot.turn(logic)
    assert said(bot) == ["sorry"]
    assert [response.id for response in responses] == ([None] if operation == "put" else [])
    assert await counted(states) is None


async def test_nothing_is_said_when_the_bot_raises(states: StateScopes, bot: Bot) -> None:
    async def logic(turn: TurnContext) -> None:
        await turn.send_activity("half an answer")
        raise RuntimeError("the bot")

    with pytest.raises(RuntimeError, match="the bot"):
        await bot.turn(logic)
    assert said(bot) == []


async def test_with_on_error_save_replies_follow_the_state(states: StateScopes) -> None:
    bot = Bot(StateMiddleware(states, replies="after_save", on_error="save"))

    async def logic(turn: TurnContext) -> None:
        await count(states, turn)
        await turn.send_activity("counted")
        raise RuntimeError("the bot")

    with pytest.raises(RuntimeError, match="the bot"):
        await bot.turn(logic)
    assert (said(bot), await counted(states)) == (["counted"], 1)


async def test_a_cancelled_turn_says_and_stores_nothing(states: StateScopes, bot: Bot) -> None:
    reached = asyncio.Event()
    turns: list[TurnContext] = []

    async def logic(turn: TurnContext) -> None:
        turns.append(turn)
        await turn.send_activity("half an answer")
        await count(states, turn)
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(bot.turn(logic))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (said(bot), await counted(states)) == ([], None)
    assert turns[0].adapter is bot.adapter


async def test_sending_fails_in_the_middle(states: StateScopes, bot: Bot) -> None:
    responses: list[Any] = []
    send = bot.adapter.send_activities

    async def fails_at_b(turn: TurnContext, activities: list[Activity]) -> Any:
        if activities[0].text == "b":
            raise ConnectionError("the channel")
        return await send(turn, activities)

    async def logic(turn: TurnContext) -> None:
        await count(states, turn)
        responses.extend([await turn.send_activity(text) for text in ("a", "b", "c")])

    async def on_error(turn: TurnContext, error: Exception) -> None:
        assert isinstance(error, ConnectionError)
        await turn.send_activity("sorry")

    bot.adapter.send_activities = fails_at_b
    bot.adapter.on_turn_error = on_error
    await bot.turn(logic)
    assert said(bot) == ["a", "sorry"]
    assert await counted(states) == 1
    assert responses[0].id is not None
    assert responses[2].id is None


async def test_what_shows_that_the_bot_is_at_work_passes_at_once(bot: Bot) -> None:
    bot.adapter.send_trace_activities = True
    passing = [
        Activity(type="typing"),
        Activity(type="delay", value=1),
        Activity(type="trace", name="trace"),
        Activity(type="typing", channel_data={"streamType": "informative"}),
        Activity(type="message", text="all of it", channel_data={"streamType": "final"}),
        Activity(type="message", text="the end", entities=[Entity(type="streaminfo")]),
    ]

    async def logic(turn: TurnContext) -> None:
        await turn.send_activity("held")
        sent = await turn.send_activities([*passing, MessageFactory.text("held too")])
        assert [a.type for a in bot.adapter.activity_buffer] == [a.type for a in passing]
        assert all(response.id.isdigit() for response in sent[:-1])
        assert len(sent) == 7

    await bot.turn(logic)
    assert said(bot)[-2:] == ["held", "held too"]


async def test_the_ids_are_filled_in_when_the_messages_go(bot: Bot) -> None:
    responses: list[ResourceResponse] = []

    async def logic(turn: TurnContext) -> None:
        responses.extend([await turn.send_activity("a"), await turn.send_activity("b")])
        assert responses[0].id != responses[1].id

    await bot.turn(logic)
    assert [response.id for response in responses] == ["1", "2"]


async def test_an_update_or_deletion_of_a_held_message_acts_on_it(bot: Bot) -> None:
    async def logic(turn: TurnContext) -> None:
        first = await turn.send_activity("1st")
        second = await turn.send_activity("2nd")
        await turn.send_activity("3rd")
        changed = Activity(type="message", id=first.id, text="first")
        assert (await turn.update_activity(changed)).id == first.id
        changed.text = "changed later, by someone who keeps the object"
        await turn.delete_activity(second.id)
        assert second.id is None

    await bot.turn(logic)
    assert said(bot) == ["first", "3rd"]
    assert [a.type for a in bot.adapter.activity_buffer] == ["message", "message"]
    assert bot.adapter.updated_activities == []
    assert bot.adapter.deleted_activities == []


async def test_an_update_or_deletion_of_an_earlier_message_is_held(bot: Bot) -> None:
    async def fails(turn: TurnContext) -> None:
        await works(turn)
        raise RuntimeError("the bot")

    async def works(turn: TurnContext) -> None:
        await turn.update_activity(Activity(id="77", type="message", text="new"))
        await turn.delete_activity("78")
        assert bot.adapter.updated_activities == bot.adapter.deleted_activities == []

    with pytest.raises(RuntimeError, match="the bot"):
        await bot.turn(fails)
    assert bot.adapter.updated_activities == bot.adapter.deleted_activities == []
    await bot.turn(works)
    assert [a.id for a in bot.adapter.updated_activities] == ["77"]
    assert [r.activity_id for r in bot.adapter.deleted_activities] == ["78"]


async def test_the_wrapped_adapter_is_still_the_adapter(bot: Bot) -> None:
    async def logic(turn: TurnContext) -> None:
        assert turn.adapter is not bot.adapter
        assert isinstance(turn.adapter, TestAdapter)
        turn.adapter.locale = "en"
        assert bot.adapter.locale == "en"

    turn = await bot.turn(logic)
    assert turn.adapter is bot.adapter


@pytest.mark.bot_framework
async def test_the_wrapped_adapter_is_still_a_token_provider(bot: Bot) -> None:
    from botbuilder.core import ExtendedUserTokenProvider

    async def logic(turn: TurnContext) -> None:
        assert isinstance(turn.adapter, ExtendedUserTokenProvider)
        turn.adapter.add_user_token("oauth", "test", "user", "token")
        token = await turn.adapter.get_user_token(turn, "oauth")
        assert token.token == "token"

    await bot.turn(logic)


async def test_a_task_that_kept_the_adapter_or_a_copy_of_the_context_sends_at_once(
    bot: Bot,
) -> None:
    kept: list[Any] = []

    async def logic(turn: TurnContext) -> None:
        response = await turn.send_activity("in the turn")
        kept.extend([turn.adapter, TurnContext(turn), response.id])

    turn = await bot.turn(logic)
    adapter, copied, provisional_id = kept
    await adapter.send_activities(turn, [MessageFactory.text("by the adapter")])
    await copied.send_activity("by the copy")
    assert said(bot) == ["in the turn", "by the adapter", "by the copy"]
    await copied.update_activity(Activity(type="message", id=provisional_id, text="changed"))
    await copied.delete_activity(provisional_id)
    assert bot.adapter.updated_activities[0].id == "1"
    assert bot.adapter.deleted_activities[0].activity_id == "1"


async def test_an_invoke_response_is_in_turn_state_at_once(states: StateScopes) -> None:
    bot = Bot(StateMiddleware(states, replies="after_save"))
    invoke = message()
    invoke.type, invoke.name = "invoke", "adaptiveCard/action"
    answer = Activity(type="invokeResponse", value=InvokeResponse(status=200))
    reached: list[Any] = []

    async def answers(turn: TurnContext) -> None:
        await turn.send_activity(answer)
        reached.append(turn.turn_state[INVOKE_RESPONSE].value)

    async def fails(turn: TurnContext) -> None:
        await answers(turn)
        raise RuntimeError("the bot")

    turn = await bot.turn(answers, invoke)
    assert turn.turn_state[INVOKE_RESPONSE].value == answer.value

    failed: list[TurnContext] = []

    async def on_error(turn: TurnContext, error: Exception) -> None:
        failed.append(turn)

    bot.adapter.on_turn_error = on_error
    await bot.turn(fails, invoke)
    assert reached == [answer.value] * 2
    assert INVOKE_RESPONSE not in failed[0].turn_state


async def test_expected_replies_are_cut_back_when_the_turn_fails(states: StateScopes) -> None:
    class Early:
        async def on_turn(self, turn: TurnContext, logic: Any) -> None:
            await turn.send_activity("early")
            await next_step(turn, logic)

    bot = Bot(Early(), StateMiddleware(states, replies="after_save"))
    activity = message()
    activity.delivery_mode = "expectReplies"

    async def fails(turn: TurnContext) -> None:
        await turn.send_activity("half an answer")
        raise RuntimeError("the bot")

    async def on_error(turn: TurnContext, error: Exception) -> None:
        await turn.send_activity("sorry")

    bot.adapter.on_turn_error = on_error
    turn = await bot.turn(fails, activity)
    assert [a.text for a in turn.buffered_reply_activities] == ["early", "sorry"]

    async def works(turn: TurnContext) -> None:
        await turn.send_activity("an answer")

    turn = await bot.turn(works, activity)
    assert [a.text for a in turn.buffered_reply_activities] == ["early", "an answer"]
    assert said(bot) == []


async def test_a_conversation_continued_inside_the_turn_is_held_too(
    states: StateScopes, storage: FaultyStorage, bot: Bot
) -> None:
    reference = reference_to(message(conversation="other"))
    there: list[Any] = []

    async def elsewhere(turn: TurnContext) -> None:
        await count(states, turn)
        there.append(await turn.send_activity("to the other"))

    async def logic(turn: TurnContext) -> None:
        await turn.send_activity("before")
        await turn.adapter.continue_conversation(reference, elsewhere)
        await bot.adapter.continue_conversation(reference, elsewhere)
        await turn.send_activity("after")
        await count(states, turn)
        assert said(bot) == []

    await bot.turn(logic)
    assert said(bot) == ["before", "to the other", "to the other", "after"]
    assert bot.adapter.activity_buffer[1].conversation.id == "other"
    assert [response.id for response in there] == ["2", "3"]

    bot.adapter.activity_buffer.clear()
    storage.fail("put", at=3)  # the first two are those of the other conversation
    with pytest.raises(StateStorageError):
        await bot.turn(logic)
    assert said(bot) == []


async def test_a_turn_begun_by_a_task_that_outlived_its_turn_is_a_turn_of_its_own(
    states: StateScopes, bot: Bot
) -> None:
    go_on = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def late(turn: TurnContext) -> None:
        await turn.send_activity("late")

    async def remind() -> None:
        await go_on.wait()
        reference = reference_to(message())
        await bot.adapter.continue_conversation(reference, late)

    async def logic(turn: TurnContext) -> None:
        tasks.append(asyncio.create_task(remind()))

    await bot.turn(logic)
    go_on.set()
    await tasks[0]
    assert said(bot) == ["late"]


@pytest.mark.bot_framework
async def test_transcripts_before_this_middleware_tell_what_was_said(
    states: StateScopes,
) -> None:
    from botbuilder.core import MemoryTranscriptStore, TranscriptLoggerMiddleware

    store = MemoryTranscriptStore()
    store.channels = {}  # upstream's stores share one
    bot = Bot(TranscriptLoggerMiddleware(store), StateMiddleware(states, replies="after_save"))

    async def transcript() -> list[str]:
        page = await store.get_transcript_activities("test", "conv")
        return [a.text for a in page.items if a.type == "message"]

    async def logic(turn: TurnContext) -> None:
        dropped = await turn.send_activity("dropped")
        await turn.send_activity("kept")
        await turn.delete_activity(dropped.id)

    await bot.turn(logic)
    assert await transcript() == ["hi", "kept"]

    buffered = message("expecting")
    buffered.delivery_mode = "expectReplies"
    await bot.turn(lambda turn: turn.send_activity("buffered"), buffered)
    assert (await transcript())[-2:] == ["expecting", "buffered"]


async def test_handlers_of_the_bot_are_called_when_it_sends(bot: Bot) -> None:
    seen: list[str] = []

    async def handler(turn: TurnContext, activities: list[Activity], send: Any) -> None:
        seen.append(activities[0].text)
        activities[0].text += "!"
        await send()

    async def logic(turn: TurnContext) -> None:
        turn.on_send_activities(handler)
        await turn.send_activity("hello")
        assert seen == ["hello"]

    turn = await bot.turn(logic)
    assert said(bot) == ["hello!"]
    await turn.send_activity("later")
    assert seen == ["hello", "later"]


async def test_an_activity_handler(states: StateScopes, bot: Bot) -> None:
    class Echo(ActivityHandler):
        async def on_message_activity(self, turn: TurnContext) -> None:
            await count(states, turn)
            await turn.send_activity(turn.activity.text)

        async def on_turn(self, turn: TurnContext) -> None:
            await super().on_turn(turn)
            assert said(bot) == []

    await bot.turn(Echo().on_turn, message("echo"))
    assert (said(bot), await counted(states)) == (["echo"], 1)


def test_a_wrong_option_says_what_is_right(states: StateScopes) -> None:
    options: dict[str, Any] = {"replies": "later"}
    with pytest.raises(ValueError, match="replies must be one of 'immediate', 'after_save'"):
        StateMiddleware(states, **options)
