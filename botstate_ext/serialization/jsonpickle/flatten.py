"""Writes a value as JSON with jsonpickle's tags, for `restore` and for the SDK's own decoder."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, tzinfo
from enum import Enum
from functools import lru_cache, partial
from operator import methodcaller
from typing import Any, Final, TypeAlias
from uuid import UUID

from ...errors import StateEncodeError
from ..allow_list import AllowList, name_of
from .instances import ask, attributes_of, has_own_reduce, state_of
from .parts import find, path_of_cycle
from .standard import FACTORIES, REBUILD, REDUCED, ZONE_INFO, portable_zone, zone_key
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

Writer: TypeAlias = Callable[[Any, int], Any]
"""Writes an instance of one class, at this level of JSON."""

MembersToCarry: TypeAlias = Callable[[Any], Mapping[str, Any] | None]
"""Returns stored members of an object that its class does not know."""

_SCALARS: Final = frozenset((str, int, float, bool, type(None)))
_TEXT: Final = frozenset((str,))
_RESERVED_ITEMS: Final = frozenset(("__dict__", "default_factory"))
_MAX_NAMES: Final = 1024
_MOST_NAMED: Final = 50
_is_tag: Final = methodcaller("startswith", PREFIX)


def flatten(value: Any, allowed: AllowList) -> Any:
    """Return the value as JSON. Types that JSON does not have get jsonpickle's tags.

    :func:`restore`, and jsonpickle's own decoder, give an equal value of the same classes back.
    An object that is in the value twice is written twice, never as ``py/id``.

    :raises StateEncodeError: a class that is not allowed, a cycle, more than 200 levels.
    """
    return _flattener(allowed).flatten(value)


@lru_cache(maxsize=64)
def _flattener(allowed: AllowList) -> Flattener:
    return Flattener(allowed)


class Flattener:
    """Flattens values of the classes in an allow-list. Chooses the writer of each class once."""

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed
        self._writers: dict[type, Writer] = {}
        self._carried: MembersToCarry | None = None
        self.is_sure = True
        """False once it met a class that says itself how it is pickled, so that only reading its
        instances again tells if they come back equal."""

    def flatten(self, value: Any, carried: MembersToCarry | None = None) -> Any:
        """Return the value as JSON with tags. ``carried`` gives members to add to an object.

        :raises StateEncodeError: see `flatten`.
        """
        self._carried = carried
        try:
            return self._flatten(value, 1)
        except (RecursionError, _TooDeep):
            pass
        except _NotAllowed:
            raise self._not_allowed(value) from None
        finally:
            self._carried = None
        where = path_of_cycle(value)
        if where is not None:
            raise StateEncodeError(f"{where}: it holds itself: a cycle.")
        raise StateEncodeError("it is nested too deeply.")

    def _flatten(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _SCALARS:
            return value
        if depth > MAX_DEPTH:
            raise _TooDeep
        writer = self._writers.get(kind)
        if writer is None:
            writer = self._writers[kind] = self._writer(kind)
        return writer(value, depth)

    def _writer(self, kind: Any) -> Writer:
        """Return the function that writes instances of exactly this class."""
        writer = _STANDARD_WRITERS.get(kind)
        if writer is not None:
            return partial(writer, self)
        if issubclass(kind, tzinfo):
            return self._zone
        if issubclass(kind, type):
            return self._class
        if not self._allowed.allows(kind):
            raise _NotAllowed
        if issubclass(kind, Enum):
            return self._enum_member
        if hasattr(kind, "__struct_fields__"):
            return self._struct
        if is_simple(kind):
            return _simple_writer(self, kind)
        if is_model(kind):
            return self._model
        self.is_sure = False
        return self._instance

    # Builtins

    def _items(self, items: Any, depth: int) -> list[Any]:
        if _SCALARS.issuperset(map(type, items)):
            return [*items]
        flat = []
        for item in items:
            # A comprehension is one more frame a level.
            flat.append(self._flatten(item, depth + 1))  # noqa: PERF401 - see above
        return flat

    def _sorted(self, items: Any, depth: int) -> list[Any]:
        # The order of a set differs between processes; a change must not show where there is none.
        return sorted(self._items(items, depth), key=json.dumps)

    def _tuple(self, value: Any, depth: int) -> Any:
        return {TUPLE: self._items(value, depth + 1)}

    def _set(self, value: Any, depth: int) -> Any:
        return {SET: self._sorted(value, depth + 1)}

    def _frozenset(self, value: Any, depth: int) -> Any:
        head = {TYPE: "builtins.frozenset"}
        return {REDUCE: [head, {TUPLE: [self._sorted(value, depth + 4)]}]}

    def _dict(self, members: Any, depth: int) -> dict[str, Any]:
        if not _TEXT.issuperset(map(type, members)) or any(map(_is_tag, members)):
            return self._pairs(members, depth)
        flat = self._members(members, depth)
        return flat if self._carried is None else self._carry(members, flat)

    def _members(self, members: dict[str, Any], depth: int) -> dict[str, Any]:
        if _SCALARS.issuperset(map(type, members.values())):
            return members
        flat = {}
        for name, member in members.items():
            flat[name] = member if type(member) in _SCALARS else self._flatten(member, depth + 1)
        return flat

    def _pairs(self, members: Any, depth: int) -> dict[str, Any]:
        """Write a dictionary as pairs: its keys are not all text, or one looks like a tag."""
        pairs = self._flatten(tuple(members.items()), depth + 2)
        return {REDUCE: [{TYPE: "builtins.dict"}, {TUPLE: []}, None, None, pairs]}

    def _bytes(self, value: Any, depth: int) -> Any:
        return {B64: base64.b64encode(value).decode("ascii")}

    def _uuid(self, value: Any, depth: int) -> Any:
        return {OBJECT: "uuid.UUID", "hex": value.hex}

    def _complex(self, value: Any, depth: int) -> Any:
        return {OBJECT: "builtins.complex", NEWARGS: {TUPLE: [value.real, value.imag]}}

    def _reduced(self, value: Any, depth: int) -> Any:
        kind = type(value)
        _, args, state, items, pairs = (*value.__reduce__(), None, None, None)[:5]
        if state:
            raise StateEncodeError(f"a {name_of(kind)} in it has attributes of its own.")
        parts: list[Any] = [{TYPE: name_of(kind)}, self._flatten(args, depth + 2)]
        if items is not None:
            parts += [None, self._flatten(tuple(items), depth + 2)]
        if pairs is not None:
            parts += [None, None, self._flatten(tuple(pairs), depth + 2)]
        return {REDUCE: parts}

    def _clock(self, value: Any, depth: int) -> Any:
        kind = type(value)
        # Protocol 4 is the first that keeps ``fold``; every reader of the older ones takes it.
        _, (payload, *zones) = value.__reduce_ex__(4)
        moment = value if kind is datetime else None
        parts: list[Any] = [base64.b64encode(payload).decode("ascii")]
        parts += [self._flatten(portable_zone(zone, moment), depth + 3) for zone in zones]
        return {OBJECT: name_of(kind), "__reduce__": [{TYPE: name_of(kind)}, parts]}

    def _zone(self, value: Any, depth: int) -> Any:
        value = portable_zone(value, None)
        if type(value).__module__ == "datetime":
            return self._flatten(value, depth)
        return {REDUCE: [{FUNCTION: ZONE_INFO}, {TUPLE: [zone_key(value), 1]}]}

    # Classes

    def _class(self, value: Any, depth: int) -> Any:
        if not self._allowed.allows(value):
            raise _NotAllowed
        return {TYPE: name_of(value)}

    def _enum_member(self, value: Any, depth: int) -> Any:
        args = self._flatten((value._value_,), depth + 2)
        return {REDUCE: [{TYPE: name_of(type(value))}, args]}

    def _struct(self, value: Any, depth: int) -> Any:
        kind = type(value)
        members = {name: getattr(value, name) for name in kind.__struct_fields__}
        flat = self._carry(value, self._members(members, depth + 3))
        if getattr(value, "__dict__", None):
            raise StateEncodeError(f"a {name_of(kind)} in it has attributes that are no fields.")
        return {REDUCE: [{FUNCTION: REBUILD}, {TUPLE: [{TYPE: name_of(kind)}, flat]}]}

    def _model(self, value: Any, depth: int) -> Any:
        """Write a pydantic model from the state that its ``__getstate__`` returns."""
        state = value.__getstate__()
        flat = {**self._members(state, depth + 1)}
        own = flat["__dict__"] = self._carry(value, flat["__dict__"])
        if REDUCE in own:
            raise StateEncodeError(f"an attribute in it begins with {PREFIX!r}. Rename it.")
        return {OBJECT: name_of(type(value)), STATE: flat}

    def _carry(self, value: Any, flat: dict[str, Any]) -> dict[str, Any]:
        """Return the members of an object, with the members that are carried for it."""
        carried = None if self._carried is None else self._carried(value)
        return {**flat, **{n: m for n, m in (carried or {}).items() if n not in flat}}

    def _instance(self, value: Any, depth: int) -> Any:
        kind: Any = type(value)
        name = name_of(kind)
        if has_own_reduce(kind):
            raise StateEncodeError(
                f"{name} says with __reduce__ how it is pickled, which is not called. Give it "
                "__getstate__ and __setstate__."
            )
        flat: dict[str, Any] = {OBJECT: name}
        # A named tuple has its items in py/seq; jsonpickle writes them twice, and reads either.
        is_named = isinstance(value, tuple) and hasattr(kind, "_fields")
        if hasattr(kind, "__getnewargs_ex__"):
            args, kwargs = ask(value, "__getnewargs_ex__")
            flat[NEWARGSEX] = [self._flatten(args, depth + 2), self._flatten(kwargs, depth + 2)]
        elif hasattr(kind, "__getnewargs__") and not is_named:
            flat[NEWARGS] = self._flatten(ask(value, "__getnewargs__"), depth + 1)
        state = state_of(value)
        if state is not None:
            flat[STATE] = self._flatten(state, depth + 1)
            if type(state) is dict and type(flat[STATE]) is dict:
                flat[STATE] = self._carry(value, flat[STATE])
        elif isinstance(value, dict):
            flat.update(self._dictionary(value, depth))
        else:
            flat.update(self._members(_checked(attributes_of(value)), depth))
            flat = self._carry(value, flat)
            if isinstance(value, list) or is_named:
                flat[SEQ] = self._items(value, depth + 1)
            elif isinstance(value, set):
                flat[SEQ] = self._sorted(value, depth + 1)
        return flat

    def _dictionary(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        """Return the items and attributes of an instance of a subclass of dict."""
        members = {_key(name): member for name, member in value.items()}
        if len(members) < len(value):
            raise StateEncodeError("two keys of a dictionary in it are the same text in JSON.")
        flat = {**self._members(members, depth)}
        if not _RESERVED_ITEMS.isdisjoint(flat):
            raise StateEncodeError(f"a key of a {name_of(type(value))} in it is jsonpickle's own.")
        if isinstance(value, defaultdict) and value.default_factory is not None:
            flat["default_factory"] = {TYPE: _factory_name(value.default_factory)}
        own = attributes_of(value)
        if own:
            flat["__dict__"] = {**self._members(_checked(own), depth + 1)}
        return flat

    def _defaultdict(self, value: Any, depth: int) -> Any:
        if not _TEXT.issuperset(map(type, value)):
            self.is_sure = False
        return self._instance(value, depth)

    def _not_allowed(self, value: Any) -> StateEncodeError:
        """Return the error that names the classes of a value that are not allowed."""
        missing: dict[type, str] = {}
        for path, part in find(value, self._is_missing):
            cls = part if isinstance(part, type) else type(part)
            # At once: what such a part leads to, as a module does, may be the whole program.
            if cls.__module__ == "builtins":
                return StateEncodeError(
                    f"{path}: it holds a {cls.__name__}, which cannot be stored."
                )
            missing.setdefault(cls, path)
            if len(missing) == _MOST_NAMED:
                break
        names = ", ".join(f"{name_of(cls)} at {path}" for cls, path in missing.items())
        advice = f"pass types=[{', '.join(cls.__name__ for cls in missing)}] to StateScopes"
        if "$" in missing.values():
            cls = next(cls for cls, path in missing.items() if path == "$")
            advice += f", or declare create_property(name, {cls.__name__})"
        verb = "is" if len(missing) == 1 else "are"
        return StateEncodeError(f"{names}, which {verb} not allowed: {advice}.")

    def _is_missing(self, part: Any) -> bool:
        kind = type(part)
        if kind in _SCALARS or kind in _STANDARD_WRITERS or isinstance(part, tzinfo):
            return False
        return not self._allowed.allows(part if isinstance(part, type) else kind)


def _simple_writer(flattener: Flattener, kind: type) -> Writer:
    """Return the writer of a class that keeps all its state in ``__dict__``."""
    tag = name_of(kind)
    checked: set[str] = set()

    def write(value: Any, depth: int) -> dict[str, Any]:
        own = value.__dict__
        if not own.keys() <= checked:
            own = _checked(attributes_of(value))
            # Bounded: an app may make up names.
            if len(checked) < _MAX_NAMES:
                checked.update(own)
        flat = {OBJECT: tag, **own}
        for name, member in own.items():
            member_kind = type(member)
            if member_kind in _SCALARS:
                continue
            # Asked here, because a call for each list would cost more than the list.
            if member_kind is not list or not _SCALARS.issuperset(map(type, member)):
                flat[name] = flattener._flatten(member, depth + 1)
        return flat if flattener._carried is None else flattener._carry(value, flat)

    return write


@lru_cache(maxsize=1024)
def is_simple(kind: Any) -> bool:
    """Return True if instances keep all their state in ``__dict__``.

    Then no code of the app is called when an instance is written or read.
    """
    if kind.__new__ is not object.__new__ or has_own_reduce(kind) or not kind.__dictoffset__:
        return False
    state = getattr(kind, "__getstate__", None)
    if state is not getattr(object, "__getstate__", None):
        return False
    if any(hasattr(kind, name) for name in ("__setstate__", "__getnewargs__", "__getnewargs_ex__")):
        return False
    members = [(n, m) for base in kind.__mro__[:-1] for n, m in vars(base).items()]
    if any(name == "__slots__" and member for name, member in members):
        return False
    own = (member for name, member in members if name not in ("__dict__", "__weakref__"))
    return not any(hasattr(type(member), "__set__") for member in own)


@lru_cache(maxsize=1024)
def is_model(kind: Any) -> bool:
    """Return True for a pydantic model with pydantic's own pickling methods."""
    get, put = getattr(kind, "__getstate__", None), getattr(kind, "__setstate__", None)
    modules = {getattr(method, "__module__", None) for method in (get, put)}
    if modules != {"pydantic.main"} or kind.__reduce__ is not object.__reduce__:
        return False
    return not any(hasattr(kind, name) for name in ("__getnewargs__", "__getnewargs_ex__"))


