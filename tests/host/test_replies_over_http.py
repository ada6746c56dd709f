"""Held replies and replay through the real CloudAdapter, over HTTP, on Memory and on Blob."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from botbuilder.schema import ActivityTypes

from botstate_ext.storage import BlobStorage, MemoryStorage, StateStorage
from botstate_ext.testing import FaultyStorage
from tests.samples.channel import Channel
from tests.turns import (
    Activity,
    ActivityHandler,
    InvokeResponse,
    StateMiddleware,
    StateScopes,
    TurnContext,
)

sdk = pytest.importorskip("botbuilder.integration.aiohttp", reason='pip install -e ".[sample]"')

SETTINGS = SimpleNamespace(APP_ID="", APP_PASSWORD="", APP_TYPE="MultiTenant", APP_TENANTID="")


@pytest.fixture(params=["memory", pytest.param("blob", marks=pytest.mark.blob)])
async def storage(
    request: pytest.FixtureRequest, container_name: str
) -> AsyncIterator[FaultyStorage]:
    inner: StateStorage = MemoryStorage()
    if request.param == "blob":
        azurite = request.getfixturevalue("azurite")
        inner = BlobStorage(connection_string=azurite, container_name=container_name)
    async with inner:
        yield FaultyStorage(inner)


class Talk(Channel):
    """A channel that can be slow, can fail, and answers invokes."""

    overlapping = 0
    now = 0
    fails_at = ""

    async def _on_reply(self, request: web.Request) -> web.Response:
        self.now += 1
        self.overlapping = max(self.overlapping, self.now)
        text = (await request.json()).get("text")
        await asyncio.sleep(0)
        self.now -= 1
        if self.fails_at and text == self.fails_at:
            return web.json_response({}, status=400)
        return await super()._on_reply(request)

    async def invoke(self, name: str) -> int:
        activity = {
            "type": "invoke",
            "name": name,
            "id": "invoke-1",
            "channelId": "emulator",
            "serviceUrl": self._service_url,
            "from": self._user,
            "recipient": {"id": "bot"},
            "conversation": self._conversation,
        }
        async with self._session.post(self._bot_url, json=activity) as answer:
            return answer.status


OnTurn = Callable[[TurnContext], Awaitable[Any]]


@asynccontextmanager
async def talk(middleware: StateMiddleware, bot: Any) -> AsyncIterator[Talk]:
    """A channel that talks to this bot, on a free port."""
    adapter = sdk.CloudAdapter(sdk.ConfigurationBotFrameworkAuthentication(SETTINGS))
    adapter.use(middleware)

    async def on_error(turn: TurnContext, error: Exception) -> None:
        await turn.send_activity(f"sorry: {type(error).__name__}")

    async def messages(request: web.Request) -> web.Response:
        answer = await adapter.process(request, bot)
        return web.Response(status=201) if answer is None else answer

    adapter.on_turn_error = on_error
    app = web.Application()
    app.router.add_post("/api/messages", messages)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        channel = Talk(f"http://127.0.0.1:{port}/api/messages")
        async with channel:
            yield channel
    finally:
        await runner.cleanup()


class Orders(ActivityHandler):
    """Notes what it is told, and says so in three replies."""

    def __init__(self, states: StateScopes) -> None:
        self._orders = states.conversation.create_property("orders", list)
        self.ids: list[Any] = []

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        orders = await self._orders.get(turn_context, list)
        await turn_context.send_activity(Activity(type=ActivityTypes.typing))
        responses = [await turn_context.send_activity("one moment")]
        orders.append(turn_context.activity.text)
        responses.append(await turn_context.send_activity(",".join(orders)))
        responses.append(await turn_context.send_activity("more?"))
        self.ids.append(responses)

    async def on_invoke_activity(self, turn_context: TurnContext) -> InvokeResponse:
        await self._orders.set(turn_context, [])
        return InvokeResponse(status=200)


MODES = [{"replies": "after_save"}, {"on_conflict": "replay"}]


@pytest.mark.parametrize("mode", MODES)
async def test_replies_arrive_in_order_one_at_a_time(
    storage: FaultyStorage, mode: dict[str, Any]
) -> None:
    states = StateScopes(storage)
    bot = Orders(states)
    async with talk(StateMiddleware(states, **mode), bot) as channel:
        assert await channel.say("pizza") == ["one moment", "pizza", "more?"]
        first = next(iter(channel.replies))
        assert await channel.say("cola") == ["one moment", "pizza,cola", "more?"]
        assert channel.overlapping == 1
        # The id that this channel gives to a reply.
        assert [response.id for response in bot.ids[0]] == [f"reply-to-{first}"] * 3


@pytest.mark.parametrize("mode", MODES)
async def test_nothing_is_said_if_the_save_fails(
    storage: FaultyStorage, mode: dict[str, Any]
) -> None:
    states = StateScopes(storage)
    async with talk(StateMiddleware(states, **mode), Orders(states)) as channel:
        storage.fail("put")
        assert await channel.say("pizza") == ["sorry: StateStorageError"]
        (replies,) = channel.replies.values()
        types = [reply["type"] for reply in replies]
        assert types == ["typing", "message"]
        assert await channel.say("cola") == ["one moment", "cola", "more?"]


async def test_the_channel_fails_in_the_middle(storage: FaultyStorage) -> None:
    states = StateScopes(storage)
    async with talk(StateMiddleware(states, replies="after_save"), Orders(states)) as channel:
        channel.fails_at = "pizza"
        assert await channel.say("pizza") == ["one moment", "sorry: ErrorResponseException"]
        channel.fails_at = ""
        assert await channel.say("cola") == ["one moment", "pizza,cola", "more?"]


@pytest.mark.parametrize("mode", MODES)
async def test_an_invoke_is_answered_only_if_its_state_is_saved(
    storage: FaultyStorage, mode: dict[str, Any]
) -> None:
    states = StateScopes(storage)
    async with talk(StateMiddleware(states, **mode), Orders(states)) as channel:
        assert await channel.invoke("clear") == 200
        await channel.say("pizza")
        storage.fail("put")
        assert await channel.invoke("clear") == 501
        assert await channel.say("cola") == ["one moment", "pizza,cola", "more?"]


async def test_two_instances_of_one_conversation_by_replay(storage: FaultyStorage) -> None:
    """Quick messages that reach two instances: each is answered once, from what the other left."""

    def instance() -> Any:
        states = StateScopes(storage)
        return talk(StateMiddleware(states, on_conflict="replay"), Orders(states))

    async with instance() as one, instance() as two:
        answers = await asyncio.gather(
            *(
                channel.say(text)
                for channel, text in [(one, "a"), (two, "b"), (one, "c"), (two, "d")]
            )
        )
    assert [answer[::2] for answer in answers] == [["one moment", "more?"]] * 4
    lists = sorted((answer[1] for answer in answers), key=len)
    assert [len(text) for text in lists] == [1, 3, 5, 7]
    assert all(longer.startswith(shorter) for shorter, longer in pairwise(lists))
    assert sorted(lists[-1]) == sorted("a,b,c,d")
