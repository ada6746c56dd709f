"""Trees: values as nodes to show, at most so many of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from .display import shortened
from .masking import Hidden

MAX_NODES: Final = 2_000
"""Nodes of all trees of a page."""

MAX_CHILDREN: Final = 100
MAX_DEPTH: Final = 24
MAX_TEXT: Final = 600
_PREVIEW: Final = 60
_OPEN_BELOW: Final = 8

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPED: Final = re.compile(r"['\\\x00-\x1f]")


@dataclass(slots=True)
class Node:
    """Describes a value in a tree.

    - ``name``: of the member or the index; None for an unnamed root.
    - ``kind``: ``"object"``, ``"list"``, ``"text"``, ``"time"``, ``"number"``, ``"boolean"``,
      ``"null"`` or ``"hidden"``.
    - ``text``: of a leaf, perhaps shortened; of an object or a list a short description.
    - ``length``: of an object, a list or a text.
    - ``path``: the JSONPath from the root of the document.
    - ``children``: of an object or a list. ``omitted``: how many more there are.
    - ``is_open``: True if it is small enough to be shown unfolded.
    """

    name: str | None
    kind: str
    text: str
    path: str
    length: int = 0
    children: list[Node] = field(default_factory=list)
    omitted: int = 0
    is_open: bool = False

    @property
    def is_leaf(self) -> bool:
        """Return True if there is nothing to unfold."""
        return not self.length or self.kind not in ("object", "list")

    @property
    def is_cut(self) -> bool:
        """Return True if the text of a leaf was shortened."""
        return self.kind in ("text", "time") and self.length > MAX_TEXT


class TreeBuilder:
    """Builds the trees of one page within one limit on nodes, so that no document is too large."""

    def __init__(self, limit: int = MAX_NODES) -> None:
        self._left = limit

    def build(self, value: Any, name: str | None = None, path: str = "$") -> Node:
        """Return the tree of a value. Its root is unfolded if it is small."""
        node = self._node(value, name, path, 0)
        node.is_open = 0 < len(node.children) <= _OPEN_BELOW and not node.omitted
        return node

    def _node(self, value: Any, name: str | None, path: str, depth: int) -> Node:
        self._left -= 1
        if isinstance(value, dict):
            node = Node(name, "object", _preview(value), path, len(value))
            members: Iterable[tuple[str, Any, str]] = (
                (each, value[each], f"{path}{member_path(each)}") for each in value
            )
        elif isinstance(value, list):
            node = Node(name, "list", "", path, len(value))
            members = ((str(i), each, f"{path}[{i}]") for i, each in enumerate(value))
        else:
            return _leaf(value, name, path)
        for label, member, place in members:
            is_full = self._left <= 0 or len(node.children) == MAX_CHILDREN
            if is_full or depth == MAX_DEPTH:
                break
            node.children.append(self._node(member, label, place, depth + 1))
        node.omitted = len(value) - len(node.children)
        return node


def member_path(name: str) -> str:
    """Return the segment of a JSONPath for a member: ``.name``, or ``['a name']``."""
    if _PLAIN.fullmatch(name):
        return f".{name}"
    return f"['{_ESCAPED.sub(_as_escape, name)}']"


def _leaf(value: Any, name: str | None, path: str) -> Node:
    if isinstance(value, Hidden):
        return Node(name, "hidden", str(value), path)
    if isinstance(value, str):
        kind = "time" if _TIME.match(value) else "text"
        return Node(name, kind, shortened(value, MAX_TEXT), path, len(value))
    if value is None:
        return Node(name, "null", "null", path)
    if isinstance(value, bool):
        return Node(name, "boolean", "true" if value else "false", path)
    return Node(name, "number", shortened(repr(value), MAX_TEXT), path)


def _preview(value: dict[str, Any]) -> str:
    """Return the first names of an object."""
    names: list[str] = []
    for name in value:
        names.append(shortened(name, _PREVIEW))
        if sum(map(len, names)) > _PREVIEW:
            break
    return shortened(", ".join(names), _PREVIEW)


def _as_escape(found: re.Match[str]) -> str:
    char = found[0]
    return f"\\{char}" if char in "'\\" else f"\\u{ord(char):04x}"
