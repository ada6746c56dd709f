"""``python -m botstate_ext sweep``, as someone runs it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from botstate_ext import StateScopes
from botstate_ext.storage import BlobStorage
from tests.cli import forked
from tests.cli.forked import Finished
from tests.turns import context

pytest.importorskip("click", reason='pip install -e ".[cli]"')
pytest.importorskip("rich", reason='pip install -e ".[cli]"')

ROOT = Path(__file__).parents[2]
TWO_HOURS = 7200


class Shell:
    """Commands with this container in their environment."""

    def __init__(self, states: StateScopes, **env: str) -> None:
        self.states = states
        self.order = states.shared.create_property("order", str, expires_after=timedelta(hours=1))
        self._env = {**os.environ, "PYTHONPATH": str(ROOT), **env}

    async def store(self, handled: bool = True) -> None:
        """An order, by a process that has a handler for its end or has none."""
        if handled:
            self.order.on_expired(print)
        turn = context()
        await self.order.at("1").set(turn, "pizza")
        await self.states.shared.save_changes(turn)

    async def start(self, *arguments: str, **env: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "botstate_ext",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parent,
            env={**self._env, **env},
        )

    async def run(self, *arguments: str, **env: str) -> Finished:
        return await forked.run(*arguments, cwd=Path(__file__).parent, env={**self._env, **env})

    async def report(self, *arguments: str, **env: str) -> dict[str, Any]:
        finished = await self.run("sweep", "--json", *arguments, **env)
        assert finished.code == 0, finished.err
        report: dict[str, Any] = json.loads(finished.out.splitlines()[-1])
        return report


@pytest.fixture
async def shell(azurite: str, container_name: str) -> AsyncIterator[Shell]:
    async with BlobStorage(connection_string=azurite, container_name=container_name) as storage:
        yield Shell(
            StateScopes(storage), AZURE_STORAGE_CONNECTION_STRING=azurite, CONTAINER=container_name
        )


APP = ("--app", "swept_app:STATES")


async def test_a_sweeper_that_is_killed_leaves_an_expiry_that_the_next_completes(
    shell: Shell,
) -> None:
    await shell.store()
    process = await shell.start("sweep", *APP, LATER=str(TWO_HOURS), HANG="1")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"attempt 1: pizza\n"
    process.kill()
    await process.communicate()
    # Its claim still holds.
    assert (await shell.report(*APP, LATER=str(TWO_HOURS)))["expired"] == 0
    finished = await shell.run("sweep", *APP, LATER=str(TWO_HOURS + 120))
    assert finished.code == 0
    assert finished.out.splitlines()[0] == "attempt 2: pizza"
    assert "Removed: 1, of them by handlers: 1" in finished.out
    assert await shell.states.storage.get("shared/1") is None


async def test_without_the_app_what_has_a_handler_is_left_for_it(
    shell: Shell, container_name: str
) -> None:
    # The clock of such a command is the machine's, so the end must be in the past: by a writer
    # whose clock was behind.
    await shell.run("sweep", *APP)  # creates nothing, removes nothing
    await shell.store()
    item = await shell.states.storage.get("shared/1")
    assert item is not None
    old = {"statenextexpiry": "2020-01-01T00:00:00.000000+00:00"}
    body = json.loads(item.data)
    body["$state"]["props"]["order"]["expires"] = "2020-01-01T00:00:00Z"
    body["plain"] = 1
    body["$state"]["props"]["plain"] = {"expires": "2020-01-01T00:00:00Z"}
    await shell.states.storage.put_if(
        "shared/1", json.dumps(body).encode(), etag=item.etag, metadata=old
    )
    finished = await shell.run("sweep", "--container", container_name)
    assert finished.code == 0, finished.err
    assert "expired: 2" in finished.out
    assert "Removed: 1, of them by handlers: 0" in finished.out
    assert "handlers: 1. Use --app" in finished.out
    assert (await shell.report(*APP))["handlers_run"] == 1


async def test_a_dry_run_a_bar_and_a_handler_that_fails(shell: Shell) -> None:
    await shell.store()
    later = {"LATER": str(TWO_HOURS)}
    dry = await shell.run("sweep", "--dry-run", *APP, **later)
    assert (dry.code, dry.err) == (0, "")
    assert "expired: 1\nThis was a dry run: nothing was removed." in dry.out
    failed = await shell.run("sweep", *APP, FAIL="1", FORCE_COLOR="1", **later)
    assert failed.code == 1
    assert "tried again by a later sweep: 1" in failed.out
    assert "failed 1" in failed.err, "the bar, which a terminal shows"
    assert "told to fail" in failed.err


@pytest.mark.parametrize(
    ("arguments", "env", "told"),
    [
        ((), {}, "either --app or --container"),
        (("--app", "a:b", "--container", "state"), {}, "either --app or --container"),
        (("--app", "swept_app"), {}, "MODULE:STATES"),
        (("--app", "no_such_module:STATES"), {}, "no module 'no_such_module'"),
        (("--app", "json:dumps"), {}, "'json:dumps' is no StateScopes"),
        (("--container", "state"), {"AZURE_STORAGE_CONNECTION_STRING": ""}, "in the environment"),
        (
            ("--container", "state"),
            {"AZURE_STORAGE_CONNECTION_STRING": "AccountKey=secret"},
            "is no connection string",
        ),
        (("--container", "state", "--parallel", "0"), {}, "parallel"),
    ],
)
def test_a_wrong_command_line_says_what_is_right(
    arguments: tuple[str, ...], env: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from botstate_ext.cli import main

    monkeypatch.chdir(Path(__file__).parent)
    monkeypatch.setattr(sys, "path", [*sys.path])
    finished = CliRunner(env={"AZURE_STORAGE_CONNECTION_STRING": _NOWHERE, **env}).invoke(
        main, ["sweep", *arguments]
    )
    assert finished.exit_code == 2
    assert told in " ".join(finished.stderr.split())
    assert "secret" not in finished.stderr
    assert "Traceback" not in finished.stderr


async def test_a_container_that_is_not_there_is_one_line(shell: Shell) -> None:
    finished = await shell.run("sweep", "--container", "no-such-container")
    assert finished.code == 1
    assert finished.err.startswith("Error: Storage list failed")
    assert len(finished.err.splitlines()) == 1


async def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError(name='click')\n")
    shell = Shell(StateScopes(BlobStorage(connection_string=_NOWHERE, container_name="state")))
    process = await shell.start("sweep", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    _, err = await process.communicate()
    assert process.returncode == 1
    assert b'pip install "botstate-ext[cli]"' in err


_NOWHERE = (
    "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:1/a;"
)
