"""Values that an instance without this package reads as their classes, and classes that moved."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import Any

import jsonpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botstate_ext import StateDecodeError, StateEncodeError, StateMiddleware, StateScopes
from botstate_ext import storage as storages
from botstate_ext.serialization.allow_list import AllowList
from botstate_ext.serialization.comparison import difference
from botstate_ext.serialization.jsonpickle import expand_references
from botstate_ext.serialization.typed_codec import TypedCodec
from tests.examples import examples
from tests.serialization import strategies
from tests.serialization.models import Frozen, FrozenSlotted, Plain, Slotted
from tests.turns import Bot, context

DAY = datetime(2024, 1, 2, tzinfo=timezone.utc)
LATER = datetime(2024, 2, 3, tzinfo=timezone.utc)


class Kind(Enum):
    NEW = "new"


@dataclass
class Item:
    name: str
    tags: set[str] = field(default_factory=set)


@dataclass
class Cart:
    kind: Kind = Kind.NEW
    since: datetime = DAY
    items: list[Item] = field(default_factory=list)
    size: tuple[int, int] = (1, 2)
    frozen: FrozenSlotted | None = None


class Profile:
    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self.since = DAY


class Named:
    def __init__(self, name: str = "Ann") -> None:
        self.name = name


@dataclass
class Holder:
    """Plain data that holds a plain class."""

    profile: Profile


FULL = Cart(items=[Item("pizza", {"a", "b"})], frozen=FrozenSlotted(1, "x"))


def as_upstream(data: bytes, change: Callable[[Any], object] | None = None) -> tuple[Any, bytes]:
    """What upstream's Blob adapter makes of a blob, and what it writes back."""
    document = jsonpickle.decode(data)  # noqa: S301 - what upstream does is the question
    value = document["value"]
    if change is not None:
        change(value)
    return value, jsonpickle.encode({**document, "e_tag": "1"}).encode()


async def stored(storage: storages.MemoryStorage) -> bytes:
    item = await storage.get("test/users/user")
    assert item is not None
    return item.data


@pytest.mark.parametrize("value", [FULL, Profile("Ann"), Cart()])
async def test_each_reads_what_the_other_wrote(value: Any) -> None:
    storage = storages.MemoryStorage()
    states = StateScopes(storage)
    ours = states.user.create_property("value", type(value), write_type_tags=True)
    bot = Bot(StateMiddleware(states))
    await bot.turn(lambda turn: ours.set(turn, value))

    found, data = as_upstream(await stored(storage), lambda value: setattr(value, "since", LATER))
    assert type(found) is type(value)
    await storage.put_if("test/users/user", data, etag="*")

    again: list[Any] = []

    async def logic(turn: Any) -> None:
        again.append(await ours.get(turn))

    await bot.turn(logic)
    assert type(again[0]) is type(value)
    assert vars(again[0]) == {**vars(value), "since": LATER}


async def test_without_tags_upstream_reads_a_dictionary() -> None:
    storage = storages.MemoryStorage()
    states = StateScopes(storage)
    ours = states.user.create_property("value", Cart)
    await Bot(StateMiddleware(states)).turn(lambda turn: ours.set(turn, Cart()))
    found, _ = as_upstream(await stored(storage))
    assert type(found) is dict


