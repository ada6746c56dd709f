"""The compiled tagged form says the same as the general way, or nothing."""

from __future__ import annotations

import contextlib
import gc
import json
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, make_dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import Any

import jsonpickle
import pydantic
import pytest
from hypothesis import given, settings

import botstate_ext
from botstate_ext import StateEncodeError
from botstate_ext.serialization import json_text
from botstate_ext.serialization.allow_list import AllowList
from botstate_ext.serialization.jsonpickle import Flattener, count_tags, restore
from botstate_ext.serialization.tagged_form import UNSURE, TaggedForm, UnsupportedTypeError
from botstate_ext.serialization.typed_codec import TypedCodec
from botstate_ext.serialization.unknown_fields import UnknownFields
from tests.examples import examples
from tests.serialization import corpus
from tests.serialization.test_corpus import described
from tests.serialization.test_generated_types import instances

DAY = datetime(2024, 1, 2, tzinfo=timezone.utc)


@dataclass
class Item:
    name: str
    price: float = 1.5
    tags: list[str] = field(default_factory=list)
    since: datetime | None = None
    more: Any = None


@dataclass
class Cart:
    items: list[Item] = field(default_factory=list)
    by_name: dict[str, Item] = field(default_factory=dict)
    first: Item | None = None
    visits: int = 0


@dataclass
class MoreItem(Item):
    size: int = 1


@dataclass
class Any1:
    """One object that may hold anything."""

    it: Any = None


class ModelItem(pydantic.BaseModel):
    name: str
    number: int = 0


class Open(ModelItem):
    model_config = pydantic.ConfigDict(extra="allow")


class Secretive(ModelItem):
    _secret: int = 1


class Model(pydantic.BaseModel):
    items: list[ModelItem] = []


class Profile:
    def __init__(self) -> None:
        self.name = "Ann"
        self.orders: list[dict[str, Any]] = []


@dataclass
class Holder:
    profile: Profile


@dataclass
class Linked:
    next: Linked | None = None


CLASSES = (Item, Cart, MoreItem, Any1, ModelItem, Model, Profile, Holder)


def allow_list() -> AllowList:
    return AllowList((*corpus.APP_TYPES, *CLASSES))


def form_of(type_: Any, *, is_hint: bool = False) -> TaggedForm:
    allowed = allow_list()
    return TaggedForm(
        type_,
        is_hint=is_hint,
        flatten=Flattener(allowed).flatten,
        restore=lambda stored: restore(stored, allowed),
    )


def read(form: TaggedForm, text: bytes) -> Any:
    return form.restore(json_text.loads(text), count_tags(text))


def assert_says_the_same(type_: Any, value: Any, allowed: AllowList) -> bool:
    """Return False if the form cannot tell."""
    try:
        form = TaggedForm(
            type_,
            is_hint=False,
            flatten=Flattener(allowed).flatten,
            restore=lambda stored: restore(stored, allowed),
        )
    except UnsupportedTypeError:
        return False
    flat = form.flatten(value)
    if flat is UNSURE:
        return False
    text = json_text.dumps(flat)
    assert text == json_text.dumps(Flattener(allowed).flatten(value))
    back = read(form, text)
    if back is UNSURE:
        return False
    assert described(back) == described(value)
    assert described(jsonpickle.decode(text)) == described(value)  # noqa: S301 - as the SDK does
    return True


def test_it_says_the_same_of_every_value_of_the_corpus() -> None:
    allowed = allow_list()
    told = 0
    for _, type_, value in corpus.cases():
        with contextlib.suppress(TypeError, KeyError, NameError):  # types that msgspec refuses
            told += assert_says_the_same(type_, value, allowed)
    assert told > 50


@given(instances())
@settings(max_examples=examples(150), deadline=None)
def test_it_says_the_same_of_generated_types(made: tuple[Any, Any]) -> None:
    cls, value = made
    allowed = AllowList((*corpus.APP_TYPES, cls))
    module = sys.modules[cls.__module__]
    had = getattr(module, cls.__name__, None)
    setattr(module, cls.__name__, cls)  # where jsonpickle looks for it
    try:
        assert_says_the_same(cls, value, allowed)
    finally:
        setattr(module, cls.__name__, had)


FULL = Item("pizza", 2.5, ["a"], DAY, {"deep": [1, {"x": None}]})
SURE = [
    (Item, FULL),
    (Cart, Cart([FULL, Item("b")], {"x": FULL}, FULL, 3)),
    (Cart, Cart()),
    (list[Item], [FULL]),
    (dict[str, Cart], {"a": Cart(first=FULL)}),
    (Model, Model(items=[ModelItem(name="a"), ModelItem(name="b", number=2)])),
    (Profile, Profile()),
    (Holder, Holder(Profile())),
    (Any1, Any1([{"x": 1.5}])),
]


