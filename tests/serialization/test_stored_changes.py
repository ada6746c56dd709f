"""patch_state, write_data and StateData work on the stored form of a value."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from botstate_ext import StateDecodeError, StateEncodeError, StateScopes
from botstate_ext.errors import StateError
from botstate_ext.scopes.merge_patch import merge_patch
from botstate_ext.serialization import json_text, jsonpickle
from botstate_ext.serialization.allow_list import AllowList
from botstate_ext.serialization.stored_changes import with_changes
from botstate_ext.serialization.untyped_codec import UntypedCodec
from botstate_ext.storage import MemoryStorage


class Pizza:
    def __init__(self, size: int, baked: date) -> None:
        self.size, self.baked = size, baked

    def __eq__(self, other: object) -> bool:
        return type(other) is Pizza and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]


@dataclass
class Address:
    street: str = ""
    since: date = date(2020, 1, 1)


@dataclass
class Person:
    name: str
    address: Address = field(default_factory=Address)
    seen: set[int] = field(default_factory=set)


class Work(Address):
    pass


class Model(BaseModel):
    first: str = Field("x", alias="firstName")
    since: date = date(2020, 1, 1)


class Secret(BaseModel):
    token: SecretStr
    age: int = 1


class Row(TypedDict, total=False):
    a: int


RICH: Any = {
    "when": datetime(2024, 5, 6, 7, tzinfo=timezone.utc),
    "raw": b"\x00\xff",
    "kinds": {1, 2},
    "pair": (1, date(2024, 1, 2)),
    "price": Decimal("1.50"),
    "numbers": {1: "one", "two": {3}},
    "pizza": Pizza(30, date(2024, 2, 3)),
    "n": 1,
}


@pytest.fixture
async def states() -> AsyncIterator[StateScopes]:
    async with StateScopes(MemoryStorage(), types=[Pizza, Work]) as made:
        yield made


def unit(states: StateScopes) -> Any:
    return states.unit_of_work(channel_id="test", user_id="ann")


async def stored(states: StateScopes, name: str, value: Any) -> None:
    async with unit(states) as work:
        await states.user.set_state(work, name, value)


async def read(states: StateScopes, name: str) -> Any:
    async with unit(states) as work:
        return (await states.user.get_state(work, name)).payload


async def test_a_patch_leaves_the_members_it_does_not_name_what_they_are(
    states: StateScopes,
) -> None:
    await stored(states, "x", RICH)
    async with unit(states) as work:
        await states.user.patch_state(work, "x", {"n": 2, "raw": None})
    expected = {**RICH, "n": 2}
    del expected["raw"]
    assert await read(states, "x") == expected
    assert type((await read(states, "x"))["pair"]) is tuple


async def test_a_patch_goes_into_an_object_and_a_dictionary_of_any_keys(
    states: StateScopes,
) -> None:
    await stored(states, "x", RICH)
    async with unit(states) as work:
        patch = {"pizza": {"size": 40}, "numbers": {"1": "uno", "four": 4}}
        await states.user.patch_state(work, "x", patch)
    value = await read(states, "x")
    assert value["pizza"] == Pizza(40, date(2024, 2, 3))
    assert value["numbers"] == {1: "uno", "two": {3}, "four": 4}


async def test_written_data_keeps_what_did_not_change(states: StateScopes) -> None:
    await stored(states, "x", RICH)
    async with unit(states) as work:
        data = await states.user.read_data(work)
        assert data.data is not None
        data.data["x"]["n"] = 2
        data.data["x"]["kinds"].append(3)
        assert data.get("x")["n"] == 2
        data = await states.user.write_data(work, data)
    assert await read(states, "x") == {**RICH, "n": 2, "kinds": {1, 2, 3}}


async def test_data_set_keeps_classes_that_it_is_given(states: StateScopes) -> None:
    value = {"when": RICH["when"], "kinds": {1}, "raw": b"\xff"}
    async with unit(states) as work:
        data = await states.user.read_data(work)
        data.set("x", value)
        data.set("pizza", RICH["pizza"])
        assert data.get("pizza", Pizza) == RICH["pizza"]
        assert "py/" not in str(data.data)
        await states.user.write_data(work, data)
    assert await read(states, "x") == value
    async with unit(states) as work:
        assert (await states.user.read_data(work)).get("x", dict) == value


TAGGED = {"py/object": f"{__name__}.Pizza", "size": 1}


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        (TAGGED, "$:"),
        ({"a": {"b": [TAGGED]}}, r"$.a.b[0]:"),
        ({"pizza": {"py/object": None}}, "$.pizza:"),
    ],
)
async def test_a_patch_brings_no_tags_in(states: StateScopes, patch: Any, path: str) -> None:
    await stored(states, "x", RICH)
    async with unit(states) as work:
        with pytest.raises(StateEncodeError) as raised:
            await states.user.patch_state(work, "x", patch)
    assert path in str(raised.value)
    assert await read(states, "x") == RICH


async def test_data_brings_no_tags_in(states: StateScopes) -> None:
    await stored(states, "x", RICH)
    async with unit(states) as work:
        data = await states.user.read_data(work)
        assert data.data is not None
        data.data["x"]["more"] = [TAGGED]
        with pytest.raises(StateEncodeError, match=r"\$\.more\[0\]"):
            await states.user.write_data(work, data)


@pytest.mark.parametrize(
    ("value", "patch", "path"),
    [
        (Person("Ann"), {"nmae": "Bob"}, "$.nmae"),
        (Person("Ann"), {"nmae": None}, "$.nmae"),
        (Person("Ann"), {"address": {"stret": 1}}, "$.address.stret"),
        (Person("Ann", Work("a")), {"address": {"stret": 1}}, "$.address.stret"),
        (Model(firstName="a"), {"first": "b"}, "$.first"),
        (Secret(token="s"), {"agee": 2}, "$.agee"),  # type: ignore[arg-type]
    ],
)
async def test_an_unknown_name_in_a_patch_of_a_typed_value_is_refused(
    states: StateScopes, value: Any, patch: Any, path: str
) -> None:
    prop = states.user.create_property("p", type(value))
    async with unit(states) as work:
        await prop.set(work, value)
    async with unit(states) as work:
        with pytest.raises(StateEncodeError) as raised:
            await states.user.patch_state(work, "p", patch)
    assert path in str(raised.value)
    assert raised.value.property_name == "p"
    async with unit(states) as work:
        assert await prop.get(work) == value


async def test_an_unknown_name_in_a_patch_of_a_typed_dictionary(states: StateScopes) -> None:
    prop: Any = states.user.create_property("p", Row)
    async with unit(states) as work:
        await prop.set(work, {"a": 1})
        with pytest.raises(StateEncodeError, match=r"\$\.b"):
            await states.user.patch_state(work, "p", {"b": 1})


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize(
    ("value", "patch", "expected"),
    [
        (
            Person("Ann", Address("a"), {1}),
            {"address": {"since": "2024-01-01"}},
            Person("Ann", Address("a", date(2024, 1, 1)), {1}),
        ),
        (Person("Ann", Work("a")), {"name": "Bob"}, Person("Bob", Work("a"))),
        (Model(firstName="a"), {"firstName": "b"}, Model(firstName="b")),
        (Secret(token="s"), {"age": "2"}, Secret(token="s", age=2)),  # type: ignore[arg-type]
    ],
)
async def test_a_patch_of_a_typed_value(
    states: StateScopes, value: Any, patch: Any, expected: Any, tagged: bool
) -> None:
    prop = states.user.create_property("p", type(value), write_type_tags=tagged)
    async with unit(states) as work:
        await prop.set(work, value)
    async with unit(states) as work:
        await states.user.patch_state(work, "p", patch)
    async with unit(states) as work:
        assert await prop.get(work) == expected


@pytest.mark.parametrize("value", [Person("Ann"), Person("Ann", Work("a"))])
async def test_a_patch_that_does_not_fit_the_type_is_refused(
    states: StateScopes, value: Any
) -> None:
    prop = states.user.create_property("p", Person)
    async with unit(states) as work:
        await prop.set(work, value)
    async with unit(states) as work:
        with pytest.raises(StateError, match="p"):
            await states.user.patch_state(work, "p", {"name": 5})
    secret = states.user.create_property("s", Secret)
    async with unit(states) as work:
        await secret.set(work, Secret(token="s"))  # type: ignore[arg-type]
        with pytest.raises(StateDecodeError):
            await states.user.patch_state(work, "s", {"age": "old"})


NAMES = st.sampled_from(["a", "b", "c", "7"])
LEAVES: Any = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3), st.binary(max_size=3),
    st.dates(), st.sets(st.integers(0, 9), max_size=3), st.tuples(st.integers(), st.dates()),
    st.builds(Pizza, st.integers(), st.dates()), st.decimals(allow_nan=False, allow_infinity=False),
)  # fmt: skip
VALUES: Any = st.recursive(
    LEAVES,
    lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=12,
)
PATCHES: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3)),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)
CODEC = UntypedCodec(lambda: AllowList([Pizza]))


def unnamed(value: Any, patch: Any) -> Any:
    """Yield each member of a value that a patch does not name, with its path."""
    if isinstance(patch, dict) and isinstance(value, dict):
        for name, member in value.items():
            if name not in patch:
                yield (name,), member
            elif isinstance(patch[name], dict):
                yield from (((name, *path), m) for path, m in unnamed(member, patch[name]))


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.dictionaries(NAMES, PATCHES, max_size=3))
def test_a_patch_says_what_it_says_and_touches_nothing_else(value: Any, patch: Any) -> None:
    tree = json_text.loads(CODEC.encode(value))
    plain = merge_patch(jsonpickle.to_plain(tree), patch)
    changed = with_changes(tree, plain)
    assert jsonpickle.to_plain(changed) == plain
    result = CODEC.decode(json_text.dumps(changed))
    for path, member in unnamed(value, patch):
        found = result
        for name in path:
            found = found[name]
        assert type(found) is type(member)
        assert found == member
