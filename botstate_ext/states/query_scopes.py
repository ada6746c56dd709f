"""Runs queries and templates on the documents of all scopes in a turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..documents.plain_view import Names, visible_properties
from ..errors import StateKeyError, StateQueryError
from ..jsonpath import JsonPath
from ..jsonpath.state_query import StateQuery
from ..templates.template import DocumentName
from .outside_turn import OutsideTurn

if TYPE_CHECKING:
    from ..documents.document import Document
    from ..scopes.scope import StateScope
    from .state_scopes import StateScopes

_DEPTH: Final = 3  # of a path in the tree: scope, id, property


async def ask_tree(query: JsonPath | StateQuery, states: StateScopes, turn: Any) -> Any:
    """Run a query on the tree of all scopes. Read and decode only the documents and properties that
    it can reach."""
    return query.run(await read_tree(query, states, turn))


async def read_tree(query: JsonPath | StateQuery, states: StateScopes, turn: Any) -> dict[str, Any]:
    """Return the tree of all scopes, as far as a query can reach."""
    reach = _Reach(query.reach(_DEPTH))
    reached = list(_reached(reach, states, turn))
    await states.user._work_of(turn).load([one.document for one in reached])
    tree: dict[str, Any] = {scope.scope_name: {} for scope in states}
    tree["turn"] = _activity(states, turn) if reach.includes("turn") else {}
    for scope, document_id, document, names in reached:
        if document_id is None:
            tree[scope] = visible_properties(document, names)
        elif document.names():  # anyone may ask for an id, which does not make it exist
            tree[scope][document_id] = visible_properties(document, names)
    return tree


class TurnDocuments:
    """Loads the documents of a turn for a template (see `template.DocumentResolver`)."""

    def __init__(self, states: StateScopes, turn: Any) -> None:
        self._states, self._turn = states, turn

    async def documents(
        self, wanted: Mapping[DocumentName, frozenset[str] | None]
    ) -> dict[DocumentName, dict[str, Any]]:
        """Return these documents as plain JSON, loaded in one batch. Leaves out those without a
        key."""
        scopes = {scope.scope_name: scope for scope in self._states}
        found = {
            name: document_of(scopes[name[0]], self._turn, name[1])
            for name in wanted
            if name[0] != "turn"
        }
        present = {name: document for name, document in found.items() if document is not None}
        await self._states.user._work_of(self._turn).load(present.values())
        texts = {
            name: visible_properties(document, wanted[name]) for name, document in present.items()
        }
        if ("turn", None) in wanted:
            texts["turn", None] = _activity(self._states, self._turn)
        return texts


def document_of(scope: StateScope, turn: Any, document_id: str | None = None) -> Document | None:
    """Return a scope's document in this turn, perhaps not loaded yet; None if it has no key."""
    try:
        chosen = scope if document_id is None else scope.at(document_id)
        if not isinstance(turn, OutsideTurn):  # a look from outside makes no turn read more
            chosen._is_used = True
        return chosen._unloaded_document(turn)
    except StateKeyError:
        return None


class _Reach:
    """Holds the names below each path that a query can read."""

    def __init__(self, paths: Iterable[tuple[str, ...]]) -> None:
        self._paths = frozenset(paths)

    def includes(self, *path: str) -> bool:
        """Return True if something at or below this path can be read."""
        depth = len(path)
        return any(p[:depth] == path[: len(p)] for p in self._paths)

    def names(self, *path: str) -> Names:
        """Return the readable names below a path; None for all of them."""
        depth = len(path)
        if any(len(p) <= depth and p == path[: len(p)] for p in self._paths):
            return None
        return self.written(*path)

    def written(self, *path: str) -> frozenset[str]:
        """Return the names that the query itself spells out below a path."""
        depth = len(path)
        return frozenset(p[depth] for p in self._paths if len(p) > depth and p[:depth] == path)


class _Reached(NamedTuple):
    """Describes a readable document: its place in the tree, and the parts that will be read."""

    scope: str
    document_id: str | None
    document: Document
    names: Names


def _reached(reach: _Reach, states: StateScopes, turn: Any) -> Iterable[_Reached]:
    for scope in states:
        name = scope.scope_name
        if not reach.includes(name):
            continue
        if scope.row.is_by_id:
            yield from _reached_by_id(reach, scope, turn)
            continue
        document = document_of(scope, turn)
        if document is not None:
            yield _Reached(name, None, document, reach.names(name))


def _reached_by_id(reach: _Reach, scope: StateScope, turn: Any) -> Iterable[_Reached]:
    """Return the documents that the query names by id.

    If the query can read any id, also return the documents that this turn has used.
    """
    name = scope.scope_name
    wanted = {d: document_of(scope, turn, d) for d in reach.written(name)}
    if reach.names(name) is None:
        used = scope._work_of(turn).documents(name)
        wanted.update((document.id, document) for document in used if document.id is not None)
    for document_id, document in wanted.items():
        if document is not None:
            yield _Reached(name, document_id, document, reach.names(name, document_id))


def _activity(states: StateScopes, turn: Any) -> dict[str, Any]:
    try:
        return states._workspace.host.dump(turn.activity)
    except ValueError:  # the SDK's own; its text shows values
        raise StateQueryError(
            "The activity of this turn cannot be read: it holds what the SDK cannot write as JSON."
        ) from None
