"""Replaces ``py/id`` numbers by copies. jsonpickle writes one for each repeated object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ...errors import StateDecodeError
from .tags import (
    B64,
    B85,
    CLOCKS,
    FUNCTION,
    ID,
    ITERATOR,
    MAX_DEPTH,
    MODULE,
    NEWARGS,
    NEWARGSEX,
    OBJECT,
    PREFIX,
    REDUCE,
    REPR,
    SEQ,
    SET,
    STATE,
    TUPLE,
    TYPE,
    too_deep,
)

_OPEN: Final = object()
_UNNUMBERED: Final = frozenset((TUPLE, SET, B64, B85, TYPE, FUNCTION))
_NUMBERED: Final = frozenset((REDUCE, ITERATOR, MODULE, REPR))
_LATE: Final = {NEWARGS: -1, NEWARGSEX: -1, "__dict__": 1, SEQ: 2, STATE: 3}
_BARE_LISTS: Final = (TUPLE, SET, REDUCE, ITERATOR, SEQ, NEWARGSEX)
_CHARACTERS_PER_NODE: Final = 64


def expand_references(
    document: dict[str, Any],
    *,
    numbers_dictionaries: bool | None = None,
    max_nodes: int = 1_000_000,
) -> dict[str, Any]:
    """Return the document with each ``py/id`` replaced by a copy of the object that it refers to.

    Pass a whole document as it was stored: the numbers count objects from its root. Entries that
    jsonpickle did not write, such as ``e_tag`` or this package's own, count as plain JSON.

    ``numbers_dictionaries``: whether plain dictionaries were numbered too. This depends on the
    version that wrote the document, and the document does not name it. True: jsonpickle 2 and 3
    (botbuilder-core 4.17.1). False: jsonpickle 1.2 to 1.4 (botbuilder-core before 4.17.1).
    None tries both:

    - If only one of them gives every reference a target, that one is used.
    - If both do, the one in which more references lead to an entry of the same name is used:
      ``"options"`` to ``"options"``.
    - If they are still equal, the way of the SDK's current version is used.

    :raises StateDecodeError: a reference leads to an object that contains it, or to nothing; or
        the copies have more than ``max_nodes`` values (a long text counts as several); or the
        result is nested too deeply.
    """
    if numbers_dictionaries is not None:
        ways: tuple[bool, ...] = (numbers_dictionaries,)
    else:
        ways = (False,) if _has_marks_of_1(document) else (True, False)
    best: _Expander | None = None
    failures = []
    for way in ways:
        expander = _Expander(max_nodes, way)
        try:
            expander.expand_all(document)
        except StateDecodeError as error:
            failures.append(error)
            continue
        if best is None or expander.namesakes > best.namesakes:
            best = expander
    if best is None:
        raise failures[0]
    return best.expanded


def _has_marks_of_1(document: dict[str, Any]) -> bool:
    """Return True if jsonpickle 1.x wrote the document.

    Versions 1.2 and 1.3 sort all keys, so an object's class may not be its first key. On Python
    3.11, 1.x gave every object a state, so the SDK's own objects have one too.
    """
    todo: list[Any] = [document]
    for item in todo:
        if type(item) is dict:
            if OBJECT in item and (next(iter(item)) != OBJECT or _is_sdk_state(item)):
                return True
            todo.extend(item.values())
        elif type(item) is list:
            todo.extend(item)
    return False


def _is_sdk_state(item: dict[str, Any]) -> bool:
    name = item[OBJECT]
    return STATE in item and type(name) is str and name.startswith(("botbuilder.", "botframework."))


class _Expander:
    """Expands references, counted in one way. ``namesakes``: how many lead to their own name."""

    def __init__(self, max_nodes: int, numbers_dictionaries: bool) -> None:
        self.expanded: dict[str, Any] = {}
        self.namesakes = 0
        self._max_nodes = max_nodes
        self._numbers_dictionaries = numbers_dictionaries
        self._targets: list[Any] = []
        self._names: list[str] = []
        self._sizes: list[int] = []
        self._bare: set[int] = set()
        self._size = 0
        self._copied = 0

    def expand_all(self, document: dict[str, Any]) -> None:
        try:
            self.expanded = self._expand(document, "", 0)
        except RecursionError:
            raise too_deep() from None

    def _expand(self, value: Any, name: str, depth: int) -> Any:
        # One frame a level, so that MAX_DEPTH levels fit into Python's own limit.
        kind = type(value)
        before = self._size
        self._size += 1
        if kind is str:
            self._size += len(value) // _CHARACTERS_PER_NODE
        if kind is not dict and kind is not list:
            return value
        # A document is one level more than the values in it.
        if depth > MAX_DEPTH:
            raise too_deep()
        if kind is dict and ID in value:
            return self._copy_of(value, name, depth)
        number = self._number_of(value, name)
        expanded: Any
        if kind is list:
            expanded = []
            for item in value:
                expanded.append(self._expand(item, name, depth + 1))
        else:
            expanded = {}
            for key, member in _as_written(value):
                self._size += len(key) // _CHARACTERS_PER_NODE
                own = name if key[:3] == PREFIX else key
                expanded[key] = self._expand(member, own, depth + 1)
        if number is not None:
            self._targets[number] = expanded
            self._sizes[number] = self._size - before
        return expanded

    def _number_of(self, value: Any, name: str) -> int | None:
        if type(value) is list:
            if id(value) in self._bare:
                return None
        else:
            self._note_bare_lists(value)
            if OBJECT not in value and not self._is_numbered(value):
                return None
        self._targets.append(_OPEN)
        self._names.append(name)
        self._sizes.append(0)
        return len(self._targets) - 1

    def _is_numbered(self, value: dict[str, Any]) -> bool:
        if self._numbers_dictionaries:
            return _UNNUMBERED.isdisjoint(value)
        return not _NUMBERED.isdisjoint(value)

    def _note_bare_lists(self, value: dict[str, Any]) -> None:
        # Lists that jsonpickle itself adds are not objects of the app: they have no number.
        for tag in _BARE_LISTS:
            if tag in value:
                self._bare.add(id(value[tag]))
        name, parts = value.get(OBJECT), value.get("__reduce__")
        if type(name) is str and name in CLOCKS and type(parts) is list:
            self._bare.update((id(parts), *map(id, parts)))

    def _copy_of(self, reference: dict[str, Any], name: str, depth: int) -> Any:
        number = reference[ID]
        if type(number) is not int or not 0 <= number < len(self._targets):
            raise StateDecodeError(f"a {ID} in it refers to nothing.")
        target, size = self._targets[number], self._sizes[number]
        if target is _OPEN:
            raise StateDecodeError(f"a {ID} in it refers to what holds it: a cycle.")
        self._copied += size
        if self._copied > self._max_nodes:
            raise StateDecodeError(
                f"its {ID} references stand for more than {self._max_nodes} values."
            )
        self._size += size
        self.namesakes += name == self._names[number]
        return _copy(target, depth)


def _as_written(value: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Return the members in the order in which jsonpickle numbered them. Sorted keys hide it."""
    if OBJECT in value and not _LATE.keys().isdisjoint(value):
        return sorted(value.items(), key=lambda item: _LATE.get(item[0], 0))
    return value.items()


def _copy(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is not list and kind is not dict:
        return value
    if depth > MAX_DEPTH:
        raise too_deep()
    if kind is list:
        return [_copy(item, depth + 1) for item in value]
    return {key: _copy(member, depth + 1) for key, member in value.items()}
