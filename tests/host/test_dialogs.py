"""Bots as the SDK's own samples write them, over two turns and more with a restart in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any

import jsonpickle
import pytest
from botbuilder.core import (
    ActivityHandler,
    AutoSaveStateMiddleware,
    BotStateSet,
    MessageFactory,
    Storage,
    TurnContext,
)
from botbuilder.core import ConversationState as UpstreamConversationState
from botbuilder.core import MemoryStorage as UpstreamMemoryStorage
from botbuilder.core import UserState as UpstreamUserState
from botbuilder.dialogs import (
    ComponentDialog,
    DialogContext,
    DialogExtensions,
    DialogManager,
    DialogSet,
    DialogTurnResult,
    DialogTurnStatus,
    ObjectPath,
    WaterfallDialog,
    WaterfallStepContext,
)
from botbuilder.dialogs.choices import Choice
from botbuilder.dialogs.memory.scopes import ConversationMemoryScope, UserMemoryScope
from botbuilder.dialogs.prompts import ChoicePrompt, ConfirmPrompt, PromptOptions, TextPrompt

from botstate_ext import ConversationState, StateMiddleware, StateScopes, UserState
from botstate_ext.storage import as_state_storage
from tests.backends import body, make, plant, storage  # noqa: F401 - a fixture
from tests.turns import Bot, context, message

CONVERSATION = "test/conversations/conv"
Say = Callable[[str], Awaitable[list[str]]]


class UserProfile:
    def __init__(self, name: str | None = None) -> None:
        self.name = name


class ConversationData:
    def __init__(
        self,
        timestamp: str | None = None,
        channel_id: str | None = None,
        prompted_for_user_name: bool = False,
    ) -> None:
        self.timestamp = timestamp
        self.channel_id = channel_id
        self.prompted_for_user_name = prompted_for_user_name


class SeedBot(ActivityHandler):
    """The state management sample as it was before: it saves both states itself."""

    def __init__(self, conversation_state: Any, user_state: Any) -> None:
        self.conversation_state = conversation_state
        self.user_state = user_state
        self.conversation_data_accessor = conversation_state.create_property("ConversationData")
        self.user_profile_accessor = user_state.create_property("UserProfile")

    async def on_turn(self, turn_context: TurnContext) -> None:
        await super().on_turn(turn_context)
        await self.conversation_state.save_changes(turn_context)
        await self.user_state.save_changes(turn_context)

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        profile = await self.user_profile_accessor.get(turn_context, UserProfile)
        data = await self.conversation_data_accessor.get(turn_context, ConversationData)
        if profile.name is None:
            if data.prompted_for_user_name:
                profile.name = turn_context.activity.text
                await turn_context.send_activity(
                    f"Thanks {profile.name}. To see conversation data, type anything."
                )
                data.prompted_for_user_name = False
            else:
                await turn_context.send_activity("What is your name?")
                data.prompted_for_user_name = True
        else:
            data.channel_id = turn_context.activity.channel_id
            await turn_context.send_activity(f"{profile.name} sent: {turn_context.activity.text}")
            await turn_context.send_activity(f"Message received from: {data.channel_id}")


class Options:
    """What the app gives to its dialog."""

    def __init__(self, greeting: str = "Hello") -> None:
        self.greeting = greeting
        self.asked: list[str] = []


class OrderDialog(ComponentDialog):
    def __init__(self) -> None:
        super().__init__("order")
        self.add_dialog(TextPrompt("text"))
        self.add_dialog(ChoicePrompt("choice"))
        self.add_dialog(ConfirmPrompt("confirm"))
        self.add_dialog(WaterfallDialog("steps", [self.name, self.size, self.sure, self.done]))
        self.initial_dialog_id = "steps"

    async def name(self, step: WaterfallStepContext) -> DialogTurnResult:
        options: Any = step.options or Options()
        step.values["options"] = options
        options.asked.append("name")
        prompt = MessageFactory.text(f"{options.greeting}! Your name?")
        return await step.prompt("text", PromptOptions(prompt=prompt))

    async def size(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["name"] = step.result
        step.values["at"] = datetime(2030, 1, 1)  # noqa: DTZ001 - as dialogs keep it
        step.values["options"].asked.append("size")
        prompt = MessageFactory.text("Which size?")
        choices = [Choice("small"), Choice("large", synonyms=["big"])]
        return await step.prompt("choice", PromptOptions(prompt=prompt, choices=choices))

    async def sure(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["choice"] = step.result
        prompt = MessageFactory.text("Are you sure?")
        return await step.prompt("confirm", PromptOptions(prompt=prompt))

    async def done(self, step: WaterfallStepContext) -> DialogTurnResult:
        values, options = step.values, step.values["options"]
        assert isinstance(options, Options)
        assert values["at"] == datetime(2030, 1, 1)  # noqa: DTZ001 - as it was kept
        text = f"{values['name']}, {values['choice'].value}, {step.result}, {options.asked}"
        await step.context.send_activity(text)
        return await step.end_dialog(values["name"])


ANSWERS = [
    ("hi", "Hello! Your name?"),
    ("Ann", "Which size? (1) small, or (2) large"),
    ("huge", "Which size? (1) small, or (2) large"),
    ("big", "Are you sure? (1) Yes or (2) No"),
    ("yes", "Ann, large, True, ['name', 'size']"),
]


def texts_of(bot: Bot) -> list[str]:
    texts = [a.text for a in bot.adapter.activity_buffer if a.type == "message"]
    bot.adapter.activity_buffer.clear()
    return texts


async def run(say: Say) -> None:
    for text, answer in ANSWERS:
        assert await say(text) == [answer]


@pytest.mark.parametrize("with_middleware", [True, False])
async def test_the_unchanged_sample_bot_remembers_over_restarts(
    storage: Storage,  # noqa: F811 - the fixture
    with_middleware: bool,
) -> None:
    async def say(text: str) -> list[str]:
        if with_middleware:
            states = StateScopes(storage)
            bot = Bot(StateMiddleware(states))
            seed = SeedBot(states.conversation, states.user)
        else:
            bot, seed = Bot(), SeedBot(ConversationState(storage), UserState(storage))
        await bot.turn(seed.on_turn, message(text))
        return texts_of(bot)

    assert await say("hi") == ["What is your name?"]
    assert await say("Ann") == ["Thanks Ann. To see conversation data, type anything."]
    assert await say("hello") == ["Ann sent: hello", "Message received from: test"]
    stored = await body(storage, "test/users/user")
    assert stored is not None
    profile = jsonpickle.decode(stored)["UserProfile"]  # noqa: S301 - as the SDK reads it
    assert (type(profile), profile.name) == (UserProfile, "Ann")


async def test_a_dialog_with_the_apps_own_options_over_restarts(
    storage: Storage,  # noqa: F811 - the fixture
) -> None:
    async def say(text: str) -> list[str]:
        states = StateScopes(storage, types=[Options])
        bot = Bot(StateMiddleware(states))
        dialogs = DialogSet(states.conversation.create_property("DialogState"))
        dialogs.add(OrderDialog())

        async def logic(turn: TurnContext) -> None:
            dialog: DialogContext = await dialogs.create_context(turn)
            result = await dialog.continue_dialog()
            if result.status == DialogTurnStatus.Empty:
                await dialog.begin_dialog("order", Options())

        await bot.turn(logic, message(text))
        return texts_of(bot)

    await run(say)


async def test_run_dialog_and_auto_save_as_the_samples_do(
    storage: Storage,  # noqa: F811 - the fixture
) -> None:
    async def say(text: str) -> list[str]:
        states = StateScopes(storage, types=[Options])
        bot = Bot(AutoSaveStateMiddleware(BotStateSet([states.conversation, states.user])))
        accessor = states.conversation.create_property("DialogState")

        async def logic(turn: TurnContext) -> None:
            await DialogExtensions.run_dialog(OrderDialog(), turn, accessor)

        await bot.turn(logic, message(text))
        return texts_of(bot)

    await run(say)


async def test_a_dialog_manager_over_restarts(
    storage: Storage,  # noqa: F811 - the fixture
) -> None:
    async def say(text: str) -> list[str]:
        states = StateScopes(storage, types=[Options])
        manager = DialogManager(OrderDialog())
        bot = Bot(StateMiddleware(states))
        await bot.turn(manager.on_turn, message(text))
        return texts_of(bot)

    await run(say)
    states = StateScopes(storage, types=[Options])
    last_access = await states.conversation.create_property("_lastAccess").get(context())
    assert isinstance(last_access, datetime)


async def test_a_dialog_manager_forgets_after_its_time(
    storage: Storage,  # noqa: F811 - the fixture
) -> None:
    async def say(text: str, expire_after: int) -> list[str]:
        states = StateScopes(storage, types=[Options])
        manager = DialogManager(OrderDialog())
        manager.expire_after = expire_after
        bot = Bot(StateMiddleware(states))
        await bot.turn(manager.on_turn, message(text))
        return texts_of(bot)

    hour = 3_600_000
    assert await say("hi", hour) == ["Hello! Your name?"]
    assert await say("Ann", hour) == ["Which size? (1) small, or (2) large"]
    assert await say("big", 0) == ["Hello! Your name?"]
    assert await say("Bob", hour) == ["Which size? (1) small, or (2) large"]


async def test_a_dialog_that_raises_leaves_the_dialog_where_it_was(
    storage: Storage,  # noqa: F811 - the fixture
) -> None:
    class Fragile(OrderDialog):
        fails = False

        async def size(self, step: WaterfallStepContext) -> DialogTurnResult:
            if self.fails:
                raise ZeroDivisionError
            return await super().size(step)

    async def say(text: str, *, fails: bool = False) -> list[str]:
        states = StateScopes(storage, types=[Options])
        dialog = Fragile()
        dialog.fails = fails
        bot = Bot(StateMiddleware(states))
        await bot.turn(DialogManager(dialog).on_turn, message(text))
        return texts_of(bot)

    await say("hi")
    stored = await body(storage, CONVERSATION)
    with pytest.raises(ZeroDivisionError):
        await say("Ann", fails=True)
    assert await body(storage, CONVERSATION) == stored
    assert await say("Ann") == ["Which size? (1) small, or (2) large"]


# Memory


@pytest.fixture
async def memory_states(request: pytest.FixtureRequest) -> AsyncIterator[StateScopes]:
    memory = make("memory", request)
    yield StateScopes(memory, types=[Options])
    await as_state_storage(memory).aclose()


async def test_dialogs_memory_reads_and_writes_the_live_mapping(
    memory_states: StateScopes,
) -> None:
    states = memory_states
    profile = states.user.create_property("profile")
    seen: list[Any] = []

    class Remembers(ComponentDialog):
        def __init__(self) -> None:
            super().__init__("remembers")
            self.add_dialog(WaterfallDialog("steps", [self.only]))
            self.initial_dialog_id = "steps"

        async def only(self, step: WaterfallStepContext) -> DialogTurnResult:
            user = UserMemoryScope().get_memory(step)
            conversation = ConversationMemoryScope().get_memory(step)
            seen.append(ObjectPath.get_path_value(user, "profile.name"))
            ObjectPath.set_path_value(user, "colour", "red")
            ObjectPath.set_path_value(conversation, "basket.items", ["a"])
            ObjectPath.set_path_value(user, "profile.name", "Bob")
            return await step.end_dialog()

    bot = Bot(StateMiddleware(states))

    async def begins(turn: TurnContext) -> None:
        await profile.set(turn, {"name": "Ann"})

    await bot.turn(begins)
    await bot.turn(DialogManager(Remembers()).on_turn)

    after = context()
    assert seen == ["Ann"]
    assert await profile.get(after) == {"name": "Bob"}
    assert await states.user.create_property("colour").get(after) == "red"
    assert await states.conversation.create_property("basket").get(after) == {"items": ["a"]}


async def test_object_path_assigns_into_the_live_mapping(memory_states: StateScopes) -> None:
    states, turn = memory_states, context()
    await states.user.load(turn)
    cached = states.user.get_cached_state(turn)
    assert cached is not None
    assert isinstance(cached.state, dict)  # ObjectPath assigns into nothing else
    copied = ObjectPath.assign(cached.state, {"profile": {"name": "Ann"}})
    assert copied == {"profile": {"name": "Ann"}}
    cached.state.update(copied)
    assert ObjectPath.assign(cached.state, {"other": 1}) == {**copied, "other": 1}
    ObjectPath.set_path_value(cached.state, "profile.age", 7)
    assert cached.is_changed
    await states.user.save_changes(turn)
    assert not cached.is_changed
    read = await states.user.create_property("profile").get(context())
    assert read == {"name": "Ann", "age": 7}


async def test_the_class_given_to_get_after_a_dialogs_memory_looked(
    memory_states: StateScopes,
) -> None:
    """The memory of a dialog reads every property; a bot then gets its own class."""
    states = memory_states
    profile = states.user.create_property("profile")
    bot = Bot(StateMiddleware(states))
    names: list[str | None] = []

    class Looks(ComponentDialog):
        def __init__(self) -> None:
            super().__init__("looks")
            self.add_dialog(WaterfallDialog("steps", [self.only]))
            self.initial_dialog_id = "steps"

        async def only(self, step: WaterfallStepContext) -> DialogTurnResult:
            assert "profile" in UserMemoryScope().get_memory(step) or not names
            value = await profile.get(step.context, UserProfile)
            names.append(value.name)
            value.name = "Ann"
            return await step.end_dialog()

    for _ in range(2):
        await bot.turn(DialogManager(Looks()).on_turn)
    assert names == [None, "Ann"]


class Counts(ComponentDialog):
    """Counts in both states and says so."""

    def __init__(self, user_state: Any, conversation_state: Any) -> None:
        super().__init__("counts")
        self.properties = [each.create_property("n") for each in (user_state, conversation_state)]
        self.add_dialog(WaterfallDialog("steps", [self.only]))
        self.initial_dialog_id = "steps"

    async def only(self, step: WaterfallStepContext) -> DialogTurnResult:
        for each in self.properties:
            await each.set(step.context, (await each.get(step.context, lambda: 0)) + 1)
        return await step.end_dialog()


async def traced(*, is_ours: bool, has_manager: bool) -> list[dict[str, Any]]:
    """Return what the traces of two turns hold of each of the SDK's memory scopes."""
    upstream: Any = UpstreamMemoryStorage()
    states = StateScopes(upstream)
    user: Any = states.user if is_ours else UpstreamUserState(upstream)
    conversation: Any = states.conversation if is_ours else UpstreamConversationState(upstream)
    middleware: Any = (
        StateMiddleware(states) if is_ours else AutoSaveStateMiddleware([user, conversation])
    )
    bot, dialog = Bot(middleware), Counts(user, conversation)
    bot.adapter.send_trace_activities = True
    manager = DialogManager(dialog)
    manager.user_state, manager.conversation_state = user, conversation
    accessor = conversation.create_property("DialogState")

    async def logic(turn: TurnContext) -> None:
        if has_manager:
            await manager.on_turn(turn)
        else:
            await DialogExtensions.run_dialog(dialog, turn, accessor)

    for _ in range(2):
        await bot.turn(logic)
    # The SDK gives the value in place of its type, and an empty one not at all.
    values = [a.value_type for a in bot.adapter.activity_buffer if a.name == "BotState"]
    return [value if isinstance(value, dict) else {} for value in values]


