"""An instance of a bot in a rolling deploy: with this package ("new") or upstream alone ("old").

It takes one turn for each line it reads, and answers with what the turn saw, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import Any

import botbuilder.core as sdk
from botbuilder.azure import BlobStorage, BlobStorageSettings
from botbuilder.core import TurnContext
from botbuilder.core.adapters import TestAdapter
from botbuilder.dialogs import DialogSet, DialogTurnStatus, WaterfallDialog, WaterfallStepContext
from botbuilder.dialogs.prompts import NumberPrompt, PromptOptions
from botbuilder.schema import Activity, ChannelAccount, ConversationAccount

from botstate_ext import StateMiddleware, StateScopes
from tests.patience import extend_default_deadlines


class Kind(Enum):
    ODD = "odd"
    EVEN = "even"


@dataclass
class Log:
    """What grows by one with each turn, whoever takes it."""

    turns: list[int] = field(default_factory=list)
    kind: Kind = Kind.ODD
    latest: datetime | None = None
    seen: set[str] = field(default_factory=set)


class Bot:
    def __init__(self, kind: str, container: str) -> None:
        self.name = kind
        connection_string = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
        settings = BlobStorageSettings(container, connection_string=connection_string)
        self.storage = BlobStorage(settings)
        self.adapter = TestAdapter()
        if kind == "new":
            states = StateScopes(self.storage)
            self.log = states.conversation.create_property("log", Log, write_type_tags=True)
            self.adapter.use(StateMiddleware(states))
            self.state: Any = states.conversation
        else:
            self.state = sdk.ConversationState(self.storage)
            self.log = self.state.create_property("log")
            self.adapter.use(sdk.AutoSaveStateMiddleware([self.state]))
        self.plain = self.state.create_property("plain")
        self.dialogs = DialogSet(self.state.create_property("DialogState"))
        self.dialogs.add(NumberPrompt("number"))
        self.dialogs.add(WaterfallDialog("sum", [self.first, self.second, self.last]))
        self.said: list[str] = []

    async def first(self, step: WaterfallStepContext) -> Any:
        return await step.prompt(
            "number", PromptOptions(prompt=Activity(type="message", text="a?"))
        )

    async def second(self, step: WaterfallStepContext) -> Any:
        step.values["a"] = step.result
        return await step.prompt(
            "number", PromptOptions(prompt=Activity(type="message", text="b?"))
        )

    async def last(self, step: WaterfallStepContext) -> Any:
        await step.context.send_activity(f"{step.values['a']} + {step.result}")
        return await step.end_dialog()

    async def on_turn(self, turn: TurnContext) -> None:
        number = int(turn.activity.text)
        log = await self.log.get(turn, Log)
        log.turns.append(number)
        log.kind = Kind.EVEN if number % 2 == 0 else Kind.ODD
        log.latest = datetime(2024, 1, 1, number % 24, tzinfo=timezone.utc)
        log.seen.add(self.name)
        plain = await self.plain.get(turn, dict)
        plain[str(number)] = self.name
        dialog = await self.dialogs.create_context(turn)
        if (await dialog.continue_dialog()).status == DialogTurnStatus.Empty:
            await dialog.begin_dialog("sum")
        self.seen = {
            "turns": len(log.turns),
            "type": type(log).__name__,
            "kinds": type(log.kind).__name__,
            "plain": len(plain),
        }

    async def turn(self, number: int) -> dict[str, Any]:
        activity = Activity(
            type="message",
            text=str(number),
            channel_id="test",
            from_property=ChannelAccount(id="user"),
            recipient=ChannelAccount(id="bot"),
            conversation=ConversationAccount(id="conv"),
            locale="en-us",
        )
        await self.adapter.run_pipeline(TurnContext(self.adapter, activity), self.on_turn)
        said = [a.text for a in self.adapter.activity_buffer]
        self.adapter.activity_buffer.clear()
        return {**self.seen, "said": said}


async def main(kind: str, container: str) -> None:
    bot = Bot(kind, container)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await bot.turn(int(line))), flush=True)  # noqa: T201  # the answer


if __name__ == "__main__":
    extend_default_deadlines("BlobStorage")
    asyncio.run(main(*sys.argv[1:]))
