"""Asking what is remembered: queries and templates over the documents of a turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import unquote

from . import jsontext, legacy
from .errors import StateKeyError
from .jsonpath import JsonPath
from .query import StateQuery
from .template import DocumentName

if TYPE_CHECKING:
    from .document import Document
    from .scope import StateScope
    from .states import StateScopes

Query: TypeAlias = str | JsonPath | StateQuery
"""A path, as text or compiled, or several of them under keys."""

Names: TypeAlias = frozenset[str] | None
"""The properties that will be read; None for all."""

_DEPTH = 3  # of a place in the tree: scope, id, property


def as_query(query: Query) -> JsonPath | StateQuery:
    """:raises StateQueryError: the path is not valid."""
    return JsonPath(query) if isinstance(query, str) else query


def ask(query: Query, document: Document) -> Any:
    """The answer from one document, as the turn sees it now."""
    asked = as_query(query)
    places = asked.reach(1)
    names = None if () in places else frozenset(place[0] for place in places)
    return asked.run(plain(document, names))


def plain(document: Document, names: Names = None) -> dict[str, Any]:
    """The properties of a document as plain JSON, as the turn sees them now: with what it changed
    and did not save, without what has expired. Values are copies.

    :raises StateDecodeError: a property that will be read is not what it should be.
    """
    wanted = document.names() if names is None else sorted(names)
    texts = ((name, document.text(name)) for name in wanted)
    return {name: _plain(text) for name, text in texts if text is not None}


async def ask_tree(query: Query, states: StateScopes, turn: Any) -> Any:
    """The answer from the tree of all scopes; only what the query can reach is read or decoded."""
    asked = as_query(query)
    places = _Places(asked.reach(_DEPTH))
    documents = _reached(places, states, turn)
    await states.load_documents(turn, [document for _, document, _ in documents])
    tree: dict[str, Any] = {scope.scope_name: {} for scope in states}
    tree["turn"] = turn.activity.serialize() if places.reach("turn") else {}
    for path, document, names in documents:
        at = tree
        for name in path[:-1]:
            at = at.setdefault(name, {})
        at[path[-1]] = plain(document, names)
    return asked.run(tree)


class TurnDocuments:
    """The documents of a turn, for a template (see `template.DocumentResolver`)."""

    def __init__(self, states: StateScopes, turn: Any) -> None:
        self._states, self._turn = states, turn

    async def documents(
        self, wanted: Mapping[DocumentName, frozenset[str] | None]
    ) -> dict[DocumentName, dict[str, Any]]:
        """These documents as plain JSON, loaded in one batch; those without a key are left out."""
        scopes = {scope.scope_name: scope for scope in self._states}
        found = {
            name: document_of(scopes[name[0]], self._turn, name[1])
            for name in wanted
            if name[0] != "turn"
        }
        present = {name: document for name, document in found.items() if document is not None}
        await self._states.load_documents(self._turn, present.values())
        texts = {name: plain(document, wanted[name]) for name, document in present.items()}
        if ("turn", None) in wanted:
            texts["turn", None] = self._turn.activity.serialize()
        return texts


def document_of(scope: StateScope, turn: Any, document_id: str | None = None) -> Document | None:
    """A scope's document in this turn, which may not be loaded yet; None where it has no key."""
    try:
        chosen = scope if document_id is None else scope.at(document_id)
        return chosen.unloaded_document(turn)
    except StateKeyError:
        return None


class _Places:
    """Which names below each place a query can read."""

    def __init__(self, places: Iterable[tuple[str, ...]]) -> None:
        self._places = frozenset(places)

    def reach(self, *path: str) -> bool:
        """Whether something at or below this place can be read."""
        depth = len(path)
        return any(p[:depth] == path[: len(p)] for p in self._places)

    def names(self, *path: str) -> Names:
        """The names below a place that can be read; None for all of them."""
        depth = len(path)
        if any(len(p) <= depth and p == path[: len(p)] for p in self._places):
            return None
        return frozenset(p[depth] for p in self._places if p[:depth] == path)


def _reached(
    places: _Places, states: StateScopes, turn: Any
) -> list[tuple[tuple[str, ...], Document, Names]]:
    """The documents that a query can read: each one's path in the tree, and its properties."""
    found: list[tuple[tuple[str, ...], Document, Names]] = []
    for scope in states:
        name = scope.scope_name
        if not places.reach(name):
            continue
        if name == "shared":
            found.extend(_shared(places, states, turn))
            continue
        document = document_of(scope, turn)
        if document is not None:
            found.append(((name,), document, places.names(name)))
    return found


def _shared(
    places: _Places, states: StateScopes, turn: Any
) -> Iterable[tuple[tuple[str, ...], Document, Names]]:
    """The shared documents that the query names; if it names none, those the turn has used."""
    ids = places.names("shared")
    if ids is None:
        for document in states.shared.work_of(turn).documents("shared"):
            document_id = unquote(document.key.partition("/")[2])
            yield ("shared", document_id), document, None
        return
    for document_id in ids:
        found = document_of(states.shared, turn, document_id)
        if found is not None:
            yield ("shared", document_id), found, places.names("shared", document_id)


def _plain(text: bytes) -> Any:
    value = jsontext.loads(text)
    return cast("Any", legacy.to_plain(value)) if legacy.has_tags(text) else value
