"""``list``, ``show``, ``query``, ``export-user`` and ``erase-user``, as someone runs them."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from botstate_ext import StateScopes
from botstate_ext.storage import BlobStorage
from tests.cli import forked
from tests.turns import context

pytest.importorskip("click", reason='pip install -e ".[cli]"')
pytest.importorskip("rich", reason='pip install -e ".[cli]"')

ROOT = Path(__file__).parents[2]
APP = ("--app", "listed_app:STATES")


class Shell:
    """Commands on one container that holds what two users left."""

    def __init__(self, states: StateScopes, container: str, azurite: str) -> None:
        self.states, self.container = states, container
        self._env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "AZURE_STORAGE_CONNECTION_STRING": azurite,
            "CONTAINER": container,
        }

    async def fill(self) -> None:
        for user in ("ann", "bob"):
            async with self.states.unit_of_work(
                channel_id="test", user_id=user, conversation_id="1"
            ) as work:
                for scope in (self.states.user, self.states.private):
                    await scope.create_property("name").set(work, user.title())
                await self.states.user.set_tags(work, {"first": user[0]})
        async with self.states.unit_of_work() as work:
            await self.states.shared.at("1").create_property("order").set(work, {"by": "ann"})

    async def run(self, *arguments: str, typed: str = "", **env: str) -> tuple[int, str, str]:
        """The exit code, and what it printed."""
        return await forked.run(
            *arguments, cwd=Path(__file__).parent, env={**self._env, **env}, typed=typed
        )

    async def json(self, *arguments: str) -> Any:
        code, out, err = await self.run(*arguments, "--container", self.container)
        assert (code, err) == (0, "")
        return json.loads(out)

    async def keys(self) -> list[str]:
        return [item.key async for item in self.states.storage.list_items()]


@pytest.fixture
async def shell(azurite: str, container_name: str) -> AsyncIterator[Shell]:
    async with BlobStorage(connection_string=azurite, container_name=container_name) as storage:
        shell = Shell(StateScopes(storage), container_name, azurite)
        await shell.fill()
        yield shell


async def test_looking(shell: Shell) -> None:
    users = await shell.json("list", "--scope", "user", "--json")
    assert [(user["id"], user["tags"]) for user in users] == [
        ("ann", {"first": "a"}),
        ("bob", {"first": "b"}),
    ]
    bob = await shell.json("list", "--scope", "user", "--channel=test", "--tag=first=b", "--json")
    assert bob == users[1:]
    assert await shell.json("list", "--scope", "user", "--limit=1", "--json") == users[:1]
    assert await shell.json("list", "--scope", "conversation", "--json") == []
    shown = await shell.json("show", "test/users/ann")
    assert (shown["scope"], shown["properties"]) == ("user", {"name": "Ann"})
    found = await shell.json("query", "$.name", "--scope", "private", "--json")
    assert found == [
        {"key": "test/conversations/1/users/ann/", "found": "Ann"},
        {"key": "test/conversations/1/users/bob/", "found": "Bob"},
    ]
    code, out, _ = await shell.run("list", "--scope", "shared", "--container", shell.container)
    assert code == 0
    assert out.rstrip().endswith("  shared/1")


async def test_exporting_and_erasing(shell: Shell) -> None:
    code, out, err = await shell.run("export-user", "test", "ann", *APP)
    assert (code, err) == (0, "")
    export = json.loads(out)
    assert export["exported"] == {"shared.order": {"by": "ann"}}
    assert [entry["properties"] for entry in export["documents"]] == [{"name": "Ann"}] * 2

    before = await shell.keys()
    code, out, err = await shell.run("erase-user", "test", "ann", *APP, typed="n\n")
    assert (code, out) == (1, "")
    assert "Remove these 2 documents" in err
    code, out, _ = await shell.run("erase-user", "test", "ann", *APP)
    assert code == 1, "nobody answered"
    code, out, _ = await shell.run("erase-user", "test", "ann", "--dry-run", "--json", *APP)
    assert code == 0
    assert len(json.loads(out)["removed"]) == 2
    assert await shell.keys() == before

    code, out, err = await shell.run("erase-user", "test", "ann", "--json", *APP, typed="y\n")
    assert code == 0, err
    assert json.loads(out)["handlers_run"] == 1
    assert await shell.keys() == [key for key in before if "ann" not in key]
    order = shell.states.shared.create_property("order").at("1")
    assert await order.get(context()) == {"by": "someone"}
    code, out, _ = await shell.run("erase-user", "test", "bob", "--yes", "--conversation=1", *APP)
    assert (code, out.splitlines()[0]) == (0, "Removed: 2")
    assert await shell.keys() == ["shared/1"]


async def test_exit_codes(shell: Shell) -> None:
    container = ("--container", shell.container)
    key = "test/conversations/c/users/a/users/b/"
    await shell.states.storage.put_if(key, b"{}", etag=None)
    code, out, _ = await shell.run("erase-user", "test", "b", "--yes", *container)
    assert code == 1
    assert key in out
    assert (await shell.run("export-user", "test", "b", *container))[0] == 1
    code, _, err = await shell.run("show", "test/users/nobody", *container)
    assert code == 1
    assert "no document" in err
    for wrong in (
        ("list", "--scope", "user"),
        ("list", "--scope", "user", "--tag", "first", *container),
        ("list", "--scope", "no scope", *container),
        ("list", *container),
    ):
        assert (await shell.run(*wrong))[0] == 2, wrong
    code, _, err = await shell.run("query", "$[", "--scope", "user", *container)
    assert code == 1
    assert "JSONPath" in err


async def test_a_bar_where_there_is_a_terminal(shell: Shell) -> None:
    container = ("--container", shell.container)
    _, _, err = await shell.run("list", "--scope", "user", *container, FORCE_COLOR="1")
    assert "found 2" in err
    _, _, err = await shell.run("erase-user", "test", "x", "--yes", *container, FORCE_COLOR="1")
    assert "looked at 2 keys" in err