@pytest.mark.parametrize("index", range(len(SURE)))
def test_the_usual_classes_need_no_general_way(index: int) -> None:
    assert assert_says_the_same(*SURE[index], allow_list())


def _with_attribute(value: Any, name: str, attribute: Any) -> Any:
    value.__dict__[name] = attribute
    return value


def _without(value: Any, name: str) -> Any:
    del value.__dict__[name]
    return value


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def _holding_itself() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


NOT_TOLD = {
    "a subclass": (Cart, Cart([MoreItem("a")])),
    "a tuple for a list": (Item, Item("a", tags=("x",))),  # type: ignore[arg-type]
    "a number for text": (Item, Item(1)),  # type: ignore[arg-type]
    "NaN": (Item, Item("a", float("nan"))),
    "a lone attribute": (Item, _with_attribute(Item("a"), "own", 1)),
    "an attribute of Python's": (Profile, _with_attribute(Profile(), "__x__", 1)),
    "an attribute that is missing": (Item, _without(Item("a"), "price")),
    "an attribute of a plain class that is missing": (Profile, _without(Profile(), "name")),
    "a key like a tag": (Any1, Any1({"py/object": "x"})),
    "a key like a tag in a dictionary": (Cart, Cart(by_name={"py/x": FULL})),
    "another key than text": (Any1, Any1({1: 2})),
    "a date under Any": (Any1, Any1(DAY)),
    "a zone with a name": (Item, Item("a", since=DAY.astimezone(corpus.OSLO))),
    "too many levels": (Any1, Any1(_deep(150))),
    "itself": (Any1, Any1(_holding_itself())),
    "extra members of a model": (Open, Open(name="a", more=1)),  # type: ignore[call-arg]
    "private attributes of a model": (Secretive, Secretive(name="a")),
}


@pytest.mark.parametrize("name", NOT_TOLD)
def test_what_is_more_than_its_fields_is_left_to_the_general_way(name: str) -> None:
    type_, value = NOT_TOLD[name]
    assert form_of(type_).flatten(value) is UNSURE


def test_a_hint_takes_any_scalar() -> None:
    value = Cart(visits="many", first=FULL)  # type: ignore[arg-type]
    assert form_of(Cart).flatten(value) is UNSURE
    form = form_of(Cart, is_hint=True)
    text = json_text.dumps(form.flatten(value))
    assert read(form, text) == value
    nothing = Item(None, None, None)  # type: ignore[arg-type]
    assert (
        read(
            form_of(Item, is_hint=True),
            json_text.dumps(form_of(Item, is_hint=True).flatten(nothing)),
        )
        == nothing
    )


