"""A bot moves from one SDK to the other: for a time both run on one storage, and their users notice
nothing."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from botbuilder.core import TurnContext
from botbuilder.dialogs import DialogExtensions
from botbuilder.schema import Activity, ActivityTypes, ChannelAccount, ConversationAccount

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext.storage import BlobStorage, SQLiteStorage
from tests.patience import LIMIT
from tests.successor.dialogs_bot import Main
from tests.turns import Bot

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.slow


def added(base: int | None, mine: int | None, theirs: int | None) -> int:
    """Two turns that count at once count two."""
    return (mine or 0) + (theirs or 0) - (base or 0)


class OldBot:
    """A bot on the Bot Framework SDK, in this process."""

    def __init__(self, storage: Any) -> None:
        self.states = StateScopes(storage)
        conversation = self.states.conversation
        self._log = conversation.create_property("log", list, default=list, merge="append")
        self._dialogs = conversation.create_property("DialogState")
        self._seen = self.states.user.create_property("seen", int, merge=added)
        self._bot = Bot(StateMiddleware(self.states))

    async def say(self, text: str, conversation: str = "talk") -> list[str]:
        activity = Activity(
            type=ActivityTypes.message,
            channel_id="test",
            service_url="https://channel.test",
            from_property=ChannelAccount(id="ann"),
            recipient=ChannelAccount(id="agent"),
            conversation=ConversationAccount(id=conversation),
            text=text,
        )
        sent = self._bot.adapter.activity_buffer
        sent.clear()
        await self._bot.turn(self._logic, activity)
        return [each.text for each in sent if each.type == ActivityTypes.message]

    async def _logic(self, turn: TurnContext) -> None:
        if not turn.activity.text.startswith("note "):
            await DialogExtensions.run_dialog(Main(), turn, self._dialogs)
            return
        (await self._log.get(turn, list)).append(turn.activity.text)
        seen = await self._seen.get(turn, 0)
        await self._seen.set(turn, seen + 1)
        await turn.send_activity(f"{seen + 1}")

    async def log(self) -> list[str]:
        async with self.states.unit_of_work(channel_id="test", conversation_id="talk") as work:
            return list(await self._log.get(work, list))


class NewAgent:
    """An agent on the Agents SDK, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def say(self, text: str, conversation: str = "talk") -> list[str]:
        assert self._process.stdin is not None
        message = {"text": text, "conversation": conversation}
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        return list(json.loads(await self._line()))

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        return await asyncio.wait_for(self._process.stdout.readline(), LIMIT.total_seconds())


@asynccontextmanager
async def new_agent(python: Path, *place: str, connection: str = "") -> AsyncIterator[NewAgent]:
    process = await asyncio.create_subprocess_exec(
        str(python), "-W", "ignore", str(Path(__file__).with_name("agent.py")), *place,
        env={
            **os.environ, "PYTHONPATH": str(ROOT), "AZURE_STORAGE_CONNECTION_STRING": connection,
        },
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    agent = NewAgent(process)
    try:
        assert await agent._line() == b"ready\n"
        yield agent
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@pytest.fixture(params=["sqlite", "blob"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, str]:
    """The kind of a storage, where it is, and how to connect to it."""
    if request.param == "sqlite":
        return "sqlite", str(tmp_path / "state.db"), ""
    container = request.getfixturevalue("container_name")
    return "blob", container, request.getfixturevalue("azurite")


@pytest.fixture
async def old(place: tuple[str, str, str]) -> AsyncIterator[OldBot]:
    kind, where, connection = place
    storage: Any = SQLiteStorage(where)
    if kind == "blob":
        storage = BlobStorage(connection_string=connection, container_name=where)
    async with storage:
        yield OldBot(storage)


@pytest.fixture
async def hosts(
    place: tuple[str, str, str], old: OldBot, successor: Path
) -> AsyncIterator[tuple[OldBot, NewAgent]]:
    async with new_agent(successor, *place[:2], connection=place[2]) as agent:
        yield old, agent


async def test_200_turns_between_them(hosts: tuple[OldBot, NewAgent]) -> None:
    old, new = hosts
    rng = random.Random(7)
    for number in range(200):
        said = await rng.choice((old, new)).say(f"note {number}")
        assert said == [str(number + 1)]
    assert await old.log() == [f"note {number}" for number in range(200)]


async def talk(host: OldBot | NewAgent, name: str) -> list[str]:
    """Let a host note 20 texts, one after another."""
    texts = [f"note {name} {number}" for number in range(20)]
    for text in texts:
        await host.say(text)
    return texts


async def test_agents_in_two_processes(
    place: tuple[str, str, str], old: OldBot, successor: Path
) -> None:
    async with (
        new_agent(successor, *place[:2], connection=place[2]) as one,
        new_agent(successor, *place[:2], connection=place[2]) as other,
    ):
        first, second = await asyncio.gather(talk(one, "one"), talk(other, "other"))
        assert sorted(await old.log()) == sorted([*first, *second])
        assert await one.say("note the last") == ["41"]


async def test_turns_at_once(hosts: tuple[OldBot, NewAgent]) -> None:
    old, new = hosts
    first, second = await asyncio.gather(talk(old, "old"), talk(new, "new"))
    assert sorted(await old.log()) == sorted([*first, *second])
    assert await new.say("note the last") == ["41"]


@pytest.mark.parametrize("begins_on", ["old", "new"])
async def test_a_dialog_that_begins_on_one_ends_on_the_other(
    hosts: tuple[OldBot, NewAgent], begins_on: str
) -> None:
    old, new = hosts
    first, second = (old, new) if begins_on == "old" else (new, old)
    words = ("hi", "Ann", "big", "99", "3")
    answers = ["name?", "size?", "how many?", "how many?", "Ann: 3 large"]
    ended = 0
    for moved_after in range(1, len(words)):
        conversation = f"{begins_on} {moved_after}"
        said = []
        for number, word in enumerate(words):
            host = first if number < moved_after else second
            said += await host.say(word, conversation)
        assert said == answers
        ended += said[-1] == answers[-1]
    assert ended == len(words) - 1


async def test_a_dialog_that_goes_back_and_forth(hosts: tuple[OldBot, NewAgent]) -> None:
    said = []
    for number, word in enumerate(("hi", "Ann", "big", "99", "3")):
        said += await hosts[number % 2].say(word, "both")
    assert said == ["name?", "size?", "how many?", "how many?", "Ann: 3 large"]