async def test_a_value_that_did_not_change_is_not_written() -> None:
    storage = storages.MemoryStorage()
    states = StateScopes(storage)
    ours = states.user.create_property("value", Cart, write_type_tags=True)
    bot = Bot(StateMiddleware(states))
    await bot.turn(lambda turn: ours.set(turn, FULL))
    before = await storage.get("test/users/user")
    await bot.turn(lambda turn: ours.get(turn))
    assert await storage.get("test/users/user") == before


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
async def test_what_is_set_is_written_in_the_chosen_form(wanted: bool, declared: bool) -> None:
    """Get and set are enough to go over to the other form; get alone writes nothing."""
    storage = storages.MemoryStorage()
    forms = []
    for write_type_tags in (not wanted, wanted):
        states = StateScopes(storage, write_type_tags=write_type_tags)
        prop = states.user.create_property("value", Named if declared else None)
        bot = Bot(StateMiddleware(states))

        async def reads(turn: Any, prop: Any = prop) -> None:
            await prop.get(turn, Named)

        async def sets(turn: Any, prop: Any = prop) -> None:
            await prop.set(turn, await prop.get(turn, Named))

        await bot.turn(reads)
        forms.append(b"py/object" in await stored(storage))
        await bot.turn(sets)
        forms.append(b"py/object" in await stored(storage))
        before = await storage.get("test/users/user")
        await bot.turn(sets)
        assert await storage.get("test/users/user") == before, "and then there is nothing to write"
    assert forms == [not wanted, not wanted, not wanted, wanted]


async def test_a_class_that_the_type_does_not_name_is_refused() -> None:
    states = StateScopes(storages.MemoryStorage())
    ours = states.user.create_property("value", Cart, write_type_tags=True)
    bot = Bot(StateMiddleware(states))
    with pytest.raises(StateEncodeError, match="Plain"):
        await bot.turn(lambda turn: ours.set(turn, Cart(items=[Plain()])))  # type: ignore[list-item]  # that is the point


@pytest.mark.parametrize("value", [Frozen(1, [2]), FrozenSlotted(1, [2]), Slotted(1, [2])])
async def test_dataclasses_of_every_kind_are_read_by_typed_properties(value: Any) -> None:
    storage = storages.MemoryStorage()
    data = jsonpickle.encode({"value": value}).encode()
    await storage.put_if("test/users/user", data, etag=None)
    ours = StateScopes(storage).user.create_property("value", type(value))
    assert await ours.get(context()) == value


async def test_a_plain_class_inside_of_plain_data_keeps_what_json_has_no_form_for() -> None:
    storage = storages.MemoryStorage()
    states = StateScopes(storage)
    ours = states.user.create_property("value", Holder)
    bot = Bot(StateMiddleware(states))
    await bot.turn(lambda turn: ours.set(turn, Holder(Profile("Ann"))))
    found: list[Any] = []

    async def logic(turn: Any) -> None:
        found.append(await ours.get(turn))

    await bot.turn(logic)
    assert type(found[0].profile) is Profile
    assert vars(found[0].profile) == vars(Profile("Ann"))


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (dict[str, Any], {"a": {"py/tuple": [1]}}),
        (Holder, Holder(Profile({"py/tuple": [1]}))),  # type: ignore[arg-type]  # no type checks it
        (Profile, Profile({"py/tuple": [1]})),  # type: ignore[arg-type]  # as above
    ],
)
@pytest.mark.parametrize("tagged", [True, False])
def test_a_key_that_looks_like_a_tag_comes_back_as_a_key(
    type_: Any, value: Any, tagged: bool
) -> None:
    codec = TypedCodec(type_, AllowList, tagged=tagged)
    text = codec.encode(value)
    assert difference(value, codec.decode(text)) is None
    theirs = jsonpickle.decode(text)  # noqa: S301 - upstream, again
    # Without tags for the whole value, its attributes are what upstream reads.
    assert difference(value, theirs) is None or difference(vars(value), theirs) is None


def test_a_value_that_is_not_of_the_declared_type_is_refused_with_and_without_tags() -> None:
    for tagged in (True, False):
        cart = Cart(items=[Item({"py/tuple": [1]})])  # type: ignore[arg-type]  # that is the point
        with pytest.raises(StateEncodeError, match="Cart"):
            TypedCodec(Cart, AllowList, tagged=tagged).encode(cart)


