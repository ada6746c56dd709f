"""py/id: jsonpickle writes what it meets again as a number. Here the numbers become copies."""

from __future__ import annotations

from typing import Any, Final

from ..errors import StateDecodeError
from .tags import (
    B64,
    B85,
    CLOCKS,
    FUNCTION,
    ID,
    ITERATOR,
    MAX_DEPTH,
    NEWARGSEX,
    OBJECT,
    REDUCE,
    SEQ,
    SET,
    TUPLE,
    TYPE,
    too_deep,
)

_OPEN: Final = object()
_UNNUMBERED: Final = frozenset((TUPLE, SET, B64, B85, TYPE, FUNCTION))
_BARE_LISTS: Final = (TUPLE, SET, REDUCE, ITERATOR, SEQ, NEWARGSEX)
_CHARACTERS_PER_NODE: Final = 64


def expand_references(document: dict[str, Any], *, max_nodes: int = 1_000_000) -> dict[str, Any]:
    """The document with every ``py/id`` replaced by a copy of what it refers to.

    Give it a whole document as it was stored: the numbers count objects from its root. They are
    counted as the Pickler of jsonpickle 2 and 3 counts (1.x did not count dictionaries; its
    documents cannot be told apart, and upstream reads them with today's numbers too). Entries that
    are not jsonpickle's, such as ``e_tag`` or this package's own, count as the plain JSON they are.

    :raises StateDecodeError: a reference to what holds it or to nothing, copies of more than
        ``max_nodes`` values (long texts count as several), or a result nested too deeply.
    """
    expanded: dict[str, Any] = _Expander(max_nodes).expand(document, 0)
    return expanded


class _Expander:
    def __init__(self, max_nodes: int) -> None:
        self._max_nodes = max_nodes
        self._targets: list[Any] = []
        self._sizes: list[int] = []
        self._bare: set[int] = set()
        self._size = 0
        self._copied = 0

    def expand(self, value: Any, depth: int) -> Any:
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
            return self._copy_of(value, depth)
        number = self._number_of(value)
        expanded: Any
        if kind is list:
            expanded = []
            for item in value:
                expanded.append(self.expand(item, depth + 1))
        else:
            expanded = {}
            for key, member in value.items():
                self._size += len(key) // _CHARACTERS_PER_NODE
                expanded[key] = self.expand(member, depth + 1)
        if number is not None:
            self._targets[number] = expanded
            self._sizes[number] = self._size - before
        return expanded

    def _number_of(self, value: Any) -> int | None:
        if type(value) is list:
            if id(value) in self._bare:
                return None
        else:
            self._note_bare_lists(value)
            if OBJECT not in value and not _UNNUMBERED.isdisjoint(value):
                return None
        self._targets.append(_OPEN)
        self._sizes.append(0)
        return len(self._targets) - 1

    def _note_bare_lists(self, value: dict[str, Any]) -> None:
        # Lists that jsonpickle itself adds are not objects of the app: they have no number.
        for tag in _BARE_LISTS:
            if tag in value:
                self._bare.add(id(value[tag]))
        if value.get(OBJECT) in CLOCKS:
            parts = value.get("__reduce__")
            self._bare.add(id(parts))
            if type(parts) is list:
                self._bare.update(map(id, parts))

    def _copy_of(self, reference: dict[str, Any], depth: int) -> Any:
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
        return _copy(target, depth)


def _copy(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is not list and kind is not dict:
        return value
    if depth > MAX_DEPTH:
        raise too_deep()
    if kind is list:
        return [_copy(item, depth + 1) for item in value]
    return {key: _copy(member, depth + 1) for key, member in value.items()}
