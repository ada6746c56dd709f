"""The terminal client, its input piped in."""

from __future__ import annotations

import pytest

from .process import SAMPLE, free_port, run_to_its_end, running_bot

pytest.importorskip("botbuilder.integration.aiohttp", reason='pip install -e ".[sample]"')

CHAT = SAMPLE / "chat.py"


async def test_a_conversation_in_the_terminal() -> None:
    async with running_bot() as bot:
        port = str(bot.port)
        first = await run_to_its_end(CHAT, typed="Hi\n\nAnn\n", PORT=port)
        second = await run_to_its_end(CHAT, typed="Hello", PORT=port)
        stranger = await run_to_its_end(CHAT, "--user", "bob", typed="Hello\n", PORT=port)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines() == [
        "Bot: Welcome to State Bot Sample. Type anything to get started.",
        "You: Hi",
        "Bot: What is your name?",
        "You: Ann",
        "Bot: Thanks Ann. To see conversation data, type anything.",
    ]
    assert "Bot: Ann sent: Hello" in second.stdout.splitlines()
    assert stranger.stdout.splitlines()[-1] == "Bot: What is your name?"


async def test_no_bot_is_one_line_with_the_fix() -> None:
    port = free_port()
    finished = await run_to_its_end(CHAT, typed="Hi\n", PORT=str(port))
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr == (
        f"No bot at http://localhost:{port}/api/messages: PORT={port} make run\n"
    )


async def test_a_bot_that_wants_credentials() -> None:
    async with running_bot(MicrosoftAppId="11111111-2222-3333-4444-555555555555") as bot:
        finished = await run_to_its_end(CHAT, typed="Hi\n", PORT=str(bot.port))
    assert finished.returncode == 1
    assert finished.stderr == "The bot wants credentials: start it without MicrosoftAppId.\n"
