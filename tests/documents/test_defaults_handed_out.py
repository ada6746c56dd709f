"""A default that a turn was handed out and did not change: it never stands against a real write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from botstate_ext import StateConflictError
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import CountingStorage
from tests.backends import read_all
from tests.maintenance.world import HOUR, START, World
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context

MODES = ["merge", "raise", "last_writer_wins", "replay"]


@dataclass
class Cart:
    items: list[str] = field(default_factory=list)


@pytest.fixture
def states() -> StateScopes:
    return StateScopes(CountingStorage(MemoryStorage()))


async def another_turn_sets(states: StateScopes, name: str, value: Any) -> None:
    other = context()
    await states.user.create_property(name).set(other, value)
    await states.user.save_changes(other)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("named", [False, True])
async def test_it_yields_to_what_another_turn_wrote(
    states: StateScopes, mode: Any, named: bool
) -> None:
    count = states.user.create_property("count")
    found = []

    async def reads(turn: TurnContext) -> None:
        if named:
            found.append((await states.user.get_or_set_state(turn, "count", 0)).payload)
        else:
            found.append(await count.get(turn, 0))
        if len(found) == 1:
            await another_turn_sets(states, "count", 5)

    await Bot(StateMiddleware(states, on_conflict=mode)).turn(reads)
    assert await read_all(states.user) == {"count": 5}
    assert found == ([0, 5] if mode == "replay" else [0]), "a turn that runs again sees the write"


@pytest.mark.parametrize("mode", MODES)
async def test_it_is_stored_if_only_another_property_was_written(
    states: StateScopes, mode: Any
) -> None:
    cart = states.user.create_property("cart", Cart)
    runs = []

    async def reads(turn: TurnContext) -> None:
        await cart.get(turn, Cart)
        runs.append(turn)
        if len(runs) == 1:
            await another_turn_sets(states, "other", 1)

    await Bot(StateMiddleware(states, on_conflict=mode)).turn(reads)
    assert await read_all(states.user) == {"cart": Cart(), "other": 1}


async def test_it_is_stored_if_nobody_else_wrote(states: StateScopes) -> None:
    made = []

    def new_id() -> str:
        made.append("id")
        return f"id-{len(made)}"

    ids = states.user.create_property("id")
    bot = Bot(StateMiddleware(states))
    for _ in range(2):
        await bot.turn(lambda turn: ids.get(turn, new_id))
    assert await read_all(states.user) == {"id": "id-1"}


@pytest.mark.parametrize("mode", ["merge", "raise"])
async def test_one_that_was_changed_is_a_change(states: StateScopes, mode: Any) -> None:
    cart = states.user.create_property("cart", Cart)

    async def changes(turn: TurnContext) -> None:
        (await cart.get(turn, Cart)).items.append("mine")
        other = context()
        (await cart.get(other, Cart)).items.append("theirs")
        await states.user.save_changes(other)

    with pytest.raises(StateConflictError):
        await Bot(StateMiddleware(states, on_conflict=mode)).turn(changes)
    assert await read_all(states.user) == {"cart": Cart(["theirs"])}


async def test_it_does_not_bring_a_deleted_document_back(states: StateScopes) -> None:
    count = states.user.create_property("count")
    await another_turn_sets(states, "other", 1)

    async def reads(turn: TurnContext) -> None:
        await count.get(turn, 0)
        await states.user.delete(context())

    await Bot(StateMiddleware(states)).turn(reads)
    assert await states.storage.get("test/users/user") is None


async def test_it_does_not_block_an_update_in_the_same_turn(states: StateScopes) -> None:
    cart = states.user.create_property("cart", Cart)

    async def logic(turn: TurnContext) -> None:
        assert await cart.get(turn, Cart) == Cart()
        await cart.update(turn, lambda value: value.items.append("ham"), default=Cart)
        assert await cart.get(turn, Cart) == Cart(["ham"])

    await Bot(StateMiddleware(states)).turn(logic)
    assert await read_all(states.user) == {"cart": Cart(["ham"])}


async def test_one_that_was_changed_does_block_an_update(states: StateScopes) -> None:
    cart, turn = states.user.create_property("cart", Cart), context()
    (await cart.get(turn, Cart)).items.append("ham")
    with pytest.raises(StateConflictError, match="unsaved changes"):
        await cart.update(turn, lambda value: value.items.append("egg"), default=Cart)


async def test_the_turn_sees_the_other_value_once_it_was_read_again(states: StateScopes) -> None:
    count, turn = states.user.create_property("count"), context()
    assert await count.get(turn, 0) == 0
    await another_turn_sets(states, "count", 5)
    await states.user.save_changes(turn)
    assert await count.get(turn, 0) == 5


async def test_one_that_replaces_a_deleted_value_is_a_change(states: StateScopes) -> None:
    count = states.user.create_property("count")
    await another_turn_sets(states, "count", 5)
    turn = context()
    await count.delete(turn)
    assert await count.get(turn, 0) == 0
    await states.user.save_changes(turn)
    assert await read_all(states.user) == {"count": 0}


async def test_the_value_it_yields_to_keeps_its_times() -> None:
    world = World()
    count = world.states.conversation.create_property("count", expires_after=HOUR)
    other = world.states.conversation.create_property("other")

    async def logic(turn: TurnContext) -> None:
        assert await count.get(turn, 0) == 0
        await other.set(turn, 1)
        await count.set(late := context(), 5)
        await world.states.conversation.save_changes(late)
        world.clock.advance(HOUR / 2)

    await world.bot.turn(logic)
    assert await world.expires("count") == START + HOUR
    assert await read_all(world.states.conversation) == {"count": 5, "other": 1}
