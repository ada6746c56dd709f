"""The pizza orders over HTTP: friends in conversations of their own share one order."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack

import pytest

from botstate_ext import storage as storages

from .channel import Channel
from .process import PIZZA, SAMPLE, run_to_its_end, running_bot

pytest.importorskip("botbuilder.integration.aiohttp", reason='pip install -e ".[sample]"')


@pytest.mark.parametrize("kind", ["memory", pytest.param("blob", marks=pytest.mark.blob)])
async def test_three_friends_order_at_once_and_every_pizza_is_in_the_order_once(
    kind: str, request: pytest.FixtureRequest, container_name: str
) -> None:
    environment = {"STATE_STORAGE": kind, "STATE_CONTAINER": container_name}
    if kind == "blob":
        environment["AZURE_STORAGE_CONNECTION_STRING"] = request.getfixturevalue("azurite")
    friends, each = ["ann", "bob", "cas"], 5
    async with running_bot(PIZZA, **environment) as bot, AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(Channel(bot.url, user=who, conversation=f"with-{who}"))
            for who in friends
        ]
        await asyncio.gather(*(channel.say("Order 12345") for channel in channels))

        async def order(channel: Channel, who: str) -> None:
            for number in range(each):
                pizza = f"{who}'s no. {number}"
                again = {"id": f"{who} {number}"}
                twice = [channel.say(pizza, **again) for _ in range(2)]
                assert [f"{pizza} is in order 12345."] in await asyncio.gather(*twice)

        await asyncio.gather(*map(order, channels, friends))
        shown = (await channels[0].say("order"))[0].splitlines()
    expected = [f"{who}'s no. {number} ({who})" for who in friends for number in range(each)]
    assert sorted(shown[1:]) == sorted(expected)
    for who in friends:
        assert [line for line in shown if line.endswith(f"({who})")] == [
            f"{who}'s no. {number} ({who})" for number in range(each)
        ], "each friend's pizzas in the order in which they were added"


async def test_on_blob_the_order_survives_a_restart_and_is_plain_json(
    azurite: str, container_name: str
) -> None:
    environment = {
        "STATE_STORAGE": "blob",
        "AZURE_STORAGE_CONNECTION_STRING": azurite,
        "STATE_CONTAINER": container_name,
    }
    async with running_bot(PIZZA, **environment) as bot, Channel(bot.url) as channel:
        await channel.say("Order 12345")
        await channel.say("Funghi")
    async with running_bot(PIZZA, **environment) as bot, Channel(bot.url) as channel:
        assert await channel.say("confirm") == ["Confirmed: Funghi for ann."]
    async with storages.BlobStorage(
        connection_string=azurite, container_name=container_name
    ) as storage:
        stored = (await storage.get_many(["shared/12345"]))["shared/12345"]
    assert json.loads(stored.data)["pizzas"] == [{"name": "Funghi", "by": "ann"}]


async def test_the_chat_client_takes_each_friend() -> None:
    async with running_bot(PIZZA) as bot:
        assert f"  PORT={bot.port} WHO=ann make chat" in bot.greeting
        port = str(bot.port)
        ann = await run_to_its_end(
            SAMPLE / "chat.py", "--user", "ann", typed="Order 12345\nFunghi\n", PORT=port
        )
        bob = await run_to_its_end(
            SAMPLE / "chat.py", "--user", "bob", typed="Order 12345\norder\n", PORT=port
        )
    assert ann.stdout.splitlines()[-1] == "Bot: Funghi is in order 12345."
    assert bob.stdout.splitlines()[-2:] == ["Bot: Order 12345:", "Funghi (ann)"]
