"""to_plain: makes plain JSON of a tagged value, for a typed property to decode."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ...errors import StateDecodeError
from .reading import Reader
from .tags import (
    NEWARGS,
    OBJECT,
    PREFIX,
    REDUCE,
    SEQ,
    STATE,
    TYPE,
    items_of,
    malformed,
    shown,
    too_deep,
)

_SCALARS: Final = frozenset((str, int, float, bool, type(None)))


def to_plain(value: Any) -> Any:
    """Return the value without jsonpickle's tags. No class that it names is looked up or imported.

    - An object becomes the dictionary of its attributes, or of its ``__getstate__``'s result.
    - A subclass of dict, list, set or str becomes a plain dict, list or str.
    - Tuples and sets become lists, bytes become base64, an enumeration's member its value.
    - Datetimes, durations, decimals and UUIDs become text that msgspec can decode as such.

    :raises StateDecodeError: the value holds something that is not data (a class, a function, a
        module), a reference, or a shape that jsonpickle does not write.
    """
    return _builtins(_read(value, {}))


def to_tree(value: Any, fields: Mapping[str, Sequence[str]]) -> Any:
    """Return the value as `to_plain` does, but with an `Instance` for each object.

    An `Instance` keeps its stored form, for a class with an own way to read it.
    ``fields``: the field names of a class, by the class's name. They are needed for frozen
    dataclasses with slots: jsonpickle stores their values without names.

    :raises StateDecodeError: see `to_plain`.
    """
    tree = _read(value, fields)
    try:
        return _tree(tree)
    except RecursionError:
        raise too_deep() from None


class Instance(dict[str, Any]):
    """Holds an object's attributes as a dictionary. ``stored``: the object as it is in storage."""

    stored: dict[str, Any]


def _read(value: Any, fields: Mapping[str, Sequence[str]]) -> Any:
    try:
        return Plainer(fields).read(value, 1)
    except RecursionError:
        raise too_deep() from None


def _tree(value: Any) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is list:
        return [_tree(item) for item in value]
    if kind is dict:
        return {name: _tree(member) for name, member in value.items()}
    if kind is Instance:
        instance = Instance({name: _tree(member) for name, member in value.items()})
        instance.stored = value.stored
        return instance
    return _builtins(value)


def _builtins(value: Any) -> Any:
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=_deque)
    except TypeError:
        raise StateDecodeError("it holds what JSON has no form for.") from None


class Plainer(Reader):
    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    def make_tuple(self, items: list[Any]) -> list[Any]:
        return items

    def make_set(self, items: list[Any], kind: type) -> list[Any]:
        # Not a set: an object in it is a dictionary here.
        return items

    def make_class(self, name: str) -> object:
        raise StateDecodeError(f"it holds the class {shown(name)}, which is not data.")

    def make_positional(self, name: str, args: list[Any]) -> object:
        fields = self._fields.get(name)
        if fields is not None and len(args) <= len(fields):
            return dict(zip(fields, args, strict=False))
        if len(args) != 1:
            raise malformed(REDUCE)
        return args[0]  # an enumeration's member

    def make_struct(self, name: str, members: Any) -> object:
        return members

    def make_named_member(self, enumeration: Any, member: Any) -> object:
        # Its class, the first argument, was read before: make_class has refused it.
        raise AssertionError

    def make_object(self, name: str, value: dict[str, Any], depth: int) -> object:
        made = self._made(name, value, depth)
        fields = self._fields.get(name)
        if fields and type(made) is list and STATE in value and len(made) == len(fields):
            made = dict(zip(fields, made, strict=True))
        if type(made) is not dict:
            return made
        instance = Instance(made)
        instance.stored = value
        return instance

    def _made(self, name: str, value: dict[str, Any], depth: int) -> object:
        attributes = {}
        for key, member in value.items():
            if key[:3] != PREFIX and not _is_factory(name, key, member):
                attributes[key] = self.read(member, depth + 1)
        own = attributes.pop("__dict__", None)
        if own or (SEQ in value and attributes):
            raise StateDecodeError(f"{shown(name)} has both items and attributes; JSON has not.")
        if SEQ in value:
            return self.read_items(items_of(value, SEQ), depth + 1)
        if STATE in value:
            return _state(self.read(value[STATE], depth + 1), attributes)
        if NEWARGS in value and not attributes:
            # A subclass of str or of a number is made of what it is, and has nothing else.
            args = self.read_tuple(value[NEWARGS], depth + 1)
            if len(args) == 1:
                return args[0]
            raise malformed(OBJECT)
        return attributes


def _is_factory(name: str, key: str, member: Any) -> bool:
    if key != "default_factory":
        return False
    return name == "collections.defaultdict" or (type(member) is dict and TYPE in member)


def _state(state: Any, attributes: dict[str, Any]) -> Any:
    match state:
        case None:
            return attributes
        case {"__dict__": dict() as own, "__pydantic_fields_set__": _} if not attributes:
            return own
        case dict():
            return {**attributes, **state}
        case [dict() | None as own, dict() as slots]:
            return {**attributes, **(own or {}), **slots}
    if attributes:
        raise malformed(STATE)
    return state


def _deque(value: Any) -> Any:
    if type(value) is deque:
        return list(value)
    raise TypeError
