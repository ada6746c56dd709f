"""restore: a tagged value as the objects that it was, if an allow-list has their classes."""

from __future__ import annotations

from collections import defaultdict
from enum import Enum
from typing import Any, Final

from ...errors import StateDecodeError
from ..allow_list import STANDARD_TYPES, AllowList
from .instances import fill, new, set_attribute, set_item, set_state
from .reading import GETATTR, Reader
from .standard import FACTORIES, ZONE_FUNCTIONS, ZONE_TYPES
from .tags import (
    FUNCTION,
    NEWARGS,
    NEWARGSEX,
    OBJECT,
    PREFIX,
    SEQ,
    STATE,
    TYPE,
    items_of,
    malformed,
    refused,
    shown,
    tag_of,
    text_of,
    too_deep,
)

_STANDARD: Final = frozenset(STANDARD_TYPES.values())


def restore(value: Any, allowed: AllowList) -> Any:
    """The value as upstream's decoder would give it, if every class in it is allowed.

    All names are checked before the first object is made. Objects are made without ``__init__``, as
    jsonpickle makes them, and their attributes set.

    :raises StateDecodeError: it names anything else (which is not imported), holds a ``py/id``
        (:func:`expand_references` comes first), or what jsonpickle does not write.
    """
    _check_names(value, allowed)
    try:
        return Restorer(allowed).read(value, 1)
    except RecursionError:
        raise too_deep() from None


def _check_names(value: Any, allowed: AllowList) -> None:
    todo = [value]
    for item in todo:
        if type(item) is list:
            todo.extend(item)
        elif type(item) is dict:
            tag = tag_of(item)
            if tag in (OBJECT, TYPE, FUNCTION):
                _check_name(tag, text_of(item, tag), allowed)
            todo.extend(item.values())


def _check_name(tag: str, name: str, allowed: AllowList) -> None:
    if tag == FUNCTION:
        known = name == GETATTR or name in ZONE_FUNCTIONS
    else:
        known = allowed.knows(name) or (tag == TYPE and name in ZONE_TYPES)
    if not known:
        raise refused(name)


class Restorer(Reader):
    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed

    def make_tuple(self, items: list[Any]) -> object:
        return tuple(items)

    def make_set(self, items: list[Any], kind: type[Any]) -> object:
        try:
            return kind(items)
        except TypeError:
            raise StateDecodeError("it holds a set of what cannot be in a set.") from None

    def make_class(self, name: str) -> type[Any]:
        cls = self._allowed.find(name)
        if cls is None:
            raise StateDecodeError(f"it names {shown(name)}, whose package is not installed.")
        return cls

    def make_member(self, name: str, value: Any) -> object:
        cls = self.make_class(name)
        if not issubclass(cls, Enum):
            raise StateDecodeError(f"it calls {shown(name)}; only enumerations are made that way.")
        try:
            # An enumeration's own _missing_ may raise anything.
            return cls(value)
        except Exception:  # noqa: BLE001 - its text may hold the value
            raise StateDecodeError(f"{shown(name)} has no member of that value.") from None

    def make_named_member(self, enumeration: Any, member: Any) -> object:
        if isinstance(enumeration, type) and issubclass(enumeration, Enum):
            found = enumeration.__members__.get(member) if type(member) is str else None
            if found is not None:
                return found
        raise malformed(FUNCTION)

    def make_object(self, name: str, value: dict[str, Any], depth: int) -> object:
        cls = self.make_class(name)
        if cls is defaultdict:
            return self._default_dict(value, depth)
        if cls in _STANDARD or issubclass(cls, (Enum, type)):
            raise malformed(name)
        instance = new(cls, *self._new_args(cls, value, depth))
        members = {}
        for key, member in value.items():
            if key[:3] != PREFIX:
                kind = type(member)
                # Most of an activity's fifty attributes are None or text.
                if kind is dict or kind is list:
                    members[key] = self.read(member, depth + 1)
                else:
                    members[key] = member
        _set_members(instance, members)
        if SEQ in value and not isinstance(instance, tuple):
            fill(instance, self.read_items(items_of(value, SEQ), depth + 1))
        if STATE in value:
            set_state(instance, self.read(value[STATE], depth + 1))
        return instance

    def _default_dict(self, value: dict[str, Any], depth: int) -> object:
        factory: Any = value.get("default_factory")
        match factory:
            case None:
                result: dict[str, Any] = defaultdict(None)
            case {"py/type": str(name)} if name in FACTORIES:
                result = defaultdict(FACTORIES[name])
            case _:
                raise StateDecodeError("it holds a defaultdict whose factory is not known.")
        for key, member in value.items():
            if key[:3] != PREFIX and key != "default_factory":
                result[key] = self.read(member, depth + 1)
        return result

    def _new_args(self, cls: type, value: dict[str, Any], depth: int) -> tuple[Any, Any]:
        args: Any = ()
        kwargs: Any = {}
        if NEWARGSEX in value:
            parts = items_of(value, NEWARGSEX)
            if len(parts) != 2:
                raise malformed(NEWARGSEX)
            args = self.read_tuple(parts[0], depth + 2)
            kwargs = self.read(parts[1], depth + 2)
        elif NEWARGS in value:
            args = self.read_tuple(value[NEWARGS], depth + 1)
        elif SEQ in value and issubclass(cls, tuple) and hasattr(cls, "_fields"):
            args = self.read_items(items_of(value, SEQ), depth + 1)
        if type(kwargs) is not dict:
            raise malformed(NEWARGSEX)
        return args, kwargs


def _set_members(instance: Any, members: dict[str, Any]) -> None:
    attributes = members
    if isinstance(instance, dict):
        attributes = members.pop("__dict__", {})
        if type(attributes) is not dict:
            raise malformed("__dict__")
        if isinstance(instance, defaultdict) and "default_factory" in members:
            factory = members.pop("default_factory")
            if factory not in FACTORIES.values():
                raise StateDecodeError("it holds a defaultdict whose factory is not known.")
            instance.default_factory = factory
        for key, value in members.items():
            set_item(instance, key, value)
    for name, value in attributes.items():
        set_attribute(instance, name, value)
