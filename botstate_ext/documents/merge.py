"""Three-way merge of one property. Pure.

*base* is the value that this unit of work loaded, *mine* the value that it wants to store, *theirs*
the value that is stored now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, get_args

from ..serialization import json_text
from ..serialization.jsonpickle.tags import OBJECT, PREFIX

MergeFunction: TypeAlias = Callable[[Any, Any, Any], Any]
"""``(base, mine, theirs) -> merged``, on values of the property; None stands for absent."""

Merge: TypeAlias = Literal["fields", "append"] | MergeFunction
OnConflict: TypeAlias = Literal["merge", "raise", "last_writer_wins", "replay"]
ON_CONFLICT: Final[tuple[str, ...]] = get_args(OnConflict)

_ABSENT: Any = object()

_COMPARED_LEVELS: Final = 8
"""The levels of objects at which two whole parts are compared before they are walked."""


class Unmergeable(Exception):
    """Both sides changed the same part, differently."""


def differ(one: bytes | None, other: bytes | None) -> bool:
    """Return True if two texts hold different JSON. None is absent, and differs from every text."""
    if one is other:
        return False
    return one is None or other is None or not json_text.same(one, other)


def merge_fields(base: Any, mine: Any, theirs: Any) -> Any:
    """Merge objects field by field, and everything else whole.

    :raises Unmergeable: both sides changed the same field, differently.
    """
    return _merge(base, mine, theirs, lists_append=False)


def merge_append(base: Any, mine: Any, theirs: Any) -> Any:
    """Merge lists by their items: theirs, without the items that mine removed, then the items that
    mine added. Merge objects field by field, with their lists in the same way.

    :raises Unmergeable: both sides changed the same part, which is neither an object nor a list.
    """
    return _merge(base, mine, theirs, lists_append=True)


def _merge(base: Any, mine: Any, theirs: Any, *, lists_append: bool, level: int = 0) -> Any:
    is_object = isinstance(mine, dict) and isinstance(theirs, dict) and _have_fields(mine, theirs)
    # Equal parts need no walk, but to compare one costs its size, again at every level above it.
    if not is_object or level < _COMPARED_LEVELS:
        if _same(base, mine):
            return theirs
        if _same(base, theirs):
            return mine
    if is_object:
        before = base if isinstance(base, dict) else {}
        return _merge_objects(before, mine, theirs, lists_append, level)
    if lists_append and isinstance(mine, list) and isinstance(theirs, list):
        # Also when both lists are equal: two people who order the same pizza want two.
        return _merge_lists(base if isinstance(base, list) else [], mine, theirs)
    if _same(mine, theirs):
        return theirs
    raise Unmergeable


def _have_fields(mine: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """True if both are objects with fields: plain ones, or two of the same class. False for the
    tagged forms of other values, such as dates and tuples."""
    if _tags(mine) != _tags(theirs):
        return False
    return set(_tags(mine)) <= {OBJECT}


def _tags(value: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in value.items() if n[:3] == PREFIX or n == "__reduce__"}


def _merge_objects(
    base: dict[str, Any],
    mine: dict[str, Any],
    theirs: dict[str, Any],
    lists_append: bool,
    level: int,
) -> dict[str, Any]:
    merged = {}
    for name in (*theirs, *(name for name in mine if name not in theirs)):
        value = _merge(
            base.get(name, _ABSENT),
            mine.get(name, _ABSENT),
            theirs.get(name, _ABSENT),
            lists_append=lists_append,
            level=level + 1,
        )
        if value is not _ABSENT:
            merged[name] = value
    return merged


def _merge_lists(base: list[Any], mine: list[Any], theirs: list[Any]) -> list[Any]:
    added, removed = _difference(mine, base), _difference(base, mine)
    return _difference(theirs, removed) + added


def _difference(items: list[Any], without: list[Any]) -> list[Any]:
    """Return the items in order, without the first occurrence of each item of ``without``."""
    left = Counter(_text(item) for item in without)
    kept = []
    for item in items:
        text = _text(item)
        if left[text] > 0:
            left[text] -= 1
        else:
            kept.append(item)
    return kept


def _same(one: Any, other: Any) -> bool:
    if one is _ABSENT or other is _ABSENT:
        return one is other
    # As text: Python holds 1, 1.0 and True to be equal, and NaN to differ from itself.
    return _text(one) == _text(other)


def _text(value: Any) -> bytes:
    return json_text.canonical(value)