@given(strategies.TAGGED_JSON, st.sampled_from([Cart, Profile, Holder, list[Item]]))
@settings(max_examples=examples(300), deadline=None)
def test_any_json_is_read_or_refused(value: Any, type_: Any) -> None:
    before = set(sys.modules)
    for codec in (TypedCodec(type_, AllowList), TypedCodec(type_, AllowList, tagged=True)):
        text = json.dumps(value).encode()
        try:
            found = codec.decode(text)
        except StateDecodeError:
            continue
        assert found is None or isinstance(found, getattr(type_, "__origin__", type_))
    imported = {name.split(".")[0] for name in set(sys.modules) - before}
    assert imported <= {"zoneinfo", "_zoneinfo", "tzdata", "importlib", "botbuilder"}


@given(st.lists(st.builds(Item, st.text(), st.sets(st.text(), max_size=3)), max_size=3))
@settings(max_examples=examples(100), deadline=None)
def test_what_upstream_writes_of_a_typed_value_is_that_value(items: list[Item]) -> None:
    cart = Cart(items=items)
    allowed = AllowList([Cart, Item, Kind])
    text = jsonpickle.encode({"value": cart}).encode()
    value = json.dumps(expand_references(json.loads(text))["value"]).encode()
    codec = TypedCodec(Cart, lambda: allowed, tagged=True)
    assert codec.decode(value) == cart
    assert codec.decode(codec.encode(cart)) == cart
    assert jsonpickle.decode(codec.encode(cart)) == cart  # noqa: S301 - upstream, again


async def test_a_class_that_moved_is_found_by_its_old_name() -> None:
    storage = storages.MemoryStorage()
    stored = {"options": {"py/object": "old_app.models.Options", "name": "Ann"}}
    await storage.put_if("test/users/user", json.dumps(stored).encode(), etag=None)
    turn = context()
    with pytest.raises(StateDecodeError, match=r"types=\{"):
        await StateScopes(storage).user.create_property("options").get(turn)

    states = StateScopes(storage, types={"old_app.models.Options": Profile})
    options = states.user.create_property("options")
    bot = Bot(StateMiddleware(states))

    async def logic(turn: Any) -> None:
        value = await options.get(turn)
        assert type(value) is Profile
        value.name = "Bob"

    await bot.turn(logic)
    item = await storage.get("test/users/user")
    assert item is not None
    assert json.loads(item.data)["options"]["py/object"].endswith("test_type_tags.Profile")
    await bot.turn(lambda turn: options.get(turn))


async def test_the_class_that_a_default_names_is_tagged_too() -> None:
    storage = storages.MemoryStorage()
    states = StateScopes(storage)
    ours = states.user.create_property("value", write_type_tags=True)
    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        (await ours.get(work, Profile)).name = "Ann"
    item = await storage.get("test/users/ann")
    assert item is not None
    read = jsonpickle.decode(item.data)["value"]  # noqa: S301  # as upstream reads it
    assert type(read) is Profile
    assert read.name == "Ann"
    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        assert (await ours.get(work, Profile)).name == "Ann"


@pytest.mark.parametrize("write_type_tags", [True, False])
async def test_reading_the_other_form_again_and_again_changes_nothing(
    write_type_tags: bool,
) -> None:
    """A dataclass, whose texts a codec may know from before."""
    storage = storages.MemoryStorage()
    item = f'{{"py/object":"{__name__}.Item","name":"pizza","tags":{{"py/set":[]}}}}'
    text = '{"name":"pizza","tags":[]}' if write_type_tags else item
    await storage.put_if("test/users/user", f'{{"value":{text}}}'.encode(), etag=None)
    before = await storage.get("test/users/user")
    states = StateScopes(storage, write_type_tags=write_type_tags)
    value = states.user.create_property("value", Item)
    bot = Bot(StateMiddleware(states))
    for _ in range(3):
        await bot.turn(lambda turn: value.get(turn))
        assert await storage.get("test/users/user") == before
    await bot.turn(lambda turn: value.set(turn, Item("pizza")))
    assert (b"py/object" in await stored(storage)) == write_type_tags
