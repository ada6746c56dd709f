"""update(): atomic, committed at once, applied once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from enum import Enum
from typing import Any, NamedTuple

import attrs
import msgspec
import pytest

from botstate_ext import StateConflictError, StateEncodeError
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import CountingStorage
from tests.backends import read_all
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context

KEY = "test/users/user"


@dataclass
class Cart:
    items: list[str] = field(default_factory=list)


class Colour(Enum):
    RED = "r"


class Pair(NamedTuple):
    a: int = 1


@dataclass(frozen=True)
class Frozen:
    a: int = 1


class FrozenStruct(msgspec.Struct, frozen=True):
    a: int = 1


@attrs.frozen
class FrozenAttrs:
    a: int = 1


@pytest.fixture
def counting() -> CountingStorage:
    return CountingStorage(MemoryStorage())


@pytest.fixture
def states(counting: CountingStorage) -> StateScopes:
    return StateScopes(counting)


async def test_update_raises_if_the_turn_has_unsaved_changes(states: StateScopes) -> None:
    turn, value = context(), states.user.create_property("value")
    await value.set(turn, 1)
    with pytest.raises(StateConflictError, match="unsaved changes") as raised:
        await value.update(turn, lambda v: v + 1)
    assert raised.value.properties == ("value",)
    await states.user.save_changes(turn)
    assert await value.update(turn, lambda v: v + 1) == 2


async def test_update_detaches_what_was_handed_out_and_the_turn_sees_the_new(
    states: StateScopes, counting: CountingStorage
) -> None:
    turn, items = context(), states.user.create_property("items", list[int])
    await items.update(context(), lambda v: [1], default=list)
    old = await items.get(turn, list)
    new = await items.update(turn, lambda v: v.append(2))
    assert new == [1, 2]
    assert await items.get(turn) is new
    old.append(99)  # to what is detached
    with pytest.raises(StateEncodeError, match="Get the property again"):
        await states.user.save_changes(turn)
    old.remove(99)
    writes = counting.operations["put"]
    await states.user.save_changes(turn)
    assert counting.operations["put"] == writes, "its own save does not conflict, nor write again"
    new.append(3)
    await states.user.save_changes(turn)
    assert await items.get(context()) == [1, 2, 3]


async def test_update_keeps_the_turns_other_changes_for_its_save(states: StateScopes) -> None:
    turn = context()
    a, b = states.user.create_property("a"), states.user.create_property("b")
    await b.set(turn, "mine")
    await a.update(turn, lambda v: 1, default=0)
    assert await b.get(context()) is None
    await states.user.save_changes(turn)
    assert await read_all(states.user) == {"a": 1, "b": "mine"}


@pytest.mark.parametrize(
    "value", [1, "x", None, True, (1,), Colour.RED, date(2030, 1, 1), Pair(), Frozen(),
              FrozenStruct(), FrozenAttrs(), frozenset({1}), b"x",
              datetime(2030, 1, 1, tzinfo=timezone.utc)],
)  # fmt: skip
async def test_update_takes_none_for_a_change_in_place_only_where_one_can_be(
    states: StateScopes, value: Any
) -> None:
    prop = states.user.create_property("value", default=lambda: value)
    with pytest.raises(TypeError, match="cannot be changed in place: return the new value"):
        await prop.update(context(), lambda v: None)
    assert await states.storage.get(KEY) is None


async def test_update_may_be_given_an_async_function_and_an_async_default(
    states: StateScopes,
) -> None:
    async def default() -> Cart:
        return Cart(["first"])

    async def add(cart: Cart) -> None:
        await asyncio.sleep(0)
        cart.items.append("second")

    cart = states.user.create_property("cart", Cart)
    assert (await cart.update(context(), add, default=default)).items == ["first", "second"]
    assert (await cart.update(context(), add, default=default)).items[2:] == ["second"]


async def test_update_does_not_change_the_default_it_was_given(states: StateScopes) -> None:
    default: list[int] = []
    items = states.user.create_property("items")
    await items.update(context(), lambda v: v.append(1), default=default)
    assert default == []


async def test_update_gives_up_after_a_bound_and_says_how_often_it_tried(
    states: StateScopes, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, value = context(), states.user.create_property("value", int)
    states.user._work_of(turn).pause = _no_pause
    calls: list[int] = []

    async def is_always_overtaken(current: int) -> int:
        calls.append(current)
        await value.update(context(), lambda v: v + 1, default=0)
        return current + 1000

    with pytest.raises(StateConflictError, match="others were faster") as raised:
        await value.update(turn, is_always_overtaken, default=0)
    assert raised.value.attempts == len(calls)
    assert await value.get(context()) == len(calls), "nothing of it was applied"


async def _no_pause(attempt: int) -> None: ...


async def test_update_of_a_function_that_raises_changes_nothing(states: StateScopes) -> None:
    turn, value = context(), states.user.create_property("value", int)
    with pytest.raises(ZeroDivisionError):
        await value.update(turn, lambda v: 1 // v, default=0)
    assert await states.storage.get(KEY) is None
    assert await value.update(turn, lambda v: 5, default=0) == 5


async def test_what_update_committed_stays_when_the_turn_fails(states: StateScopes) -> None:
    a, b = states.user.create_property("a"), states.user.create_property("b")

    async def fails(turn: TurnContext) -> None:
        await b.set(turn, 1)
        await a.update(turn, lambda v: 1, default=0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Bot(StateMiddleware(states)).turn(fails)
    assert await read_all(states.user) == {"a": 1}


async def test_many_updates_at_once_are_all_there(states: StateScopes) -> None:
    total = states.shared.create_property("total", int).at("x")
    await asyncio.gather(*(total.update(context(), lambda v: v + 1, default=0) for _ in range(30)))
    assert await total.get(context()) == 30
