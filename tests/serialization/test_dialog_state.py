"""State that real dialogs leave, between upstream's adapter and this package, turn by turn."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import jsonpickle
import pytest
from botbuilder.core import ConversationState, MemoryStorage, MessageFactory, TurnContext
from botbuilder.core.adapters import TestAdapter
from botbuilder.core.inspection.inspection_sessions_by_status import InspectionSessionsByStatus
from botbuilder.core.skills import SkillConversationReference
from botbuilder.core.teams.teams_sso_token_exchange_middleware import _TokenStoreItem
from botbuilder.dialogs import (
    ComponentDialog,
    DialogManager,
    DialogSet,
    DialogState,
    DialogTurnResult,
    DialogTurnStatus,
    WaterfallDialog,
    WaterfallStepContext,
)
from botbuilder.dialogs.choices import Choice, ListStyle
from botbuilder.dialogs.prompts import (
    ChoicePrompt,
    ConfirmPrompt,
    DateTimePrompt,
    DateTimeResolution,
    NumberPrompt,
    PromptOptions,
    TextPrompt,
)
from botbuilder.dialogs.prompts.oauth_prompt import CallerInfo
from botbuilder.schema import Activity, ConversationReference

from botstate_ext.errors import StateEncodeError
from botstate_ext.serialization.allow_list import AllowList
from botstate_ext.serialization.jsonpickle import expand_references, flatten, restore, to_plain
from tests.serialization.older import as_1_4


class Options:
    """A dialog's own options, as an app defines them."""

    def __init__(self) -> None:
        self.size = 1
        self.toppings = ["ham"]


ALLOWED = AllowList([Options])


