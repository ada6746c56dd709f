"""``python -m botstate_ext migrate``, as someone runs it."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from botstate_ext.storage import BlobStorage
from tests.cli import forked

pytest.importorskip("click", reason='pip install -e ".[cli]"')
pytest.importorskip("rich", reason='pip install -e ".[cli]"')

ROOT = Path(__file__).parents[2]
TAGGED = b'{"profile": {"py/object": "app.Profile", "name": "Ann"}, "e_tag": "0x1"}'
CORRUPT = b'{"profile": '
APP = ("--app", "migrated_app:STATES")


class Shell:
    """The command, with this container in its environment."""

    def __init__(self, storage: BlobStorage, **env: str) -> None:
        self.storage = storage
        self._env = {**os.environ, "PYTHONPATH": str(ROOT), **env}

    async def run(self, *arguments: str) -> tuple[int | None, str, str]:
        return await forked.run("migrate", *arguments, cwd=Path(__file__).parent, env=self._env)

    async def stored(self, key: str) -> bytes:
        item = await self.storage.get(key)
        assert item is not None
        return item.data


@pytest.fixture
async def shell(azurite: str, container_name: str) -> AsyncIterator[Shell]:
    async with BlobStorage(connection_string=azurite, container_name=container_name) as storage:
        await storage.put_if("test/users/ann", TAGGED, etag=None)
        await storage.put_if("transcripts/1", TAGGED, etag=None)
        yield Shell(storage, AZURE_STORAGE_CONNECTION_STRING=azurite, CONTAINER=container_name)


async def test_a_dry_run_then_a_run_then_nothing_left_to_do(shell: Shell) -> None:
    code, out, err = await shell.run("--dry-run", *APP)
    assert code == 0, err
    assert "To be rewritten: 1" in out
    assert "nothing was changed" in out
    assert await shell.stored("test/users/ann") == TAGGED

    code, out, err = await shell.run("--json", *APP)
    assert code == 0, err
    report = json.loads(out)
    assert (report["seen"], report["rewritten"], report["others"]) == (2, 1, 1)
    body = json.loads(await shell.stored("test/users/ann"))
    assert body["profile"] == {"name": "Ann"}
    assert "e_tag" not in body
    assert await shell.stored("transcripts/1") == TAGGED

    code, out, _ = await shell.run(*APP)
    assert "Rewritten: 0" in out


async def test_what_is_corrupt_is_named_and_stays(shell: Shell) -> None:
    await shell.storage.put_if("test/users/bob", CORRUPT, etag=None)
    code, out, _ = await shell.run(*APP, "--jsonpickle-1-before", "2024-01-01")
    assert code == 1
    assert "Rewritten: 1" in out
    assert "because of a problem: 1" in out
    assert "test/users/bob" in out
    assert await shell.stored("test/users/bob") == CORRUPT


async def test_without_the_app_tags_stay(shell: Shell, container_name: str) -> None:
    code, _, err = await shell.run("--container", container_name)
    assert code == 0, err
    body = json.loads(await shell.stored("test/users/ann"))
    assert body["profile"]["py/object"] == "app.Profile"
    assert "e_tag" not in body
