"""Types and values that hypothesis makes up: each value comes back equal, or is refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Optional
from uuid import UUID

import attrs
import msgspec
import pydantic
from hypothesis import given, settings
from hypothesis import strategies as st

from botstate_ext import StateEncodeError
from botstate_ext.serialization.allow_list import AllowList
from botstate_ext.serialization.typed_codec import TypedCodec
from botstate_ext.serialization.unknown_fields import UnknownFields
from tests.examples import examples
from tests.serialization import corpus
from tests.serialization.test_corpus import described

_numbers = itertools.count()

ZONES = st.sampled_from([None, corpus.UTC, corpus.OSLO, corpus.EST])
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: st.floats(),
    str: st.text(max_size=5),
    bool: st.booleans(),
    bytes: st.binary(max_size=5),
    Decimal: st.decimals(),
    UUID: st.uuids(),
    dt.date: st.dates(),
    dt.timedelta: st.timedeltas(),
    dt.datetime: st.datetimes(timezones=ZONES, allow_imaginary=False),
    dt.time: st.times(timezones=ZONES),
    corpus.Mark: st.sampled_from(corpus.Mark),
    corpus.Rights: st.sampled_from([corpus.Rights.READ, corpus.Rights(3)]),
    corpus.Inner: st.builds(corpus.Inner, st.text(max_size=3)),
    corpus.Plain: st.builds(corpus.Plain, st.integers() | st.binary(max_size=2)),
    corpus.Model: st.builds(corpus.Model, number=st.integers()),
}
ANYTHING = st.one_of(*SCALARS.values(), st.none(), st.tuples(st.integers()), st.just({7: 1}))
HASHABLE = [int, str, bytes, dt.date, corpus.Mark]


def _optional(type_: Any, values: Any) -> tuple[Any, Any]:
    return Optional[type_], values | st.none()  # noqa: UP045 - type_ is a variable


def _list(type_: Any, values: Any) -> tuple[Any, Any]:
    made = st.lists(values, max_size=3)
    return list[type_], made | made.map(deque) | made.map(tuple)


def _dict(type_: Any, values: Any) -> tuple[Any, Any]:
    made = st.dictionaries(st.text(max_size=3), values, max_size=3)
    return dict[str, type_], made | made.map(OrderedDict) | made.map(lambda v: defaultdict(int, v))


def _int_dict(type_: Any, values: Any) -> tuple[Any, Any]:
    keys = st.integers(0, 9) | st.sampled_from(["1", "py/id"])
    return dict[int, type_], st.dictionaries(keys, values, max_size=3)


WRAPPERS = [_optional, _list, _dict, _int_dict]


@st.composite
def annotated(draw: Any) -> tuple[Any, Any]:
    """A type, and a strategy of values that mostly fit it."""
    type_ = draw(st.sampled_from([*SCALARS, Any]))
    values = ANYTHING if type_ is Any else SCALARS[type_]
    for wrap in draw(st.lists(st.sampled_from(WRAPPERS), max_size=2)):
        type_, values = wrap(type_, values)
    if draw(st.integers(0, 9)) == 0:
        values = ANYTHING
    return type_, values


def _dataclass(name: str, types: dict[str, Any]) -> Any:
    return dataclasses.make_dataclass(name, [*types.items()])


def _attrs(name: str, types: dict[str, Any]) -> Any:
    return attrs.make_class(name, {n: attrs.field(type=t) for n, t in types.items()})


def _struct(name: str, types: dict[str, Any]) -> Any:
    return msgspec.defstruct(name, [*types.items()])


def _model(name: str, types: dict[str, Any]) -> Any:
    config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    made: Any = pydantic.create_model(
        name,
        __config__=config,
        **{n: (t, ...) for n, t in types.items()},  # type: ignore[call-overload]
    )
    return lambda **values: made.model_construct(**values), made


MAKERS: list[Callable[[str, dict[str, Any]], Any]] = [_dataclass, _attrs, _struct, _model]


@st.composite
def instances(draw: Any) -> tuple[Any, Any]:
    """A class with one to three fields, and an instance of it."""
    fields = {f"f{i}": draw(annotated()) for i in range(draw(st.integers(1, 3)))}
    types = {name: type_ for name, (type_, _) in fields.items()}
    made = draw(st.sampled_from(MAKERS))(f"Made{next(_numbers)}", types)
    make, cls = made if isinstance(made, tuple) else (made, made)
    return cls, make(**{name: draw(values) for name, (_, values) in fields.items()})


@given(instances(), st.sampled_from(["declared", "hint", "tags"]))
@settings(max_examples=examples(300), deadline=None)
def test_a_value_comes_back_equal_or_is_refused(made: tuple[Any, Any], way: str) -> None:
    cls, value = made
    allowed = AllowList(corpus.APP_TYPES)
    options = {"is_hint": way == "hint", "tagged": way == "tags"}
    codec = TypedCodec(cls, lambda: allowed, **options)
    try:
        text = codec.encode(value)
    except StateEncodeError:
        assert way != "hint" or not dataclasses.is_dataclass(cls), "nothing in it is refused"
        return
    back = TypedCodec(cls, lambda: allowed, **options).decode(text, UnknownFields())
    assert back is not value
    assert described(back) == described(value) or (_is_lax(value) and back == value)
    assert codec.encode(back, text) in (text, codec.reencode(text)), "reading is no change"


def _is_lax(value: Any) -> bool:
    """An int is a float to a declared type."""
    return any(name.startswith("f") for name in dir(value)) and "float" in repr(
        getattr(type(value), "__annotations__", "")
    )
