"""Dialogs of the SDK (``microsoft-agents-hosting-dialogs``) on this package's state."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from microsoft_agents.activity import Activity, ChannelAccount, ConversationReference, Mention
from microsoft_agents.hosting.core import ActivityHandler
from microsoft_agents.hosting.dialogs import DialogExtensions, DialogManager

from botstate_ext.agents import StateScopes, TurnState
from botstate_ext.serialization.agents_sdk_types import AGENTS_SDK_TYPES
from botstate_ext.storage import MemoryStorage
from tests.agents.dialogs import Main
from tests.agents.world import Agent, adapter, prepared

STORED = Path(__file__).parents[1] / "fixtures" / "dialogs_of_bot_framework.json"


def handler(states: StateScopes) -> Any:
    dialogs = states.conversation.create_property("DialogState")

    async def on_message(context: Any, state: TurnState) -> None:
        await DialogExtensions.run_dialog(Main(), context, dialogs)

    return on_message


async def test_a_dialog_on_every_storage(storage: Any) -> None:
    said = []
    for words in ("hi", "Ann", "big", "99", "3", "hi"):
        # A new agent for each message: nothing is left but what is stored.
        states = StateScopes(storage)
        async with prepared(states, handler(states)) as agent:
            said += await agent.say(words)
    assert said == ["name?", "size?", "how many?", "how many?", "Ann: 3 large", "name?"]


async def test_a_dialog_by_the_accessor_of_a_turn(storage: Any) -> None:
    states = StateScopes(storage)

    async def on_message(context: Any, state: TurnState) -> None:
        accessor = state.conversation.create_property("DialogState")
        await DialogExtensions.run_dialog(Main(), context, accessor)

    async with prepared(states, on_message, on_conflict="replay") as agent:
        assert await agent.say("hi") == ["name?"]
        assert await agent.say("Ann") == ["size?"]


async def test_the_dialog_manager() -> None:
    states = StateScopes(MemoryStorage())

    class Handler(ActivityHandler):
        async def on_message_activity(self, turn_context: Any) -> None:
            manager = DialogManager(Main())
            manager.conversation_state = states.conversation
            manager.user_state = states.user
            await manager.on_turn(turn_context)

    from botstate_ext.agents import StateMiddleware

    on = adapter()
    on.use(StateMiddleware(states))
    async with Agent(Handler(), on) as agent:
        for words, answer in (("hi", "name?"), ("Ann", "size?"), ("small", "how many?")):
            assert await agent.say(words) == [answer]


async def test_a_dialogs_memory_sees_the_scopes() -> None:
    from microsoft_agents.hosting.dialogs.memory.scopes import (
        ConversationMemoryScope,
        UserMemoryScope,
    )

    states = StateScopes(MemoryStorage())
    found: list[Any] = []

    async def on_message(context: Any, state: TurnState) -> None:
        state.user.set_value("name", "Ann")
        dialogs = SimpleNamespace(context=context)
        user, conversation = UserMemoryScope(), ConversationMemoryScope()
        for scope in (user, conversation):
            await scope.load(dialogs)
        found.append(user.get_memory(dialogs)["name"])
        conversation.get_memory(dialogs)["topic"] = "tea"
        found.append(state.conversation.get_value("topic"))
        await conversation.save_changes(dialogs)

    async with prepared(states, on_message) as agent:
        await agent.say("hi")
    assert found == ["Ann", "tea"]
    async with states.unit_of_work(channel_id="test", conversation_id="talk") as work:
        assert await states.conversation.create_property("topic").get(work) == "tea"


@pytest.mark.parametrize("at", range(4))
async def test_a_dialog_that_botbuilder_stored_goes_on(storage: Any, at: int) -> None:
    stored = json.loads(json.loads(STORED.read_text())[at])
    stored.pop("e_tag", None)
    await storage.put_if("test/conversations/talk", json.dumps(stored).encode(), etag=None)
    states = StateScopes(storage)
    words = ["Ann", "big", "99", "3"][at:]
    expected = ["size?", "how many?", "how many?", "Ann: 3 large"][at:]
    async with prepared(states, handler(states)) as agent:
        assert [(await agent.say(each))[0] for each in words] == expected


async def test_a_turn_that_only_reads_an_old_dialog_leaves_it_as_it_is() -> None:
    storage = MemoryStorage()
    text = json.loads(STORED.read_text())[1].encode()
    await storage.put_if("test/conversations/talk", text, etag=None)
    states = StateScopes(storage)

    async def on_message(context: Any, state: TurnState) -> None:
        assert state.conversation.get_value("DialogState").dialog_stack[0].id == "main"

    async with prepared(states, on_message) as agent:
        await agent.say("hi")
    item = await storage.get("test/conversations/talk")
    assert item is not None
    assert item.data == text


async def test_activities_and_references_of_the_sdk_are_values(storage: Any) -> None:
    values = {
        "activity": Activity(
            type="message",
            channel_id="msteams:COPILOT",
            from_property=ChannelAccount(id="x", more="y"),
            entities=[Mention(mentioned=ChannelAccount(id="a"), text="b")],
        ),
        "reference": Activity(
            type="message",
            channel_id="test",
            service_url="https://x",
            recipient=ChannelAccount(id="agent"),
            from_property=ChannelAccount(id="ann"),
            conversation={"id": "talk"},
        ).get_conversation_reference(),
    }
    seen: list[Any] = []

    async def on_message(context: Any, state: TurnState) -> None:
        for name, value in values.items():
            seen.append(state.user.get_value(name))
            state.user.set_value(name, value)

    for _ in range(2):
        async with prepared(StateScopes(storage), on_message) as agent:
            assert await agent.say("hi") == []
    assert seen == [None, None, *values.values()]
    assert isinstance(seen[3], ConversationReference)


def test_each_class_that_stored_data_may_name_is_there() -> None:
    for module, names in AGENTS_SDK_TYPES.items():
        for name in names:
            assert getattr(import_module(module), name).__module__ == module