ITEM = f"{__name__}.Item"
PLAIN_ITEM = {"py/object": ITEM, "name": "a", "price": 1, "tags": [], "since": None, "more": None}
STRANGE = {
    "an unknown member": (Item, {**PLAIN_ITEM, "new": 1}),
    "a missing member": (Item, {"py/object": ITEM, "name": "a"}),
    "another class": (Item, {**PLAIN_ITEM, "py/object": "os.system"}),
    "no class": (Item, {"name": "a"}),
    "no object": (Item, ["a"]),
    "a tag beside its own": (Item, {**PLAIN_ITEM, "py/state": {}}),
    "a tagged member": (Item, {**PLAIN_ITEM, "more": {"py/tuple": [1]}}),
    "a tagged member in a list": (Item, {**PLAIN_ITEM, "tags": [{"py/tuple": [1]}]}),
    "a function for a date": (Item, {**PLAIN_ITEM, "since": {"py/function": "os.system"}}),
    "text for a number": (Item, {**PLAIN_ITEM, "price": "1"}),
    "a tag below Any": (Any1, {"py/object": f"{__name__}.Any1", "it": [{"py/id": 1}]}),
    "a private attribute": (
        Profile,
        {"py/object": f"{__name__}.Profile", "name": "", "orders": [], "__class__": 1},
    ),
    "an attribute that is missing": (Profile, {"py/object": f"{__name__}.Profile", "name": ""}),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_stored_otherwise_is_left_to_the_general_way(name: str) -> None:
    type_, stored = STRANGE[name]
    assert read(form_of(type_), json.dumps(stored).encode()) is UNSURE


@pytest.mark.parametrize("spelling", [r"p\u0079/tuple", r"py\/tuple"])
def test_a_tag_in_another_spelling_is_seen(spelling: str) -> None:
    text = f'{{"py/object":"{__name__}.Any1","it":{{"{spelling}":[1]}}}}'.encode()
    assert read(form_of(Any1), text) is UNSURE
    assert TypedCodec(Any1, allow_list, tagged=True).decode(text) == Any1((1,))


@pytest.mark.parametrize("type_", [Linked, int, dict[str, int], corpus.Rights])
def test_types_without_a_form(type_: Any) -> None:
    with pytest.raises(UnsupportedTypeError):
        form_of(type_)
    TypedCodec(type_, allow_list, tagged=True)._extend()


def test_a_lone_surrogate_is_written_as_upstream_writes_it() -> None:
    codec = TypedCodec(Item, allow_list, tagged=True)
    text = codec.encode(Item("\ud800"))
    assert codec.decode(text) == jsonpickle.decode(text) == Item("\ud800")  # noqa: S301
    assert codec.encode(codec.decode(text), text) is text


def test_two_classes_of_one_name_are_not_mixed_up() -> None:
    """Only one of them can be what the name in the text stands for."""
    other = make_dataclass("Item", [("name", str)], namespace={"__module__": __name__})
    pair = make_dataclass("Pair", [("one", Item), ("other", other)])
    codec, value = TypedCodec(pair, allow_list, tagged=True), pair(Item("a"), other("b"))
    try:
        back = codec.decode(codec.encode(value))
    except StateEncodeError:
        return
    assert described(back) == described(value)


def test_an_unknown_member_is_kept_with_its_object() -> None:
    codec, unknown = TypedCodec(Cart, allow_list, tagged=True), UnknownFields()
    stored: Any = {
        "py/object": f"{__name__}.Cart",
        "items": [{**PLAIN_ITEM, "new": 1}],
        "by_name": {},
        "first": None,
        "visits": 0,
    }
    text = json.dumps(stored, separators=(",", ":")).encode()
    value = codec.decode(text, unknown)
    assert codec.encode(value, text, unknown) is text
    value.visits = 1
    assert json.loads(codec.encode(value, text, unknown))["items"][0]["new"] == 1


@contextlib.contextmanager
def counted_calls() -> Iterator[Callable[[], int]]:
    """Give a function that returns the number of calls of Python functions of the package."""
    count, package = [0], str(Path(botstate_ext.__file__).parent)

    def note(frame: FrameType, event: str, _: Any) -> None:
        is_own = frame.f_code.co_filename.startswith(package)
        if event == "call" and (is_own or frame.f_code.co_filename == "<string>"):
            count[0] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield lambda: count[0]
    finally:
        sys.setprofile(before)


@pytest.mark.parametrize("way", ["read", "changed"])
def test_a_value_costs_one_call_for_each_object(way: str) -> None:
    """So that the tagged form stays near plain JSON: it was twenty calls for each object."""
    codec = TypedCodec(Cart, allow_list, tagged=True)
    text = codec.encode(Cart([Item(f"item {n}") for n in range(100)]))
    codec.decode(text)
    with counted_calls() as count:
        value = codec.decode(text, UnknownFields())
        value.visits = 0 if way == "read" else 1
        again = codec.encode(value, text, UnknownFields())
        spent = count()
    assert (again is text) == (way == "read")
    # One to read and one to write each, and some to see that its Any is plain JSON.
    assert 200 < spent < 1000


def test_a_value_that_does_not_fit_is_kept_by_nobody() -> None:
    form, odd = form_of(Item), Item(name=MoreItem("a class of its own"))  # type: ignore[arg-type]
    alive = weakref.ref(odd)
    assert form.flatten(odd) is UNSURE
    del odd
    gc.collect()
    assert alive() is None


@dataclass
class Collections:
    several: set[str] = field(default_factory=set)
    fixed: frozenset[int] = frozenset()
    row: tuple[int, ...] = ()
    pair: tuple[str, int] = ("a", 1)
    inside: dict[str, set[str]] = field(default_factory=dict)


def test_collections_of_plain_values_keep_their_classes() -> None:
    value = Collections({"a"}, frozenset({1}), (1, 2), ("b", 2), {"c": {"d"}})
    allowed = AllowList((Collections,))
    codec = TypedCodec(Collections, lambda: allowed, tagged=True)
    text = codec.encode(value)
    assert jsonpickle.decode(text.decode()) == value  # noqa: S301 - as the SDK reads it
    assert codec.decode(text) == value
