"""Values that cannot be read are moved aside, and never thrown away."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from botstate_ext import StateDecodeError
from botstate_ext.storage import MemoryStorage
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext

KEY = "test/conversations/conv"


@dataclass
class Cart:
    items: list[str] = field(default_factory=list)


class World:
    def __init__(self, type_: Any = Cart, **options: Any) -> None:
        self.storage = MemoryStorage()
        self.states = StateScopes(self.storage)
        options.setdefault("on_undecodable", "quarantine")
        self.cart = self.states.conversation.create_property("cart", type_, **options)
        self.bot = Bot(StateMiddleware(self.states))

    async def store(self, text: str) -> None:
        await self.storage.put_if(KEY, text.encode(), etag="*")

    async def body(self) -> dict[str, Any]:
        item = await self.storage.get(KEY)
        assert item is not None
        return dict(json.loads(item.data))

    async def text(self) -> str:
        item = await self.storage.get(KEY)
        assert item is not None
        return item.data.decode()

    async def aside(self) -> dict[str, Any]:
        return {n: v for n, v in (await self.body()).items() if n.startswith("cart$quarantine.")}

    async def read(self, default: Any = Cart) -> Any:
        found = []

        async def logic(turn: TurnContext) -> None:
            found.append(await self.cart.get(turn, default))

        await self.bot.turn(logic)
        return found[0]


async def test_the_bot_goes_on_and_the_value_is_kept_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    value = '{"items":{"pizza":  1e400},"big":123456789012345678901234567890}'
    await world.store('{"cart":' + value + ',"other":1}')
    with caplog.at_level(logging.WARNING, "botstate_ext"):
        assert await world.read() == Cart()
    body = await world.body()
    assert body["cart"] == {"items": []}
    assert body["other"] == 1
    ((name, held),) = (await world.aside()).items()
    assert held["version"] == 1
    assert "items" in held["reason"]
    assert f'"value":{value}' in await world.text(), "byte for byte"
    (record,) = caplog.records
    assert name in record.getMessage()
    assert "pizza" not in record.getMessage()


async def test_without_a_default_the_property_is_absent() -> None:
    world = World()
    await world.store('{"cart":7}')
    assert await world.read(None) is None
    assert "cart" not in await world.body()
    assert [held["value"] for held in (await world.aside()).values()] == [7]


async def test_raise_is_the_default_and_changes_nothing() -> None:
    world = World(on_undecodable="raise")
    await world.store('{"cart":7}')
    with pytest.raises(StateDecodeError, match="'cart'"):
        await world.read()
    assert await world.body() == {"cart": 7}


async def test_a_turn_that_fails_moves_nothing() -> None:
    world = World()
    await world.store('{"cart":7}')

    async def logic(turn: TurnContext) -> None:
        await world.cart.get(turn, Cart)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await world.bot.turn(logic)
    assert await world.body() == {"cart": 7}


async def test_what_names_a_class_that_is_not_allowed_is_kept_with_its_tags() -> None:
    world = World(None)
    value = {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["true"]}]}
    await world.store(json.dumps({"cart": value}))
    assert await world.read(dict) == {}
    assert [held["value"] for held in (await world.aside()).values()] == [value]
    assert await world.read(dict) == {}
    # Code that reads all of a document meets what was moved aside, and leaves it as it is.
    await world.bot.turn(lambda turn: world.states.conversation.load(turn))
    found = []

    async def logic(turn: TurnContext) -> None:
        await world.states.conversation.load(turn)
        cached = world.states.conversation.get_cached_state(turn)
        assert cached is not None
        found.append([held["value"] for n, held in cached.state.items() if "$quarantine." in n])
        assert not cached.is_changed

    await world.bot.turn(logic)
    assert found == [[value]]


async def test_a_migration_that_fails_moves_the_value_aside() -> None:
    world = World(version=2, migrations={1: lambda value: value["absent"]})
    await world.store('{"cart":{"old":1}}')
    assert await world.read() == Cart()
    (held,) = (await world.aside()).values()
    assert held == {
        "reason": "its migration from version 1 raised KeyError",
        "version": 1,
        "value": {"old": 1},
    }


async def test_one_value_after_another_and_the_same_one_twice() -> None:
    world = World()
    for value in (7, 8, 7):
        body = {**(await world.body() if value == 8 else {}), "cart": value}
        if value == 7 and await world.storage.get(KEY) is not None:
            body = {**(await world.body()), "cart": value}
        await world.store(json.dumps(body))
        assert await world.read() == Cart()
    assert sorted(held["value"] for held in (await world.aside()).values()) == [7, 8]


async def test_two_turns_at_once_move_one_value_once() -> None:
    world = World()
    await world.store('{"cart":7}')

    async def logic(turn: TurnContext) -> None:
        await world.cart.get(turn, Cart)
        async with world.states.unit_of_work(
            channel_id="test", conversation_id="conv", user_id="other"
        ) as other:
            await world.cart.get(other, Cart)

    await world.bot.turn(logic)
    assert [held["value"] for held in (await world.aside()).values()] == [7]


async def test_update_begins_anew() -> None:
    world = World()
    await world.store('{"cart":7}')

    def add(cart: Cart) -> None:
        cart.items.append("pizza")

    await world.bot.turn(lambda turn: world.cart.update(turn, add, default=Cart))
    assert (await world.body())["cart"] == {"items": ["pizza"]}
    assert [held["value"] for held in (await world.aside()).values()] == [7]


async def test_it_can_be_put_back() -> None:
    world = World()
    await world.store('{"cart":["pizza"]}')
    await world.read()
    ((name, _),) = (await world.aside()).items()

    async def repair(turn: TurnContext) -> None:
        aside = world.states.conversation.create_property(name)
        held: Any = await aside.get(turn)
        await world.cart.set(turn, Cart(held["value"]))
        await aside.delete(turn)

    await world.bot.turn(repair)
    assert await world.read() == Cart(["pizza"])
    assert await world.aside() == {}


def test_other_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="on_undecodable"):
        World(on_undecodable="drop")
