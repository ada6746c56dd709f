"""Quick and repeated messages to the running sample, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from .channel import Channel
from .process import running_bot

pytest.importorskip("botbuilder.integration.aiohttp", reason='pip install -e ".[sample]"')


class SlowChannel(Channel):
    """A channel that takes its time with the bot's replies, when it is told to."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.takes_replies, self.is_asked = asyncio.Event(), asyncio.Event()
        self.takes_replies.set()
        self.order: list[str] = []

    async def __aenter__(self) -> SlowChannel:
        await super().__aenter__()
        return self

    async def _on_reply(self, request: web.Request) -> web.Response:
        self.is_asked.set()
        await self.takes_replies.wait()
        self.order.append((await request.json()).get("text", ""))
        return await super()._on_reply(request)

    def stop_taking_replies(self) -> None:
        self.is_asked.clear()
        self.takes_replies.clear()
        self.order.clear()


async def introduce(channel: Channel) -> None:
    await channel.say("Hi")
    await channel.say("Ann")


async def test_two_quick_messages_are_both_answered_in_order() -> None:
    async with running_bot() as bot, SlowChannel(bot.url) as channel:
        await introduce(channel)
        channel.stop_taking_replies()
        one = asyncio.ensure_future(channel.say("one"))
        await channel.is_asked.wait()
        two = asyncio.ensure_future(channel.say("two"))
        # A conversation of its own is not delayed, and shows that the second message is there.
        async with Channel(bot.url, conversation="talk-2") as other:
            assert (await other.say("meanwhile"))[0] == "Ann sent: meanwhile"
        channel.takes_replies.set()
        answers = await asyncio.gather(one, two)
    assert [answer[0] for answer in answers] == ["Ann sent: one", "Ann sent: two"]
    assert channel.order == [*answers[0], *answers[1]]


async def test_a_message_delivered_again_and_again_is_answered_once() -> None:
    async with running_bot() as bot, SlowChannel(bot.url) as channel:
        await introduce(channel)
        channel.stop_taking_replies()
        first = asyncio.ensure_future(channel.say("Hello", id="the same"))
        await channel.is_asked.wait()
        during_its_turn = asyncio.ensure_future(channel.say("Hello", id="the same"))
        async with Channel(bot.url, conversation="talk-2") as other:
            await other.say("meanwhile")
        assert not during_its_turn.done()
        channel.takes_replies.set()
        await asyncio.gather(first, during_its_turn)
        await channel.say("Hello", id="the same")
        assert (await channel.say("Hello"))[0] == "Ann sent: Hello", "another one is answered"
    assert channel.order.count("Ann sent: Hello") == 2
