"""The sample over HTTP, as a channel meets it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import aiohttp
import pytest

from .channel import Channel
from .process import PIZZA, REPOSITORY, SAMPLE, run_to_its_end, running_bot

pytest.importorskip("botbuilder.integration.aiohttp", reason='pip install -e ".[sample]"')

ANN_SAYS_HELLO = [
    "Ann sent: Hello",
    "Message received at: 09:08:09 AM, Monday, May 06 of 2024",
    "Message received from: emulator",
]
TWO_HOURS_EAST = "TST-2"


async def introduce(channel: Channel) -> None:
    assert await channel.say("Hi") == ["What is your name?"]
    assert await channel.say("Ann") == ["Thanks Ann. To see conversation data, type anything."]


async def test_the_conversation_word_for_word() -> None:
    async with running_bot(TZ=TWO_HOURS_EAST) as bot, Channel(bot.url) as channel:
        assert await channel.join() == [
            "Welcome to State Bot Sample. Type anything to get started."
        ]
        await introduce(channel)
        assert await channel.say("Hello") == ANN_SAYS_HELLO


async def test_an_error_is_told_and_the_bot_goes_on() -> None:
    async with running_bot() as bot, Channel(bot.url) as channel:
        # Without `from` there is no user whose profile could be read.
        assert await channel.say("Hi", **{"from": None}) == [
            "The bot encountered an error or bug.",
            "To continue to run this bot, please fix the bot source code.",
        ]
        traces = [
            reply["name"]
            for replies in channel.replies.values()
            for reply in replies
            if reply["type"] == "trace"
        ]
        assert traces == ["on_turn_error Trace"]
        await introduce(channel)


async def test_a_message_without_a_timestamp() -> None:
    async with running_bot() as bot, Channel(bot.url) as channel:
        await introduce(channel)
        replies = await channel.say("Hello", timestamp=None)
    assert replies[1].startswith("Message received at: ")


async def test_a_restart_remembers(tmp_path: Path) -> None:
    state = {"STATE_STORAGE": "sqlite", "STATE_FILE": str(tmp_path / ".state" / "bot.db")}
    async with running_bot(**state) as bot, Channel(bot.url) as channel:
        assert state["STATE_FILE"] in bot.greeting[0]
        await introduce(channel)
    async with running_bot(TZ=TWO_HOURS_EAST, **state) as bot, Channel(bot.url) as channel:
        assert await channel.say("Hello") == ANN_SAYS_HELLO


def test_without_settings_the_state_is_in_a_file_beside_the_bot() -> None:
    for sample, name in ((SAMPLE, ".state/bot.db"), (PIZZA, ".state/pizza-orders.db")):
        printed = "from config import DefaultConfig as c; print(c.STATE_STORAGE, c.STATE_FILE)"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STATE_")}
        told = subprocess.run(
            [sys.executable, "-c", printed],
            cwd=sample,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stdout == f"sqlite {name}\n"
    assert "/.state/" in (REPOSITORY / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("kind", ["postgres", "redis"])
async def test_on_a_server_a_restart_remembers(kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    user = f"ann-{uuid.uuid4().hex}"
    state = {"STATE_STORAGE": kind, "STATE_URL": url}
    async with running_bot(**state) as bot, Channel(bot.url, user=user) as channel:
        await introduce(channel)
        assert url not in "".join(bot.greeting)
    async with (
        running_bot(TZ=TWO_HOURS_EAST, **state) as bot,
        Channel(bot.url, user=user) as channel,
    ):
        assert await channel.say("Hello") == ANN_SAYS_HELLO


async def test_on_blob_a_restart_remembers(azurite: str, container_name: str) -> None:
    storage = {
        "STATE_STORAGE": "blob",
        "AZURE_STORAGE_CONNECTION_STRING": azurite,
        "STATE_CONTAINER": container_name,
    }
    async with running_bot(**storage) as bot, Channel(bot.url) as channel:
        assert "blob" in bot.greeting[0]
        await introduce(channel)
    async with running_bot(TZ=TWO_HOURS_EAST, **storage) as bot, Channel(bot.url) as channel:
        assert await channel.say("Hello") == ANN_SAYS_HELLO


async def test_its_console_is_where_the_greeting_says() -> None:
    async with running_bot() as bot, Channel(bot.url) as channel:
        await introduce(channel)
        (line,) = [line for line in bot.greeting if "console" in line]
        async with aiohttp.ClientSession() as session, session.get(line.split()[-1]) as page:
            assert page.status == 200
            assert "emulator/users/" in await page.text()


async def test_the_greeting_says_what_to_do_next() -> None:
    async with running_bot() as bot:
        text = "\n".join(bot.greeting)
    assert bot.url in text
    assert f"PORT={bot.port} make chat" in text
    assert f"npx @microsoft/m365agentsplayground start -e {bot.url} -c emulator" in text


async def test_a_taken_port_is_one_line_with_the_fix() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finished = await run_to_its_end(SAMPLE / "app.py", PORT=str(port))
    assert finished.returncode == 1
    assert finished.stderr == f"Port {port} is taken: PORT={port + 1} make run\n"


@pytest.mark.parametrize("sample", [SAMPLE, PIZZA], ids=["state", "pizza"])
async def test_on_cosmos(sample: Path) -> None:
    """The account is asked when the first message comes."""
    pytest.importorskip("azure.cosmos")
    settings = {
        "STATE_STORAGE": "cosmos",
        "AZURE_COSMOS_ENDPOINT": "https://none.documents.azure.com",
        "AZURE_COSMOS_KEY": "czNjcmV0",
    }
    async with running_bot(sample, **settings) as bot:
        assert "cosmos" in bot.greeting[0]
        assert "czNjcmV0" not in "".join(bot.greeting)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"STATE_STORAGE": "disk"},
            "STATE_STORAGE is one of memory, sqlite, blob, postgres, redis and cosmos.\n",
        ),
        (
            {"STATE_STORAGE": "blob"},
            "STATE_STORAGE=blob needs AZURE_STORAGE_CONNECTION_STRING.\n",
        ),
        ({"STATE_STORAGE": "redis"}, "STATE_STORAGE=redis needs STATE_URL.\n"),
        ({"STATE_STORAGE": "cosmos"}, "STATE_STORAGE=cosmos needs AZURE_COSMOS_ENDPOINT.\n"),
    ],
)
async def test_a_setting_that_is_wrong_is_named(settings: dict[str, str], told: str) -> None:
    finished = await run_to_its_end(SAMPLE / "app.py", **settings)
    assert (finished.returncode, finished.stderr) == (1, told)


@pytest.mark.parametrize(
    ("states", "missing"),
    [("None, object()", "conversation_state"), ("object(), None", "user_state")],
)
async def test_the_bot_refuses_to_be_built_without_its_states(
    tmp_path: Path, states: str, missing: str
) -> None:
    script = tmp_path / "build.py"
    script.write_text(f"from bots import StateManagementBot\nStateManagementBot({states})\n")
    finished = await run_to_its_end(script, PYTHONPATH=str(SAMPLE))
    assert finished.stderr.splitlines()[-1] == (
        f"TypeError: [StateManagementBot]: Missing parameter. {missing} is required "
        "but None was given"
    )
