"""Reader: the grammar of tagged JSON. Its subclasses decide what a class's name stands for.

Standard types are built here, in the same way for both subclasses: :class:`~.restore.Restorer`
makes objects of the app's and the SDK's classes, :class:`~.plain.Plainer` makes dictionaries.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final

from ...errors import StateDecodeError
from .standard import (
    REBUILD,
    REDUCED,
    ZONE_FUNCTIONS,
    ZONE_TYPES,
    build_clock,
    build_reduced,
    build_zone,
)
from .tags import (
    B64,
    B85,
    CLOCKS,
    FUNCTION,
    MAX_DEPTH,
    NEWARGS,
    OBJECT,
    REDUCE,
    SCALARS,
    SET,
    TUPLE,
    TYPE,
    bytes_of,
    items_of,
    malformed,
    shown,
    tag_of,
    text_of,
    too_deep,
)

GETATTR: Final = "builtins.getattr"
"""How Python 3.11.0 to 3.11.3 pickled a member of an enumeration: by its name."""


class Reader(ABC):
    @abstractmethod
    def make_tuple(self, items: list[Any]) -> object:
        """Return a tuple of these values."""

    @abstractmethod
    def make_set(self, items: list[Any], kind: type[set[Any]] | type[frozenset[Any]]) -> object:
        """Return a set of these values."""

    @abstractmethod
    def make_class(self, name: str) -> object:
        """Return the class itself, as a value."""

    @abstractmethod
    def make_named_member(self, enumeration: Any, member: Any) -> object:
        """Return the enumeration's member with this name."""

    @abstractmethod
    def make_struct(self, name: str, members: Any) -> object:
        """Return an instance of the Struct with this name, made of its fields."""

    @abstractmethod
    def make_positional(self, name: str, args: list[Any]) -> object:
        """Return an instance of the enumeration or Struct with this name, from these arguments."""

    @abstractmethod
    def make_object(self, name: str, value: dict[str, Any], depth: int) -> object:
        """Return an instance of the class with this name."""

    def read(self, value: Any, depth: int) -> Any:
        """Return the value at this level of JSON. The outermost level is 1.

        :raises StateDecodeError: the value is deeper than MAX_DEPTH, or jsonpickle does not write
            it so.
        """
        kind = type(value)
        if kind is not dict and kind is not list:
            return value
        if depth > MAX_DEPTH:
            raise too_deep()
        if kind is list:
            return self.read_items(value, depth)
        tag = tag_of(value)
        form = _FORMS.get(tag)
        if form is None:
            raise StateDecodeError(f"it holds {shown(str(tag))}, which is not data.")
        return form(self, value, depth)

    # Loops, not comprehensions, which would be one more frame for each of MAX_DEPTH levels.

    def read_items(self, items: list[Any], depth: int) -> list[Any]:
        if SCALARS.issuperset(map(type, items)):
            return [*items]
        result = []
        for item in items:
            result.append(self.read(item, depth + 1))  # noqa: PERF401 - see above
        return result

    def read_tuple(self, value: Any, depth: int) -> list[Any]:
        """Return the items of a ``{"py/tuple": [...]}``.

        :raises StateDecodeError: the value is anything else.
        """
        if type(value) is not dict or tag_of(value) != TUPLE:
            raise malformed(TUPLE)
        return self.read_items(items_of(value, TUPLE), depth + 1)

    def _dictionary(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        result = {}
        for key, member in value.items():
            result[key] = self.read(member, depth + 1)
        return result

    def _tuple(self, value: dict[str, Any], depth: int) -> object:
        return self.make_tuple(self.read_tuple(value, depth))

    def _set(self, value: dict[str, Any], depth: int) -> object:
        return self.make_set(self.read_items(items_of(value, SET), depth + 1), set)

    def _class(self, value: dict[str, Any], depth: int) -> object:
        return self.make_class(text_of(value, TYPE))

    def _bytes(self, value: dict[str, Any], depth: int) -> bytes:
        return bytes_of(value, B64 if B64 in value else B85)

    def _object(self, value: dict[str, Any], depth: int) -> object:
        name = text_of(value, OBJECT)
        if name in CLOCKS:
            return self._clock(name, value, depth)
        if name == "uuid.UUID":
            return _uuid(value)
        if name == "builtins.complex":
            parts = self.read_tuple(value.get(NEWARGS), depth + 1)
            if len(value) == 2 and [*map(type, parts)] == [float, float]:
                return complex(*parts)
            raise malformed(name)
        return self.make_object(name, value, depth)

    def _clock(self, name: str, value: dict[str, Any], depth: int) -> object:
        match value.get("__reduce__"):
            case [{"py/type": same}, [payload, *zones]]:
                if same == name and len(value) == 2 and len(zones) <= 1:
                    zone = self.read(zones[0], depth + 3) if zones else None
                    return build_clock(name, payload, zone)
        raise malformed(name)

    def _reduced(self, value: dict[str, Any], depth: int) -> object:
        parts = items_of(value, REDUCE)
        tag, name = _head(parts)
        args = self._args(name, parts[1], depth + 2)
        state, items, pairs = (*self.read_items(parts[2:5], depth + 1), None, None, None)[:3]
        if name in (ZONE_TYPES if tag == TYPE else ZONE_FUNCTIONS):
            return build_zone(name, args, state)
        if state is not None or not _are_items(items) or not _are_items(pairs):
            raise malformed(REDUCE)
        if tag == FUNCTION:
            if name == GETATTR and len(args) == 2:
                return self.make_named_member(*args)
            if name == REBUILD:
                return self.make_struct(_struct_name(parts), args[-1])
            raise StateDecodeError(f"it calls {shown(name)}, which is not data.")
        if name == "builtins.dict" and (args or items):
            raise malformed(REDUCE)
        if name == "builtins.frozenset" and [*map(type, args)] == [list]:
            return self.make_set(args[0], frozenset)
        if name in REDUCED:
            return build_reduced(name, args, items or (), pairs or ())
        if items or pairs:
            raise malformed(REDUCE)
        return self.make_positional(name, args)

    def _args(self, name: str, value: Any, depth: int) -> list[Any]:
        if name == REBUILD:
            # The class is the first: its name is looked at, and nothing is made of it.
            match value:
                case {"py/tuple": [{"py/type": str()}, dict() as members]} if len(value) == 1:
                    return [self.read(members, depth + 2)]
            raise malformed(REDUCE)
        return self.read_tuple(value, depth)


def _struct_name(parts: list[Any]) -> str:
    return str(parts[1][TUPLE][0][TYPE])


def _are_items(items: Any) -> bool:
    return items is None or type(items) in (tuple, list)


_FORMS: Final[Mapping[str | None, Callable[[Any, dict[str, Any], int], Any]]] = {
    None: Reader._dictionary,
    OBJECT: Reader._object,
    REDUCE: Reader._reduced,
    TUPLE: Reader._tuple,
    SET: Reader._set,
    TYPE: Reader._class,
    B64: Reader._bytes,
    B85: Reader._bytes,
}


def _head(parts: list[Any]) -> tuple[str, str]:
    match parts:
        case [{"py/type": str(name)}, _, *_] if len(parts[0]) == 1:
            return TYPE, name
        case [{"py/function": str(name)}, _, *_] if len(parts[0]) == 1:
            return FUNCTION, name
    raise malformed(REDUCE)


def _uuid(value: dict[str, Any]) -> uuid.UUID:
    digits = value.get("hex")
    if len(value) != 2 or type(digits) is not str:
        raise malformed("uuid.UUID")
    try:
        return uuid.UUID(hex=digits)
    except ValueError:
        raise malformed("uuid.UUID") from None
