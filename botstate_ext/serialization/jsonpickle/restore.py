"""restore: makes the objects of a tagged value, if an allow-list has their classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from enum import Enum
from operator import methodcaller
from typing import Any, Final, TypeAlias

from ...errors import StateDecodeError
from ..allow_list import STANDARD_TYPES, AllowList, name_of
from .defaults import add_defaults, field_names
from .instances import fill, has_settable_dict, new, new_struct, set_attribute, set_item, set_state
from .reading import GETATTR, Reader
from .standard import FACTORIES, REBUILD, ZONE_FUNCTIONS, ZONE_TYPES
from .tags import (
    CLOCKS,
    FUNCTION,
    MAX_DEPTH,
    NEWARGS,
    NEWARGSEX,
    OBJECT,
    PREFIX,
    SCALARS,
    SEQ,
    STATE,
    TYPE,
    items_of,
    malformed,
    refused,
    shown,
    text_of,
    too_deep,
)

Carry: TypeAlias = Callable[[Any, Mapping[str, Any]], None]
"""Keeps members of an instance that its class has no place for."""

_NAMING: Final = frozenset((OBJECT, TYPE, FUNCTION))
_CONTAINERS: Final = frozenset((dict, list))
_MAX_NAMES: Final = 1024
_is_private: Final = methodcaller("startswith", "__")
_STANDARD: Final = frozenset(STANDARD_TYPES.values())


def restore(
    value: Any,
    allowed: AllowList,
    carried: Carry | None = None,
    complete: Callable[[Any], None] = add_defaults,
) -> Any:
    """Return the value as the SDK's decoder would return it, if every class in it is allowed.

    All names are checked before the first object is made. Objects are made without ``__init__``, as
    jsonpickle makes them, and their attributes are set.

    ``carried`` is called with an instance and the members that its class cannot store.
    ``complete`` is called with each instance, to set the fields that its class has gained since.

    :raises StateDecodeError: the value names another class or function (it is not imported), holds
        a ``py/id`` (call :func:`expand_references` first), or has a shape that jsonpickle does not
        write.
    """
    _check_names(value, allowed)
    try:
        return Restorer(allowed, carried, complete).read(value, 1)
    except RecursionError:
        raise too_deep() from None


def _check_names(value: Any, allowed: AllowList) -> None:
    todo = [value]
    known: set[Any] = set()
    missing: dict[str, None] = {}
    for item in todo:
        if type(item) is list:
            if not SCALARS.issuperset(map(type, item)):
                todo.extend(part for part in item if type(part) in _CONTAINERS)
        elif type(item) is dict:
            for tag in _NAMING.intersection(item):
                name = text_of(item, tag)
                if (tag, name) not in known:
                    known.add((tag, name))
                    if not _is_known(tag, name, allowed):
                        missing[name] = None
            todo.extend(part for part in item.values() if type(part) in _CONTAINERS)
    if missing:
        raise refused([*missing])


def _is_known(tag: str, name: str, allowed: AllowList) -> bool:
    if tag == FUNCTION:
        return name in (GETATTR, REBUILD) or name in ZONE_FUNCTIONS
    return allowed.knows(name) or (tag == TYPE and name in ZONE_TYPES)


class Restorer(Reader):
    def __init__(
        self, allowed: AllowList, carried: Carry | None, complete: Callable[[Any], None]
    ) -> None:
        self._allowed = allowed
        self._carried = carried
        self._complete = complete
        self._simple: dict[str, type | None] = {}
        self._checked: set[str] = {OBJECT}

    def read(self, value: Any, depth: int) -> Any:
        # Most of what is read is an instance of a class that needs nothing special.
        if type(value) is dict and depth <= MAX_DEPTH and type(name := value.get(OBJECT)) is str:
            if name not in self._simple:
                self._simple[name] = self._simple_class(name)
            cls = self._simple[name]
            if cls is not None and self._are_attributes(value):
                return self._make_simple(cls, value, depth)
        return super().read(value, depth)

    def _simple_class(self, name: str) -> type | None:
        cls: Any = None if name in CLOCKS else self._allowed.find(name)
        if cls is None or cls.__new__ is not object.__new__ or not has_settable_dict(cls):
            return None
        if self._allowed.is_translated(name):
            return None
        return cls if not issubclass(cls, (Enum, type)) and cls not in _STANDARD else None

    def _are_attributes(self, value: dict[str, Any]) -> bool:
        """Return True if every member but the tag is an attribute that can be set as it is."""
        if not value.keys() <= self._checked:
            names = value.keys() - self._checked
            if any(name[:3] == PREFIX or name[:2] == "__" for name in names):
                return False
            # Bounded: whoever stored it may make up names.
            if len(self._checked) < _MAX_NAMES:
                self._checked.update(names)
        return True

    def _make_simple(self, cls: type, value: dict[str, Any], depth: int) -> object:
        members = {**value}
        del members[OBJECT]
        for name, member in members.items():
            kind = type(member)
            if kind is dict or (kind is list and not SCALARS.issuperset(map(type, member))):
                members[name] = self.read(member, depth + 1)
        instance: Any = object.__new__(cls)
        instance.__dict__.update(members)
        self._complete(instance)
        return instance

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

    def make_positional(self, name: str, args: list[Any]) -> object:
        cls = self.make_class(name)
        fields = getattr(cls, "__struct_fields__", ())
        if fields and len(args) <= len(fields):
            return self.make_struct(name, dict(zip(fields, args, strict=False)))
        if not issubclass(cls, Enum) or len(args) != 1:
            raise StateDecodeError(f"it calls {shown(name)}; only enumerations are made that way.")
        if self._allowed.is_translated(name):
            return self._make_translated(name, cls, tuple(args), {})
        try:
            # An enumeration's own _missing_ may raise anything.
            return cls(args[0])
        except Exception:  # noqa: BLE001 - its text may hold the value
            raise StateDecodeError(f"{shown(name)} has no member of that value.") from None

    def make_named_member(self, enumeration: Any, member: Any) -> object:
        if isinstance(enumeration, type) and issubclass(enumeration, Enum):
            found = enumeration.__members__.get(member) if type(member) is str else None
            if found is not None:
                return found
        raise malformed(FUNCTION)

    def make_struct(self, name: str, members: Any) -> object:
        cls = self.make_class(name)
        if not hasattr(cls, "__struct_fields__") or type(members) is not dict:
            raise malformed(FUNCTION)
        known = {n: m for n, m in members.items() if n in cls.__struct_fields__}
        try:
            struct = new_struct(cls, known)
        except TypeError:
            raise StateDecodeError(f"{shown(name)} lacks a field that it needs.") from None
        if len(known) < len(members):
            self._carry(struct, {n: m for n, m in members.items() if n not in known})
        return struct

    def _carry(self, instance: Any, members: Mapping[str, Any]) -> None:
        """Pass the members that the class cannot store to ``carried``, or refuse them.

        :raises StateDecodeError: there is no ``carried``.
        """
        if self._carried is None:
            name = next(iter(members))
            raise StateDecodeError(
                f"{shown(name_of(type(instance)))} has no place for its attribute {shown(name)}."
            )
        self._carried(instance, members)

    def make_object(self, name: str, value: dict[str, Any], depth: int) -> object:
        cls = self.make_class(name)
        if cls is defaultdict:
            return self._default_dict(value, depth)
        is_translated = self._allowed.is_translated(name)
        if not is_translated and (cls in _STANDARD or issubclass(cls, (Enum, type))):
            raise malformed(name)
        members = {}
        for key, member in value.items():
            if key[:3] != PREFIX:
                kind = type(member)
                # Most of an activity's fifty attributes are None or text.
                if kind is dict or kind is list:
                    members[key] = self.read(member, depth + 1)
                else:
                    members[key] = member
        if is_translated:
            return self._translated(name, value, members, depth)
        instance = new(cls, *self._new_args(cls, value, depth))
        self._set_members(instance, members)
        if SEQ in value and not isinstance(instance, tuple):
            fill(instance, self.read_items(items_of(value, SEQ), depth + 1))
        if STATE in value:
            self._set_state(instance, self.read(value[STATE], depth + 1))
        self._complete(instance)
        return instance

    def _translated(
        self, name: str, value: dict[str, Any], members: dict[str, Any], depth: int
    ) -> object:
        """Return the object of the app's SDK for one that another SDK stored."""
        cls: Any = self.make_class(name)
        args, _ = self._new_args(cls, value, depth)
        if STATE in value:
            state = self.read(value[STATE], depth + 1)
            if type(state) is dict:  # of a pydantic model, its fields and what it keeps beside them
                members = {**members, **state.get("__dict__", {})}
                members.update(state.get("__pydantic_extra__") or {})
        return self._make_translated(name, cls, args, members)

    def _make_translated(
        self, name: str, cls: Any, args: tuple[Any, ...], members: dict[str, Any]
    ) -> object:
        translation = self._allowed.translation
        assert translation is not None, "it has found the class"
        try:
            return translation.make(cls, args, members)
        except Exception:  # noqa: BLE001 - what the SDK says of it may show the value
            reason = f"{shown(name)} of another SDK cannot be made as {shown(name_of(cls))}."
        # Outside of the handler: nothing that may show the value is chained.
        raise StateDecodeError(reason)

    def _set_state(self, instance: Any, state: Any) -> None:
        cls: Any = type(instance)
        fields = field_names(cls)
        if fields and type(state) is dict and not hasattr(instance, "__dict__"):
            more = {name: member for name, member in state.items() if name not in fields}
            if more:
                state = {name: member for name, member in state.items() if name in fields}
                self._carry(instance, more)
        if fields and type(state) is list and len(state) > len(fields):
            name = shown(name_of(cls))
            raise StateDecodeError(f"it holds more fields than {name} has, and not by name.")
        set_state(instance, state)

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

    def _set_members(self, instance: Any, members: dict[str, Any]) -> None:
        attributes = members
        if isinstance(instance, dict):
            attributes = members.pop("__dict__", {})
            if type(attributes) is not dict:
                raise malformed("__dict__")
            _set_items(instance, members)
        cls: Any = type(instance)
        if attributes and has_settable_dict(cls) and not any(map(_is_private, attributes)):
            instance.__dict__.update(attributes)
            return
        fields = () if hasattr(instance, "__dict__") else field_names(cls)
        for name, value in attributes.items():
            if fields and name not in fields:
                self._carry(instance, {name: value})
            else:
                set_attribute(instance, name, value)


def _set_items(instance: dict[Any, Any], members: dict[str, Any]) -> None:
    if isinstance(instance, defaultdict) and "default_factory" in members:
        factory = members.pop("default_factory")
        if factory not in FACTORIES.values():
            raise StateDecodeError("it holds a defaultdict whose factory is not known.")
        instance.default_factory = factory
    for key, value in members.items():
        set_item(instance, key, value)
