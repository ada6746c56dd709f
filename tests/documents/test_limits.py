"""Limits: what is too large is refused before anything is written."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from botstate_ext import StateTooLargeError
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import CountingStorage
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, message

KEY = "test/conversations/conv"


class World:
    def __init__(self, **options: Any) -> None:
        self.memory = MemoryStorage()
        self.storage = CountingStorage(self.memory)
        self.states = StateScopes(self.storage, **options)
        self.bot = Bot(StateMiddleware(self.states))

    async def store(self, **values: Any) -> None:
        async def logic(turn: TurnContext) -> None:
            for name, value in values.items():
                await self.states.conversation.create_property(name).set(turn, value)

        await self.bot.turn(logic)

    async def body(self) -> dict[str, Any] | None:
        item = await self.memory.get(KEY)
        return None if item is None else json.loads(item.data)


async def test_a_property_at_its_limit_and_one_byte_over_it() -> None:
    world = World()
    world.states.conversation.create_property("cart", max_bytes=10)
    await world.store(cart="x" * 8)  # with its quotes: 10
    before = await world.body()
    with pytest.raises(StateTooLargeError) as caught:
        await world.store(cart="x" * 9)
    error = caught.value
    assert (error.size, error.limit, error.unit) == (11, 10, "bytes")
    assert (error.scope, error.key, error.property_name) == ("conversation", KEY, "cart")
    assert "'cart'" in str(error)
    assert "'conversation'" in str(error)
    assert "11 bytes" in str(error)
    assert "limit is 10" in str(error)
    assert "xxx" not in str(error)
    assert await world.body() == before


async def test_a_document_is_measured_as_the_json_of_its_properties() -> None:
    values = {"a": "é" * 3, "long name": [1, {"b": None}], "ü": 1}
    size = len(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode())
    await World(max_bytes=size).store(**values)
    with pytest.raises(StateTooLargeError) as caught:
        await World(max_bytes=size - 1).store(**values)
    assert (caught.value.size, caught.value.limit) == (size, size - 1)
    assert caught.value.property_name == "long name", "the largest"


async def test_nothing_is_written_of_any_document() -> None:
    world = World(max_bytes=100)
    small = world.states.user.create_property("small")
    large = world.states.conversation.create_property("large")

    async def logic(turn: TurnContext) -> None:
        await small.set(turn, 1)
        await large.set(turn, "x" * 100)

    with pytest.raises(StateTooLargeError):
        await world.bot.turn(logic)
    assert world.storage.operations["put"] == 0


async def test_update_and_replay_keep_the_limits() -> None:
    world = World(max_bytes=100)
    cart = world.states.conversation.create_property("cart", list)
    with pytest.raises(StateTooLargeError):
        await world.bot.turn(lambda turn: cart.update(turn, lambda _: ["x" * 100], default=list))
    bot = Bot(StateMiddleware(world.states, on_conflict="replay"))
    with pytest.raises(StateTooLargeError):
        await bot.turn(lambda turn: cart.set(turn, ["x" * 100]))
    assert await world.body() is None


async def test_a_merge_that_makes_it_too_large_is_refused() -> None:
    world = World()
    cart = world.states.conversation.create_property("cart", list, merge="append", max_bytes=12)

    async def logic(turn: TurnContext) -> None:
        (await cart.get(turn, list)).append("aaaa")
        async with world.states.unit_of_work(channel_id="test", conversation_id="conv") as other:
            (await cart.get(other, list)).append("bbbb")

    with pytest.raises(StateTooLargeError, match="'cart'"):
        await world.bot.turn(logic)
    body = await world.body()
    assert body is not None
    assert body["cart"] == ["bbbb"]


async def test_what_is_over_a_new_limit_may_stay_and_shrink() -> None:
    world = World()
    await world.store(cart=["x" * 50] * 3, other=1)
    small = StateScopes(world.storage, max_bytes=50, max_depth=1)
    cart = small.conversation.create_property("cart", list, max_bytes=20)
    bot = Bot(StateMiddleware(small))

    async def remove_one(turn: TurnContext) -> None:
        (await cart.get(turn, list)).pop()

    await bot.turn(remove_one)
    with pytest.raises(StateTooLargeError):
        await bot.turn(lambda turn: cart.set(turn, ["x" * 50] * 3))
    body = await world.body()
    assert body is not None
    assert len(body["cart"]) == 2


@pytest.mark.parametrize(
    ("value", "depth"), [(1, 0), ([], 1), ({"a": 1}, 1), ([[{}]], 3), ({"a": [1], "b": {}}, 2)]
)
async def test_depth_counts_arrays_and_objects(value: Any, depth: int) -> None:
    if depth:
        await World(max_depth=depth).store(value=value)
    if depth > 1:
        world = World(max_depth=depth - 1)
        with pytest.raises(StateTooLargeError) as caught:
            await world.store(value=value)
        error = caught.value
        assert (error.size, error.limit, error.unit) == (depth, depth - 1, "levels")
        assert error.property_name == "value"
        assert await world.body() is None


async def test_a_warning_at_eighty_percent_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.states.conversation.create_property("cart", max_bytes=100)
    with caplog.at_level(logging.WARNING, "botstate_ext"):
        await world.store(cart="x" * 77)  # 79 bytes
        assert caplog.records == []
        await world.store(cart="x" * 78)
        await world.store(cart="x" * 79)
    (record,) = caplog.records
    text = record.getMessage()
    assert "'cart'" in text
    assert "80 bytes" in text
    assert "xx" not in text


@pytest.mark.parametrize("limit", [0, -1])
def test_limits_are_positive(limit: int) -> None:
    for options in ({"max_bytes": limit}, {"max_depth": limit}):
        with pytest.raises(ValueError, match="more than zero"):
            World(**options)
    with pytest.raises(ValueError, match="more than zero"):
        World().states.user.create_property("a", max_bytes=limit)
    with pytest.raises(TypeError, match="whole number"):
        World(max_bytes=1.5)


async def test_a_key_too_long_for_blob_is_the_same_kind_of_error() -> None:
    world = World()
    with pytest.raises(StateTooLargeError, match="characters"):
        await world.states.storage.put_if("x" * 1025, b"{}", etag=None)
    world.storage.reset()
    # Scopes shorten what activities name, so that this concerns what else is stored.
    long = message(conversation="c" * 2000)
    turn_property = world.states.conversation.create_property("a")
    await world.bot.turn(lambda turn: turn_property.set(turn, 1), long)
    assert world.storage.operations["put"] == 1
