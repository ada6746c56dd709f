"""The name-prompt sample on both SDKs, on one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.samples.channel import Channel
from tests.samples.process import AGENTS, REPOSITORY, SAMPLE, running_bot

pytest.importorskip("botbuilder.integration.aiohttp", reason='pip install -e ".[sample]"')


@pytest.mark.parametrize("first", ["bot", "agent"])
async def test_the_one_knows_whom_the_other_met(
    successor: Path, tmp_path: Path, first: str
) -> None:
    env = {
        "STATE_STORAGE": "sqlite",
        "STATE_FILE": str(tmp_path / "bot.db"),
        "PYTHONPATH": str(REPOSITORY),
    }
    bot, agent = (SAMPLE,), (AGENTS, str(successor))
    before, after = (bot, agent) if first == "bot" else (agent, bot)
    async with running_bot(*before, **env) as one, Channel(one.url) as channel:
        assert await channel.say("Hi") == ["What is your name?"]
    async with running_bot(*after, **env) as other, Channel(other.url) as channel:
        assert await channel.say("Ann") == ["Thanks Ann. To see conversation data, type anything."]
    async with running_bot(*before, **env) as one, Channel(one.url) as channel:
        assert (await channel.say("Hello"))[0] == "Ann sent: Hello"
