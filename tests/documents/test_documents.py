"""Documents through real units of work: round trips, and merges that lose no change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botstate_ext import StateConflictError, StateDecodeError, StateEncodeError
from botstate_ext.serialization import json_text
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import CountingStorage
from tests.backends import body, plant, read_all
from tests.examples import examples
from tests.turns import StateScopes, context

KEY = "test/users/user"
ABSENT = object()

texts = st.text(alphabet=st.characters(), max_size=5)  # lone surrogates included
keys = texts.filter(lambda name: not name.startswith("py/"))
atoms = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
names = keys.filter(lambda name: name not in ("$state", "e_tag", ""))
small = st.integers(0, 3)
properties = st.sampled_from(["plain", "fields", "append"])
objects = st.dictionaries(st.sampled_from("ab"), small | st.lists(small, max_size=2), max_size=2)


class Colour(Enum):
    RED = "r"
    BLUE = "b"
    GREEN = "g"


def canonical(value: Any) -> bytes:
    return b"absent" if value is ABSENT else json_text.canonical(value)


@given(st.dictionaries(names, values, max_size=4))
@settings(deadline=None)
async def test_a_document_comes_back_and_reading_it_writes_nothing(
    document: dict[str, Any],
) -> None:
    counting = CountingStorage(MemoryStorage())
    states, turn = StateScopes(counting), context()
    for name, value in document.items():
        await states.user.create_property(name).set(turn, value)
    await states.user.save_changes(turn)
    counting.reset()
    states, turn = StateScopes(counting), context()
    await states.user.load(turn)
    read = states.user.get(turn) or {}
    assert {n: canonical(v) for n, v in read.items()} == {
        n: canonical(v) for n, v in document.items()
    }
    await states.user.save_changes(turn)
    assert counting.operations["put"] == 0


# Merging


def declare(states: StateScopes) -> dict[str, Any]:
    return {
        "plain": states.user.create_property("plain"),
        "fields": states.user.create_property("fields", merge="fields"),
        "append": states.user.create_property("append", merge="append"),
    }


async def apply(props: dict[str, Any], turn: Any, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if value is ABSENT:
            await props[name].delete(turn)
        else:
            await props[name].set(turn, value)


changes = st.dictionaries(properties, objects | st.just(ABSENT), max_size=3)


@given(st.dictionaries(properties, objects, max_size=3), changes, changes)
@settings(deadline=None, max_examples=examples(150))
async def test_a_change_made_on_one_side_is_never_lost(
    base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any]
) -> None:
    memory = MemoryStorage()
    states = StateScopes(memory)
    props, first = declare(states), context()
    await apply(props, first, base)
    await states.user.save_changes(first, force=True)

    one, two = context(), context()
    await states.user.load(one)
    await apply(props, two, theirs)
    await apply(props, one, mine)
    await states.user.save_changes(two)
    before = await body(memory, KEY)
    try:
        await states.user.save_changes(one)
    except StateConflictError as error:
        conflicting = set(error.properties)
    else:
        conflicting = set()
    if conflicting:
        assert conflicting <= {*mine} & {*theirs}
        assert await body(memory, KEY) == before
        return
    check(base, mine, theirs, await read_all(states.user))


def check(base: Any, mine: Any, theirs: Any, merged: Any) -> None:
    """What only one side changed is as that side has it, properties and their fields."""
    for name in {*base, *mine, *theirs}:
        was = base.get(name, ABSENT)
        sides = [side.get(name, was) for side in (mine, theirs)]
        changed = [side for side in sides if canonical(side) != canonical(was)]
        now = merged.get(name, ABSENT)
        if len(changed) == 1:
            assert canonical(now) == canonical(changed[0])
        elif not changed:
            assert canonical(now) == canonical(was)
        elif all(isinstance(v, dict) for v in (was, now, *sides)) and name == "fields":
            one, two = ({k: side.get(k, ABSENT) for k in {*was, *side}} for side in sides)
            check(was, one, two, now)


@pytest.mark.parametrize("rule", ["fields", "append"])
@pytest.mark.parametrize(
    ("base", "mine", "theirs"),
    [
        (Colour.RED, Colour.BLUE, Colour.GREEN),
        ((1, 2), (3, 2), (1, 4)),
        (date(2030, 1, 1), date(2031, 1, 1), date(2030, 2, 1)),
        ({"at": {1}}, {"at": {1, 2}}, {"at": {1, 3}}),
    ],
)
async def test_what_is_one_thing_is_not_merged_in_parts(
    rule: Any, base: Any, mine: Any, theirs: Any
) -> None:
    states = StateScopes(MemoryStorage(), types=[Colour])
    value = states.user.create_property("value", merge=rule)
    one, two = await two_turns(states, value, base)
    await value.set(one, mine)
    await value.set(two, theirs)
    await states.user.save_changes(two)
    with pytest.raises(StateConflictError):
        await states.user.save_changes(one)
    assert await value.get(context()) == theirs


async def two_turns(states: StateScopes, value: Any, base: Any) -> tuple[Any, Any]:
    """Two turns that have both read the same stored value."""
    first, one, two = context(), context(), context()
    await value.set(first, base)
    await states.user.save_changes(first)
    await value.get(one)
    await value.get(two)
    return one, two


async def test_objects_of_the_apps_classes_are_merged_by_their_fields() -> None:
    @dataclass
    class Unlisted:
        name: str = ""
        age: int = 0

    states = StateScopes(MemoryStorage(), types=[Unlisted])
    for type_ in (None, Unlisted):
        value: Any = states.user.create_property(f"value{type_}", type_, merge="fields")
        one, two = await two_turns(states, value, Unlisted())
        (await value.get(one)).name = "Ann"
        (await value.get(two)).age = 5
        await states.user.save_changes(two)
        await states.user.save_changes(one)
        assert await value.get(context()) == Unlisted("Ann", 5)


async def test_a_merge_that_the_property_could_not_read_is_a_conflict() -> None:
    class Span(msgspec.Struct):
        start: int
        end: int

        def __post_init__(self) -> None:
            if self.start > self.end:
                raise ValueError("ends before it starts")

    states = StateScopes(MemoryStorage())
    span = states.user.create_property("span", Span, merge="fields")
    one, two = await two_turns(states, span, Span(1, 9))
    await span.set(one, Span(8, 9))
    await span.set(two, Span(1, 2))
    await states.user.save_changes(two)
    with pytest.raises(StateConflictError):
        await states.user.save_changes(one)
    assert await span.get(context()) == Span(1, 2)


async def test_a_merge_function_and_what_it_cannot_be_given_or_give() -> None:
    memory = MemoryStorage()
    states = StateScopes(memory)
    total = states.user.create_property("total", int, merge=lambda b, m, t: m + t - b)
    one, two = await two_turns(states, total, 10)
    await total.set(one, 11)
    await total.set(two, 15)
    await states.user.save_changes(two)
    await states.user.save_changes(one)
    assert await total.get(context()) == 16
    assert await total.get(one) == 16, "the turn sees what was merged"

    one = context()
    await total.set(one, 17)
    planted = await plant(memory, KEY, b'{"total":"secret"}')
    with pytest.raises(StateDecodeError) as unread:
        await states.user.save_changes(one)
    assert (unread.value.property_name, unread.value.key) == ("total", KEY)
    assert await body(memory, KEY) == planted

    wrong: Callable[[Any, Any, Any], Any] = lambda b, m, t: "text"  # noqa: E731 - it is short
    total = states.user.create_property("total", int, merge=wrong)
    one, two = await two_turns(states, total, 1)
    await total.set(one, 2)
    await total.set(two, 3)
    await states.user.save_changes(two)
    with pytest.raises(StateEncodeError) as unwritten:
        await states.user.save_changes(one)
    assert (unwritten.value.property_name, unwritten.value.scope) == ("total", "user")
    assert await total.get(context()) == 3


async def test_trim_shortens_what_was_merged() -> None:
    states = StateScopes(MemoryStorage())
    log = states.user.create_property("log", list[int], merge="append", trim=lambda v: v[-3:])
    one, two = await two_turns(states, log, [1, 2])
    await log.set(one, [1, 2, 3])
    await log.set(two, [1, 2, 4])
    await states.user.save_changes(two)
    await states.user.save_changes(one)
    assert await log.get(context()) == [2, 4, 3]


async def test_nan_is_no_conflict_and_no_null() -> None:
    states = StateScopes(MemoryStorage())
    value: Any = states.user.create_property("value", merge="fields")
    one, two = await two_turns(states, value, {"x": float("nan"), "a": 1, "n": None})
    (await value.get(one))["a"] = 2
    (await value.get(two))["n"] = float("inf")
    await states.user.save_changes(two)
    await states.user.save_changes(one)
    read = await value.get(context())
    assert (read["a"], read["n"], read["x"] != read["x"]) == (2, float("inf"), True)