class PizzaDialog(ComponentDialog):
    def __init__(self) -> None:
        super().__init__("pizza")
        for prompt in (TextPrompt, NumberPrompt, ChoicePrompt, ConfirmPrompt, DateTimePrompt):
            self.add_dialog(prompt(prompt.__name__))
        steps = [self.name, self.size, self.kind, self.when, self.sure, self.done]
        self.add_dialog(WaterfallDialog("steps", steps))
        self.initial_dialog_id = "steps"

    async def name(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["options"] = step.options
        prompt, retry = MessageFactory.text("Name?"), MessageFactory.text("Again?")
        return await step.prompt("TextPrompt", PromptOptions(prompt=prompt, retry_prompt=retry))

    async def size(self, step: WaterfallStepContext) -> DialogTurnResult:
        options = PromptOptions(prompt=MessageFactory.text("Size?"), validations={"max": 40})
        return await step.prompt("NumberPrompt", options)

    async def kind(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["size"] = step.result
        options = PromptOptions(
            prompt=MessageFactory.text("Kind?"),
            choices=[Choice("plain"), Choice("rich", synonyms=["fat"])],
            style=ListStyle.suggested_action,
        )
        return await step.prompt("ChoicePrompt", options)

    async def when(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["kind"] = step.result
        return await step.prompt(
            "DateTimePrompt", PromptOptions(prompt=MessageFactory.text("When?"))
        )

    async def sure(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["when"] = step.result
        return await step.prompt("ConfirmPrompt", PromptOptions(prompt=MessageFactory.text("OK?")))

    async def done(self, step: WaterfallStepContext) -> DialogTurnResult:
        assert isinstance(step.values["options"], Options)
        assert isinstance(step.values["when"][0], DateTimeResolution)
        await step.context.send_activity(f"{step.values['kind'].value} {step.values['size']}")
        return await step.end_dialog()


async def run(texts: list[str], between_turns: Any) -> tuple[list[str], list[dict[str, Any]]]:
    """Talk to the dialog. What is stored goes through ``between_turns`` after every turn."""
    storage = MemoryStorage()
    state = ConversationState(storage)
    dialogs = DialogSet(state.create_property("DialogState"))
    dialogs.add(PizzaDialog())
    replies: list[str] = []
    documents: list[dict[str, Any]] = []

    async def turn(context: TurnContext) -> None:
        dialog = await dialogs.create_context(context)
        result = await dialog.continue_dialog()
        if result.status == DialogTurnStatus.Empty:
            await dialog.begin_dialog("pizza", Options())
        await state.save_changes(context)

    adapter = TestAdapter(turn)
    for text in texts:
        await adapter.receive_activity(text)
        replies += [activity.text for activity in adapter.activity_buffer]
        adapter.activity_buffer.clear()
        (key,) = storage.memory
        documents.append(json.loads(jsonpickle.encode(storage.memory[key])))
        storage.memory[key] = between_turns(storage.memory[key])
    return replies, documents


TALK = ["hi", "Ann", "30", "fat", "tomorrow", "yes"]


def restart(stored: dict[str, Any]) -> Any:
    """This package writes the document and reads it."""
    return restore(json.loads(json.dumps(flatten(stored, ALLOWED))), ALLOWED)


def adopt(stored: dict[str, Any]) -> Any:
    """Upstream writes the document, this package reads it."""
    return restore(expand_references(json.loads(jsonpickle.encode(stored))), ALLOWED)


def upgrade(stored: dict[str, Any]) -> Any:
    """A version of upstream from before 4.17.1 writes the document, this package reads it."""
    return restore(expand_references(as_1_4(stored)), ALLOWED)


def go_back(stored: dict[str, Any]) -> Any:
    """This package writes the document, upstream reads it."""
    text = json.dumps(flatten(stored, ALLOWED))
    return jsonpickle.decode(text)  # noqa: S301 - what upstream does is the question


async def test_dialogs_go_on_whoever_wrote_and_read_their_state() -> None:
    expected, _ = await run(TALK, lambda stored: stored)
    assert expected[-1] == "rich 30"
    for between in (restart, adopt, upgrade, go_back):
        replies, _ = await run(TALK, between)
        assert replies == expected


async def test_both_write_the_same_of_every_turn() -> None:
    _, documents = await run(TALK, lambda stored: stored)
    assert any("py/id" in json.dumps(document) for document in documents)
    for document in documents:
        expanded = expand_references(document)
        restored = restore(expanded, ALLOWED)
        assert isinstance(restored["DialogState"], DialogState)
        assert flatten(restored, ALLOWED) == expanded


def test_a_dialogs_options_have_to_be_allowed() -> None:
    storage = {"DialogState": DialogState(), "options": Options()}
    with pytest.raises(StateEncodeError, match=r"types=\[Options\]"):
        flatten(storage, AllowList())


async def test_a_dialog_state_can_be_read_as_data() -> None:
    _, documents = await run(TALK[:2], lambda stored: stored)
    plain = to_plain(expand_references(documents[-1]))
    component = plain["DialogState"]["_dialog_stack"][0]
    prompt = component["state"]["dialogs"]["_dialog_stack"][0]
    assert (component["id"], prompt["id"]) == ("pizza", "NumberPrompt")
    assert prompt["state"]["options"]["prompt"]["type"] == "message"


async def test_what_the_dialog_manager_keeps() -> None:
    storage = MemoryStorage()
    state = ConversationState(storage)
    manager = DialogManager(PizzaDialog())
    manager.conversation_state = state
    manager.expire_after = 1000

    async def turn(context: TurnContext) -> None:
        await manager.on_turn(context)
        await state.save_changes(context)

    adapter = TestAdapter(turn)
    allowed = AllowList([Options])
    for text in ["hi", "Ann"]:
        await adapter.receive_activity(text)
        (key,) = storage.memory
        stored = storage.memory[key]
        assert any(isinstance(value, datetime) for value in stored.values())
        storage.memory[key] = restore(flatten(stored, allowed), allowed)
    assert [activity.text for activity in adapter.activity_buffer][-1] == "Size?"


def attributes(value: Any) -> Any:
    return {**vars(value)} if hasattr(value, "__dict__") else value


@pytest.mark.parametrize(
    "value",
    [
        SkillConversationReference(ConversationReference(activity_id="1"), "scope"),
        _TokenStoreItem(e_tag="1"),
        InspectionSessionsByStatus({"a": ConversationReference(activity_id="1")}, {}),
        CallerInfo("https://skill", "scope"),
        DateTimeResolution("2024", None, None, "XXXX"),
        {"expires": datetime.now().astimezone() + timedelta(hours=1)},
        Activity.deserialize({"type": "message", "timestamp": "2024-01-02T03:04:05Z", "from": {
            "id": "1", "aadObjectId": "x"}, "channelData": {"tenant": {"id": "t"}}}),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_the_rest_of_the_sdk_stores(value: Any) -> None:
    allowed = AllowList()
    flat = json.loads(json.dumps(flatten(value, allowed)))
    restored = restore(flat, allowed)
    assert type(restored) is type(value)
    assert flatten(restored, allowed) == flat
    assert attributes(restored).keys() == attributes(value).keys()