def _key(key: Any) -> str:
    if not isinstance(key, str):
        kind = name_of(type(key))
        raise StateEncodeError(
            f"a dictionary in it has a key that is a {kind}; JSON has text only."
        )
    text = str.__str__(key)
    if _is_tag(text):
        raise StateEncodeError(
            f'a key of a dictionary in it begins with "{PREFIX}", which would make its data look '
            "like an object. Rename it, or store the data as text."
        )
    return text


def _factory_name(factory: Any) -> str:
    for name, cls in FACTORIES.items():
        if factory is cls:
            return name
    raise StateEncodeError(
        "a defaultdict in it has a factory that cannot be stored; these can: "
        f"{', '.join(cls.__name__ for cls in FACTORIES.values())}."
    )


def _checked(attributes: dict[str, Any]) -> dict[str, Any]:
    for name in attributes:
        if name[:2] == "__" and name[-2:] == "__":
            raise StateEncodeError(f"an object in it has an attribute {name!r} of its own.")
        if _is_tag(name):
            raise StateEncodeError(
                f'an attribute in it begins with "{PREFIX}", which would make its data look like '
                "an object. Rename it."
            )
    return attributes


class _TooDeep(Exception):
    """Raised for a value with more than MAX_DEPTH levels."""


class _NotAllowed(Exception):
    """Raised for a value that holds a class that is not allowed."""


_STANDARD_WRITERS: Final[Mapping[type, Callable[[Flattener, Any, int], Any]]] = {
    **dict.fromkeys(REDUCED.values(), Flattener._reduced),
    dict: Flattener._dict,
    list: Flattener._items,
    tuple: Flattener._tuple,
    set: Flattener._set,
    frozenset: Flattener._frozenset,
    bytes: Flattener._bytes,
    datetime: Flattener._clock,
    date: Flattener._clock,
    time: Flattener._clock,
    UUID: Flattener._uuid,
    complex: Flattener._complex,
    defaultdict: Flattener._defaultdict,
}
