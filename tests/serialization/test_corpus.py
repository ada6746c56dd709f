"""No value of a large corpus is lost: each comes back equal, or is refused with its place."""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
from collections import defaultdict, deque
from typing import Any

import jsonpickle
import pytest

from botstate_ext import StateEncodeError, StateScopes
from botstate_ext.serialization.jsonpickle import has_tags
from botstate_ext.storage import MemoryStorage
from tests.serialization import corpus

CASES = [*corpus.cases()]
FAMILIES = sorted({family for family, _, _ in CASES})
WAYS = ("declared", "default", "untyped")


def described(value: Any) -> Any:
    """A value as nested tuples that are equal only if classes, contents and attributes are."""
    cls = type(value)
    if isinstance(value, (enum.Enum, type)):
        return cls, value
    content: Any = None
    if isinstance(value, dict):
        content = [(described(key), described(item)) for key, item in dict.items(value)]
    elif isinstance(value, (list, tuple, deque)):
        content = [described(item) for item in value]
    elif isinstance(value, (set, frozenset)):
        content = sorted((described(item) for item in value), key=repr)
    elif isinstance(value, (dt.datetime, dt.time)):
        content = (str(value.replace(tzinfo=None)), value.fold, repr(value.tzinfo))
    elif isinstance(value, (str, int, float, complex, bytes, dt.date, dt.timedelta, dt.tzinfo)):
        content = repr(value)
    elif cls.__module__ in ("decimal", "uuid"):
        return cls, repr(value)
    more = getattr(value, "default_factory", None), getattr(value, "maxlen", None)
    return cls, content, more, sorted(attributes_of(value).items(), key=repr)


def attributes_of(value: Any) -> dict[str, Any]:
    if type(value).__module__ in ("builtins", "collections", "datetime", "zoneinfo"):
        return {}
    found = dict(getattr(value, "__dict__", {}))
    for base in type(value).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            place = f"_{base.__name__}{name}" if name[:2] == "__" and name[-2:] != "__" else name
            found[place] = getattr(value, place, "absent")
    found.update((name, getattr(value, name)) for name in getattr(value, "__struct_fields__", ()))
    for name in ("__weakref__", "__dict__", "__orig_class__", "__pydantic_fields_set__"):
        found.pop(name, None)
    for name in ("__pydantic_private__", "__pydantic_extra__"):
        found[name] = found.get(name) or None
    return {name: described(item) for name, item in found.items()}


def is_lax_float(type_: Any, value: Any) -> bool:
    """An int is a float to a declared type: 1 comes back as 1.0."""
    return type_ is float or (isinstance(value, corpus.Fields) and type(value.rate) is int)


async def outcome(way: str, type_: Any, value: Any) -> str:
    """Store a value, read it in another process's place, and tell what became of it."""
    storage = MemoryStorage()
    declared = type_ if way == "declared" and type_ is not Any else None
    is_hinted = way == "default" and type(value) in corpus.APP_TYPES
    hint = type(value) if is_hinted else None
    try:
        states, prop = made(storage, declared)
    except TypeError:
        return "refused"
    try:
        async with states.unit_of_work(channel_id="test", user_id="ann") as work:
            with contextlib.suppress(Exception):  # the class may need arguments
                await prop.get(work, hint)
            await prop.set(work, value)
    except StateEncodeError as error:
        has_place = error.property_name == "value" and (
            "$" in str(error) or " in it " in str(error)
        )
        return "refused" if has_place else f"refused without its place: {error}"
    item = await storage.get("test/users/ann")
    assert item is not None
    if has_tags(item.data) and not sdk_reads(item.data, value):
        return "read otherwise by the SDK"
    states, prop = made(storage, declared)
    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        back = await prop.get(work, hint)
    if described(back) == described(value):
        return "equal"
    return "equal" if way == "declared" and is_lax_float(type_, value) and back == value else "lost"


def made(storage: MemoryStorage, declared: Any) -> tuple[StateScopes, Any]:
    states = StateScopes(storage, types=corpus.APP_TYPES)
    return states, states.user.create_property("value", declared)


def sdk_reads(data: bytes, value: Any) -> bool:
    """Whether jsonpickle makes an equal value of a text. Of an object that its property names, the
    text may hold the attributes alone."""
    if "TaxedStruct" in repr(value):
        return True  # jsonpickle calls its constructor, whoever wrote it
    found = jsonpickle.decode(data)["value"]  # noqa: S301 - as the SDK reads it
    if described(found) == described(value):
        return True
    own = {name: described(item) for name, item in found.items()} if type(found) is dict else None
    return own == {n: v for n, v in attributes_of(value).items() if own is None or n in own}


MOST_REFUSED = {"fields": 8, "types": 3, "objects": 3, "objects in a list": 4}
"""Of a family, the values that may be refused. One that holds a secret of pydantic's needs its
class in types; a value that is not of the declared type, and a type that cannot be declared, are
refused with right."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAMILIES)
async def test_nothing_is_lost(family: str, way: str) -> None:
    outcomes: dict[str, list[str]] = defaultdict(list)
    for named, type_, value in CASES:
        if named == family:
            outcomes[await outcome(way, type_, value)].append(repr(value)[:100])
    assert outcomes.keys() <= {"equal", "refused"}, outcomes
    assert len(outcomes["refused"]) <= MOST_REFUSED.get(family, 1), outcomes["refused"]


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 300
