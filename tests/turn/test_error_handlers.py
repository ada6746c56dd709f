"""An error handler that deletes a conversation, as the SDK's samples do, destroys nothing that its
turn could not read."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

import pytest

from botstate_ext import StateDecodeError
from botstate_ext.storage import MemoryStorage, StateStorage
from botstate_ext.testing import FaultyStorage
from tests.turns import (
    Bot,
    StateMiddleware,
    StateScopes,
    TurnContext,
)

KEY = "test/conversations/conv"
STORED = b'{"cart": {"items": "pizza"}, "topic": "food"}'


@dataclass
class Cart:
    items: list[str]


class World:
    """A bot of which each error deletes the conversation."""

    def __init__(self, storage: StateStorage, **options: Any) -> None:
        self.storage = storage
        self.states = StateScopes(storage)
        self.cart = self.states.conversation.create_property("cart", Cart)
        self.topic = self.states.conversation.create_property("topic")
        self.bot = Bot(StateMiddleware(self.states, **options))
        self.errors: list[Exception] = []
        self.bot.adapter.on_turn_error = self.on_error

    async def on_error(self, turn: TurnContext, error: Exception) -> None:
        self.errors.append(error)
        await self.states.conversation.delete(turn)

    async def stored(self) -> dict[str, Any] | None:
        item = await self.storage.get(KEY)
        return None if item is None else json.loads(item.data)

    async def reads_the_cart(self, turn: TurnContext) -> None:
        await self.cart.get(turn)


@pytest.fixture
def storage() -> FaultyStorage:
    return FaultyStorage(MemoryStorage())


@pytest.fixture
async def world(storage: FaultyStorage) -> World:
    await storage.put_if(KEY, STORED, etag=None)
    return World(storage)


def aside(document: dict[str, Any] | None) -> dict[str, Any]:
    assert document is not None
    return {name: value for name, value in document.items() if "$quarantine." in name}


async def test_what_was_not_read_is_moved_aside_and_the_rest_is_removed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "botstate_ext"):
        await world.bot.turn(world.reads_the_cart)
    assert isinstance(world.errors[0], StateDecodeError)
    stored = await world.stored()
    assert set(stored or {}) == {"$state", *aside(stored)}
    (kept,) = aside(stored).values()
    assert kept["value"] == {"items": "pizza"}
    (record,) = caplog.records
    assert "'cart'" in record.getMessage()
    assert "pizza" not in record.getMessage()


async def test_the_conversation_goes_on(world: World) -> None:
    await world.bot.turn(world.reads_the_cart)
    found = []

    async def logic(turn: TurnContext) -> None:
        found.append(await world.cart.get(turn, lambda: Cart(["new"])))

    await world.bot.turn(logic)
    assert found == [Cart(["new"])]
    assert len(world.errors) == 1


async def test_without_a_decode_error_a_deletion_removes_everything(world: World) -> None:
    async def fails(turn: TurnContext) -> None:
        await world.topic.get(turn)
        raise KeyError("of the bot")

    await world.bot.turn(fails)
    assert await world.stored() is None


async def test_a_property_that_the_turn_did_not_read_is_kept_too(world: World) -> None:
    wish = world.states.conversation.create_property("wish", Cart)
    both = b'{"cart": {"items": "pizza"}, "wish": {"items": 5}}'
    await world.storage.put_if(KEY, both, etag="*")
    await world.bot.turn(world.reads_the_cart)
    assert [v["value"]["items"] for v in aside(await world.stored()).values()] == ["pizza", 5]
    await world.bot.turn(lambda turn: wish.get(turn))
    assert len(world.errors) == 1


async def test_a_second_error_keeps_what_the_first_one_kept(world: World) -> None:
    await world.bot.turn(world.reads_the_cart)
    kept = aside(await world.stored())
    again = json.dumps({**kept, "cart": 7}).encode()
    await world.storage.put_if(KEY, again, etag="*")
    await world.bot.turn(world.reads_the_cart)
    assert kept.items() < aside(await world.stored()).items()


async def test_a_later_error_of_another_kind_keeps_it_too(world: World) -> None:
    async def fails(turn: TurnContext) -> None:
        raise KeyError("of the bot")

    async def deletes(turn: TurnContext) -> None:
        await world.states.conversation.delete(turn)

    await world.bot.turn(world.reads_the_cart)
    await world.bot.turn(fails)
    assert len(aside(await world.stored())) == 1
    await world.bot.turn(deletes)
    assert await world.stored() is None, "a turn that did not fail removes everything"


async def test_a_value_of_newer_code_stays_where_it_is(storage: FaultyStorage) -> None:
    newer = World(storage)
    newer.cart = newer.states.conversation.create_property(
        "cart", Cart, version=2, migrations={1: lambda value: value}
    )
    await newer.bot.turn(lambda turn: newer.cart.set(turn, Cart(["pizza"])))
    world = World(storage)
    await world.bot.turn(lambda turn: world.topic.set(turn, "food"))
    await world.bot.turn(world.reads_the_cart)
    assert isinstance(world.errors[0], StateDecodeError)
    stored = await world.stored()
    assert set(stored or {}) == {"cart", "$state"}
    found = []

    async def logic(turn: TurnContext) -> None:
        found.append(await newer.cart.get(turn))

    await newer.bot.turn(logic)
    assert found == [Cart(["pizza"])]


@pytest.mark.parametrize("text", [b"no JSON", b"[1]", b'{"cart": 1, "$state": 7}'])
async def test_a_document_that_cannot_be_split_stays(storage: FaultyStorage, text: bytes) -> None:
    await storage.put_if(KEY, text, etag=None)
    world = World(storage)
    with pytest.raises(StateDecodeError, match="so it was not deleted"):
        await world.bot.turn(world.reads_the_cart)
    item = await storage.get(KEY)
    assert item is not None
    assert item.data == text
    async with world.states.unit_of_work(channel_id="test", conversation_id="conv") as work:
        await world.states.conversation.delete(work)  # as the error advises
    assert await storage.get(KEY) is None


async def test_someone_else_who_writes_meanwhile_loses_nothing_unread(world: World) -> None:
    async def other(turn: TurnContext, error: Exception) -> None:
        late = json.dumps({"cart": {"items": "late"}}).encode()
        await world.states.conversation.load(turn)
        await world.storage.put_if(KEY, late, etag="*")
        await world.on_error(turn, error)

    world.bot.adapter.on_turn_error = other
    await world.bot.turn(world.reads_the_cart)
    assert [v["value"] for v in aside(await world.stored()).values()] == [{"items": "late"}]


async def test_in_the_turn_itself(world: World) -> None:
    async def logic(turn: TurnContext) -> None:
        with pytest.raises(StateDecodeError):
            await world.cart.get(turn)
        await world.states.conversation.delete(turn)
        assert await world.cart.get(turn) is None
        assert await world.topic.get(turn) is None

    await world.bot.turn(logic)
    assert world.errors == []
    assert len(aside(await world.stored())) == 1


async def test_a_value_that_the_bot_replaced_is_not_kept(world: World) -> None:
    async def logic(turn: TurnContext) -> None:
        with pytest.raises(StateDecodeError):
            await world.cart.get(turn)
        await world.cart.set(turn, Cart([]))
        await world.states.conversation.save_changes(turn)
        await world.states.conversation.delete(turn)

    await world.bot.turn(logic)
    assert await world.stored() is None


async def test_clear_state_keeps_it_too(world: World) -> None:
    async def clears(turn: TurnContext, error: Exception) -> None:
        await world.states.conversation.clear_state(turn)
        await world.states.conversation.save_changes(turn)

    world.bot.adapter.on_turn_error = clears
    await world.bot.turn(world.reads_the_cart)
    stored = await world.stored()
    assert set(stored or {}) == {"$state", *aside(stored)}
    assert len(aside(stored)) == 1


async def test_the_other_modes_of_a_turn(storage: FaultyStorage) -> None:
    await storage.put_if(KEY, STORED, etag=None)
    world = World(storage, on_conflict="replay")
    await world.bot.turn(world.reads_the_cart)
    assert len(aside(await world.stored())) == 1
