"""The successor SDK on the same blobs, with its own packages in an environment of its own."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jsonpickle
import pytest
from botbuilder.dialogs import DialogInstance, DialogState

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext.storage import BlobStorage
from tests.turns import Bot

DAY = datetime(2024, 1, 2, tzinfo=timezone.utc)


@dataclass
class Profile:
    name: str
    since: datetime
    tags: set[str] = field(default_factory=set)


class World:
    def __init__(self, python: Path, connection_string: str, container: str) -> None:
        self._python, self._container = python, container
        self._env = {**os.environ, "AZURE_STORAGE_CONNECTION_STRING": connection_string}
        self.storage = BlobStorage(connection_string=connection_string, container_name=container)
        self.states = StateScopes(self.storage)
        self.profile = self.states.user.create_property("profile", Profile)
        self.bot = Bot(StateMiddleware(self.states))

    async def successor_turn(self, **changes: Any) -> dict[str, Any]:
        """What a turn of the successor finds, by scope, before it changes something."""
        process = await asyncio.create_subprocess_exec(
            str(self._python), "-W", "ignore", str(Path(__file__).with_name("turn.py")),
            self._container, json.dumps(changes), env=self._env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return dict(json.loads(out.splitlines()[-1]))


@pytest.fixture
async def world(successor: Path, azurite: str, container_name: str) -> AsyncIterator[World]:
    world = World(successor, azurite, container_name)
    async with world.storage:
        yield world


async def test_it_reads_what_typed_properties_store(world: World) -> None:
    await world.bot.turn(lambda turn: world.profile.set(turn, Profile("Ann", DAY, {"a"})))
    found = await world.successor_turn(
        user={"profile": {"name": "Bob", "since": DAY.isoformat(), "tags": []}}
    )
    assert found["user"]["profile"] == {
        "name": "Ann", "since": "2024-01-02T00:00:00Z", "tags": ["a"],
    }  # fmt: skip
    # And we read what it wrote, over our document.
    read: list[Any] = []

    async def logic(turn: Any) -> None:
        read.append(await world.profile.get(turn))

    await world.bot.turn(logic)
    assert read == [Profile("Bob", DAY)]


async def test_after_a_migration_it_reads_what_upstream_wrote(world: World) -> None:
    document = {"profile": Profile("Ann", DAY, {"a"}), "plain": {"a": [1]}}
    await world.storage.put_if("test/users/user", jsonpickle.encode(document).encode(), etag=None)
    before = await world.successor_turn()
    assert "py/object" in before["user"]["profile"], "it does not know jsonpickle's tags"
    report = await world.states.migrate()
    assert (report.rewritten, report.failed) == (1, 0)
    found = await world.successor_turn()
    assert found["user"]["profile"]["name"] == "Ann"
    assert found["user"]["profile"]["tags"] == ["a"]
    assert found["user"]["plain"] == {"a": [1]}
    assert "py/" not in json.dumps(found["user"])


async def test_it_takes_what_is_empty_for_absent(world: World) -> None:
    count = world.states.conversation.create_property("count")
    await world.bot.turn(lambda turn: count.set(turn, 0))
    assert (await world.successor_turn())["conversation"]["count"] is None


async def test_it_does_not_read_a_dialogs_state(world: World) -> None:
    dialogs = world.states.conversation.create_property("DialogState")
    instance = DialogInstance()
    instance.id, instance.state = "prompt", {}
    await world.bot.turn(lambda turn: dialogs.set(turn, DialogState([instance])))
    found = await world.successor_turn()
    state = found["conversation"]["DialogState"]
    assert state["py/object"].startswith("botbuilder.dialogs."), "a class that it does not have"
