"""Dialogs on the Bot Framework SDK: those of ``tests/agents/dialogs.py``, with the same ids."""

from __future__ import annotations

from typing import Any

from botbuilder.core import MessageFactory
from botbuilder.dialogs import ComponentDialog, DialogTurnResult, WaterfallDialog
from botbuilder.dialogs.choices import Choice, ListStyle
from botbuilder.dialogs.prompts import ChoicePrompt, NumberPrompt, PromptOptions, TextPrompt
from botbuilder.schema import CardAction


def text(said: str) -> Any:
    return MessageFactory.text(said)


class Order(ComponentDialog):
    def __init__(self) -> None:
        super().__init__("order")
        self.add_dialog(TextPrompt("text"))
        self.add_dialog(ChoicePrompt("choice"))
        self.add_dialog(NumberPrompt("number", self.is_small))
        self.add_dialog(WaterfallDialog("steps", [self.name, self.size, self.number, self.end]))
        self.initial_dialog_id = "steps"

    async def is_small(self, prompt: Any) -> bool:
        largest = prompt.options.validations["max"]
        return bool(prompt.recognized.succeeded and prompt.recognized.value < largest)

    async def name(self, step: Any) -> DialogTurnResult:
        return await step.prompt("text", PromptOptions(prompt=text("name?")))

    async def size(self, step: Any) -> DialogTurnResult:
        step.values["name"] = step.result
        large = CardAction(type="imBack", title="L", value="large")
        options = PromptOptions(
            prompt=text("size?"),
            retry_prompt=text("again"),
            choices=[Choice("small"), Choice("large", synonyms=["big"], action=large)],
            style=ListStyle.suggested_action,
        )
        return await step.prompt("choice", options)

    async def number(self, step: Any) -> DialogTurnResult:
        step.values["size"] = step.result.value
        options = PromptOptions(prompt=text("how many?"), validations={"max": 10})
        return await step.prompt("number", options)

    async def end(self, step: Any) -> DialogTurnResult:
        step.values["n"] = step.result
        return await step.end_dialog(step.values)


class Main(ComponentDialog):
    def __init__(self) -> None:
        super().__init__("main")
        self.add_dialog(Order())
        self.add_dialog(WaterfallDialog("outer", [self.begin, self.end]))
        self.initial_dialog_id = "outer"

    async def begin(self, step: Any) -> DialogTurnResult:
        return await step.begin_dialog("order", {"from": "main"})

    async def end(self, step: Any) -> DialogTurnResult:
        order = step.result
        await step.context.send_activity(f"{order['name']}: {order['n']:g} {order['size']}")
        return await step.end_dialog()