@pytest.mark.parametrize("has_manager", [True, False])
async def test_a_trace_of_the_memory_shows_what_it_shows_with_the_sdk_alone(
    has_manager: bool,
) -> None:
    """The trace of ``run_dialog`` holds no state of the user, not even for a transcript."""
    ours = await traced(is_ours=True, has_manager=has_manager)
    alone = await traced(is_ours=False, has_manager=has_manager)
    assert len(ours) == 2
    assert [set(value) for value in ours] == [set(value) for value in alone]
    assert all(("user" in value) == has_manager for value in ours)
    if has_manager:
        assert [value["user"]["n"] for value in ours] == [1, 2]


async def test_run_dialog_reads_no_property_that_the_bot_does_not_ask_for(
    memory_states: StateScopes,
) -> None:
    """It does not fail for a value that it has no use for, as it would not with the SDK."""
    states = memory_states
    await plant(states.storage, "test/users/user", b'{"odd":{"py/object":"app.Unknown"},"n":7}')
    states.user.create_property("n", int)
    states.user.create_property("odd", list[int])
    bot, dialog = Bot(StateMiddleware(states)), Counts(states.user, states.conversation)
    accessor = states.conversation.create_property("DialogState")
    await bot.turn(lambda turn: DialogExtensions.run_dialog(dialog, turn, accessor))
    assert await states.user.create_property("n").get(context()) == 8
