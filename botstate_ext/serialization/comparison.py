"""Compare two values strictly: classes, zones, attributes and order, at every level. Pure.

``==`` is not enough: 1 equals True, a tuple's subclass equals the tuple, two datetimes in different
zones are equal, and a class may say what it likes. A comparer is made once for each class; a path
is built only after a difference was found.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import UUID

from .allow_list import STANDARD_TYPES
from .jsonpickle.parts import all_attributes, parts_of
from .jsonpickle.standard import portable_zone

Comparer: TypeAlias = Callable[[Any, Any], bool]

_ATOMS: Final = frozenset((str, int, bool, bytes, type(None), date, timedelta, UUID))
"""Classes with which ``==`` between two instances of exactly the class is strict."""


def same(one: Any, other: Any) -> bool:
    """Return True if both values have the same classes, content and attributes at every level."""
    kind: Any = type(one)
    if type(other) is not kind:
        return isinstance(one, tzinfo) and repr(portable_zone(one, None)) == repr(other)
    if one is other:
        return True
    if kind in _ATOMS:
        return bool(one == other)
    return _comparers[kind](one, other)


def difference(one: Any, other: Any) -> str | None:
    """Return the path of the first difference and its kind, without showing a value: "$.items[3]: a
    tuple would come back as a list". None if there is none.

    Keys of dictionaries are stored data, so a path shows them as "[...]".
    """
    try:
        return None if same(one, other) else _explain(one, other, "$")
    except RecursionError:
        return "$: it is nested too deeply"


def with_article(cls: type) -> str:
    """Return the name of a class with its article, for a message."""
    name = cls.__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


class _Comparers(dict[type, Comparer]):
    """By its class, the function that compares two instances of exactly that class."""

    def __missing__(self, kind: type) -> Comparer:
        compare = self[kind] = _comparer(kind)
        return compare


_comparers: Final = _Comparers()


def _comparer(kind: type) -> Comparer:
    if issubclass(kind, Enum):
        return _same_by_equality
    content = next((compare for base, compare in _CONTENT if issubclass(kind, base)), None)
    if content is None:
        if _has_hidden_parts(kind):
            return _same_by_equality
        return _same_dicts if _is_all_in_dict(kind) else _same_attributes
    if kind in _STANDARD:
        return content
    return lambda one, other: content(one, other) and _same_attributes(one, other)


def _same_by_equality(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - an app's __eq__ may raise anything, which is no equality
        return False


def _same_items(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(map(same, one, other))


def _same_deque(one: Any, other: Any) -> bool:
    return one.maxlen == other.maxlen and _same_items(one, other)


def _same_members(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    # In the same order, which JSON keeps.
    return (
        len(one) == len(other)
        and all(map(same, dict.keys(one), dict.keys(other)))
        and all(map(same, dict.values(one), dict.values(other)))
    )


def _same_defaultdict(one: Any, other: Any) -> bool:
    return one.default_factory is other.default_factory and _same_members(one, other)


def _same_set(one: Any, other: Any) -> bool:
    if len(one) != len(other):
        return False
    left = [*other]
    if _ATOMS.issuperset(map(type, one)):
        return {(type(item), item) for item in one} == {(type(item), item) for item in left}
    for item in one:
        found = next((i for i, candidate in enumerate(left) if same(item, candidate)), None)
        if found is None:
            return False
        del left[found]
    return True


def _same_float(one: float, other: float) -> bool:
    # Minus zero is another value than zero, and NaN is itself.
    return one == other != 0.0 or float.hex(one) == float.hex(other)


def _same_moment(one: Any, other: Any) -> bool:
    return (
        one.fold == other.fold
        and bool(one.replace(tzinfo=None) == other.replace(tzinfo=None))
        and same(one.tzinfo, other.tzinfo)
    )


def _same_zone(one: tzinfo, other: tzinfo) -> bool:
    return repr(one) == repr(other) and getattr(one, "key", None) == getattr(other, "key", None)


def _same_decimal(one: Decimal, other: Decimal) -> bool:
    return one.as_tuple() == other.as_tuple()


def _same_base(base: Any, one: Any, other: Any) -> bool:
    """Compare as the builtin class does, not as its subclass says."""
    return bool(base.__eq__(one, other))


_CONTENT: Final[tuple[tuple[type, Comparer], ...]] = (
    (defaultdict, _same_defaultdict),
    (dict, _same_members),
    (deque, _same_deque),
    (list, _same_items),
    (tuple, _same_items),
    (set, _same_set),
    (frozenset, _same_set),
    (datetime, _same_moment),
    (time, _same_moment),
    (date, partial(_same_base, date)),
    (timedelta, partial(_same_base, timedelta)),
    (tzinfo, _same_zone),
    (Decimal, _same_decimal),
    (float, _same_float),
    (complex, lambda one, other: repr(complex(one)) == repr(complex(other))),
    (str, partial(_same_base, str)),
    (int, partial(_same_base, int)),
    (bytes, partial(_same_base, bytes)),
    (type, lambda one, other: one is other),
)
_STANDARD: Final = frozenset(STANDARD_TYPES.values())


def _same_dicts(one: Any, other: Any) -> bool:
    return _same_by_name(one.__dict__, other.__dict__)


def _same_attributes(one: Any, other: Any) -> bool:
    return _same_by_name(all_attributes(one), all_attributes(other))


def _same_by_name(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one.keys() != other.keys():
        return "__orig_class__" in one and _same_by_name(_plain(one), _plain(other))
    return all(map(same, one.values(), map(other.__getitem__, one)))


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    # What typing notes on an instance of a generic class is not state.
    return {name: value for name, value in attributes.items() if name != "__orig_class__"}


def _is_all_in_dict(kind: Any) -> bool:
    """Return True if the ``__dict__`` of an instance holds all of it."""
    if hasattr(kind, "__struct_fields__") or hasattr(kind, "__pydantic_validator__"):
        return False
    slots = (base.__dict__.get("__slots__", ()) for base in kind.__mro__)
    return bool(kind.__dictoffset__) and not any(slots)


def _has_hidden_parts(kind: Any) -> bool:
    """Return True if the class is made in C and only its ``__eq__`` compares its content."""
    if hasattr(kind, "__struct_fields__") or kind.__eq__ is object.__eq__:
        return False
    return kind.__new__ is not object.__new__ and not hasattr(kind.__new__, "__code__")


def _explain(one: Any, other: Any, path: str) -> str:
    if type(one) is not type(other):
        return f"{path}: {with_article(type(one))} would come back as {with_article(type(other))}"
    mine, theirs = [*parts_of(one)], [*parts_of(other)]
    names, other_names = [label for label, _ in mine], [label for label, _ in theirs]
    for label in names:
        if label not in other_names:
            return f"{path}{label} would be lost"
    for label in other_names:
        if label not in names:
            return f"{path}{label} would be added"
    if len(mine) != len(theirs):
        return f"{path}: {len(mine)} members would come back as {len(theirs)}"
    by_name = dict(theirs) if "[...]" not in names else None
    for index, (label, part) in enumerate(mine):
        match = theirs[index][1] if by_name is None else by_name[label]
        if not same(part, match):
            return _explain(part, match, path + label)
    return f"{path}: {with_article(type(one))} would come back with another value"
