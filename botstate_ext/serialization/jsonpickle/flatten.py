"""flatten: a value as JSON with jsonpickle's tags, for restore and for upstream's own decoder."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, time, tzinfo
from enum import Enum
from typing import Any, Final
from uuid import UUID

from ...errors import StateEncodeError
from ..allow_list import AllowList, name_of
from .instances import ask, attributes_of, has_own_reduce, state_of
from .standard import FACTORIES, REDUCED, ZONE_INFO, portable_zone, zone_key
from .tags import (
    B64,
    FUNCTION,
    MAX_DEPTH,
    NEWARGS,
    NEWARGSEX,
    OBJECT,
    PREFIX,
    REDUCE,
    SEQ,
    SET,
    STATE,
    TUPLE,
    TYPE,
)

_SCALARS: Final = frozenset((str, int, float, bool, type(None)))
_NUMBERS: Final = frozenset((int, float, bool))
_REDUCED: Final = frozenset(REDUCED.values())
_RESERVED_ITEMS: Final = frozenset(("__dict__", "default_factory"))


def flatten(value: Any, allowed: AllowList) -> Any:
    """The value as JSON; what JSON has no form for gets jsonpickle's tags.

    :func:`restore`, and jsonpickle's own decoder, give an equal value of the same classes back.
    What is shared is written twice, never as ``py/id``. Keys of dictionaries that are int, float,
    bool or None become text, as upstream writes them ("1", "True", "null").

    :raises StateEncodeError: a class that is not allowed, a cycle, more than 200 levels, a
        dictionary's key that is of another type or begins like a tag ("py/").
    """
    try:
        return _Flattener(allowed).flatten(value, 1)
    except RecursionError:
        raise _too_deep() from None


class _Flattener:
    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed
        self._open: set[int] = set()

    def flatten(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _SCALARS:
            return value
        if depth > MAX_DEPTH:
            raise _too_deep()
        if id(value) in self._open:
            raise StateEncodeError(f"a {name_of(kind)} in it holds itself: a cycle.")
        self._open.add(id(value))
        flat: Any
        if kind is dict:
            flat = self._members(value, depth)
        elif kind is list:
            flat = self._items(value, depth)
        elif kind is tuple:
            flat = {TUPLE: self._items(value, depth + 1)}
        elif kind is set:
            flat = {SET: self._sorted(value, depth + 1)}
        else:
            flat = self._special(value, kind, depth)
        self._open.discard(id(value))
        return flat

    def _items(self, items: Any, depth: int) -> list[Any]:
        flat = []
        for item in items:
            # A comprehension is one more frame a level.
            flat.append(self.flatten(item, depth + 1))  # noqa: PERF401 - see above
        return flat

    def _sorted(self, items: Any, depth: int) -> list[Any]:
        # The order of a set differs between processes; a change must not show where there is none.
        return sorted(self._items(items, depth), key=json.dumps)

    def _members(self, members: Any, depth: int) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for name, member in members.items():
            key = name if type(name) is str else _key(name)
            if key[:3] == PREFIX:
                raise StateEncodeError(
                    f'a key of a dictionary or an attribute in it begins with "{PREFIX}", which '
                    "would make its data look like an object. Rename it, or store the data as text."
                )
            if key in flat:
                raise StateEncodeError("two keys of a dictionary in it are the same text in JSON.")
            if type(member) in _SCALARS:
                flat[key] = member
            else:
                flat[key] = self.flatten(member, depth + 1)
        return flat

    def _special(self, value: Any, kind: type, depth: int) -> Any:
        if kind is bytes:
            return {B64: base64.b64encode(value).decode("ascii")}
        if kind in _REDUCED:
            return self._reduced(value, kind, depth)
        if kind is datetime or kind is date or kind is time:
            return self._clock(value, kind, depth)
        if kind is UUID:
            return {OBJECT: "uuid.UUID", "hex": value.hex}
        if kind is complex:
            return {OBJECT: "builtins.complex", NEWARGS: {TUPLE: [value.real, value.imag]}}
        if isinstance(value, tzinfo):
            return {REDUCE: [{FUNCTION: ZONE_INFO}, {TUPLE: [zone_key(value), 1]}]}
        if not self._allowed.allows(value if isinstance(value, type) else kind):
            raise _not_allowed(value)
        if isinstance(value, type):
            return {TYPE: name_of(value)}
        if isinstance(value, Enum):
            args = self.flatten((value._value_,), depth + 2)
            return {REDUCE: [{TYPE: name_of(kind)}, args]}
        return self._instance(value, kind, depth)

    def _reduced(self, value: Any, kind: type, depth: int) -> Any:
        _, args, state, items, pairs = (*value.__reduce__(), None, None, None)[:5]
        if state:
            raise StateEncodeError(f"a {name_of(kind)} in it has attributes of its own.")
        head = {TYPE: name_of(kind)}
        if kind is frozenset:
            return {REDUCE: [head, {TUPLE: [self._sorted(value, depth + 4)]}]}
        parts: list[Any] = [head, self.flatten(args, depth + 2)]
        if items is not None:
            parts += [None, self.flatten(tuple(items), depth + 2)]
        if pairs is not None:
            parts += [None, None, self.flatten(tuple(pairs), depth + 2)]
        return {REDUCE: parts}

    def _clock(self, value: Any, kind: type, depth: int) -> Any:
        # Protocol 4 is the first that keeps ``fold``; every reader of the older ones takes it.
        _, (payload, *zones) = value.__reduce_ex__(4)
        moment = value if kind is datetime else None
        parts: list[Any] = [base64.b64encode(payload).decode("ascii")]
        parts += [self.flatten(portable_zone(zone, moment), depth + 3) for zone in zones]
        return {OBJECT: name_of(kind), "__reduce__": [{TYPE: name_of(kind)}, parts]}

    def _instance(self, value: Any, kind: type, depth: int) -> Any:
        name = name_of(kind)
        if has_own_reduce(kind):
            raise StateEncodeError(
                f"{name} says with __reduce__ how it is pickled, which is not called. Give it "
                f"__getstate__ and __setstate__, or declare create_property(name, {kind.__name__})."
            )
        flat: dict[str, Any] = {OBJECT: name}
        # A named tuple has its items in py/seq; jsonpickle writes them twice, and reads either.
        is_named = isinstance(value, tuple) and hasattr(kind, "_fields")
        if hasattr(kind, "__getnewargs_ex__"):
            args, kwargs = ask(value, "__getnewargs_ex__")
            flat[NEWARGSEX] = [self.flatten(args, depth + 2), self.flatten(kwargs, depth + 2)]
        elif hasattr(kind, "__getnewargs__") and not is_named:
            flat[NEWARGS] = self.flatten(ask(value, "__getnewargs__"), depth + 1)
        state = state_of(value)
        if state is not None:
            flat[STATE] = self.flatten(state, depth + 1)
        elif isinstance(value, dict):
            flat.update(self._dictionary(value, depth))
        else:
            flat.update(self._members(_checked(attributes_of(value)), depth))
            if isinstance(value, list) or is_named:
                flat[SEQ] = self._items(value, depth + 1)
            elif isinstance(value, set):
                flat[SEQ] = self._sorted(value, depth + 1)
        return flat

    def _dictionary(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        flat = self._members(value, depth)
        if not _RESERVED_ITEMS.isdisjoint(flat):
            raise StateEncodeError(f"a key of a {name_of(type(value))} in it is jsonpickle's own.")
        if isinstance(value, defaultdict) and value.default_factory is not None:
            flat["default_factory"] = {TYPE: _factory_name(value.default_factory)}
        own = attributes_of(value)
        if own:
            flat["__dict__"] = self._members(_checked(own), depth + 1)
        return flat


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    if type(key) in _NUMBERS:
        return repr(key)
    if key is None:
        return "null"
    raise StateEncodeError(
        f"a dictionary in it has a key that is a {name_of(type(key))}; JSON has text only."
    )


def _factory_name(factory: Any) -> str:
    for name, cls in FACTORIES.items():
        if factory is cls:
            return name
    raise StateEncodeError(
        "a defaultdict in it has a factory that cannot be stored; these can: "
        f"{', '.join(cls.__name__ for cls in FACTORIES.values())}."
    )


def _checked(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in attributes:
        if name[:2] == "__" and name[-2:] == "__":
            raise StateEncodeError(f"an object in it has an attribute {name!r} of its own.")
    return attributes


def _too_deep() -> StateEncodeError:
    return StateEncodeError("it is nested too deeply.")


def _not_allowed(value: Any) -> StateEncodeError:
    cls = value if isinstance(value, type) else type(value)
    if cls.__module__ == "builtins":
        return StateEncodeError(f"it holds a {cls.__name__}, which cannot be stored.")
    short = cls.__name__
    return StateEncodeError(
        f"it holds a {name_of(cls)}, which is not allowed: pass types=[{short}] to StateScopes, "
        f"or declare create_property(name, {short})."
    )
