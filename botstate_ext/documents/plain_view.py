"""Asking one document: by a path, by several, or for all that it holds as plain JSON. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import StateDecodeError
from ..jsonpath import JsonPath
from ..jsonpath.state_query import StateQuery
from ..jsonpath.steps import NOTHING
from ..serialization import json_text, jsonpickle

if TYPE_CHECKING:
    from .document import Document

Query: TypeAlias = str | JsonPath | StateQuery
"""A path, as text or compiled, or several of them under keys."""

Names: TypeAlias = frozenset[str] | None
"""The properties that will be read; None for all."""


def as_query(query: Query) -> JsonPath | StateQuery:
    """:raises StateQueryError: the path is not valid."""
    return query if isinstance(query, (JsonPath, StateQuery)) else JsonPath(query)


def query_document(query: JsonPath | StateQuery, document: Document) -> Any:
    """The answer from one document, as the turn sees it now."""
    return query.run(visible_properties(document, _names(query)))


def query_property(query: JsonPath | StateQuery, document: Document, name: str) -> Any:
    """The answer from the value of one property; an absent one has no values."""
    return query.run(visible_properties(document, frozenset({name})).get(name, NOTHING))


def plain_properties(document: Document, names: Names = None) -> dict[str, Any]:
    """The properties of a document as plain JSON, as the turn sees them now: with what it changed
    and did not save, without what has expired. Values are copies, and looking at them is no use
    that renews a sliding property.

    :raises StateDecodeError: a property that will be read is not what it should be.
    :raises StateEncodeError: the turn has given it a value that cannot be stored.
    """
    values = ((name, _plain(document, name)) for name in _wanted(document, names))
    return {name: value for name, value in values if value is not NOTHING}


def visible_properties(document: Document, names: Names = None) -> dict[str, Any]:
    """As `plain_properties`, without the values that `get` would move aside as unreadable. Only for
    looking: writing this back would lose them.

    :raises StateDecodeError, StateEncodeError: as `plain_properties`.
    """
    values = ((name, _visible(document, name)) for name in _wanted(document, names))
    return {name: value for name, value in values if value is not NOTHING}


def _names(query: JsonPath | StateQuery) -> Names:
    """The properties of one document that a query can read."""
    places = query.reach(1)
    return None if () in places else frozenset(place[0] for place in places)


def _wanted(document: Document, names: Names) -> list[str]:
    return document.names() if names is None else sorted(names)


def _plain(document: Document, name: str) -> Any:
    text = document.text(name)
    if text is None:
        return NOTHING
    try:
        value = json_text.loads(text)
        return jsonpickle.to_plain(value) if jsonpickle.has_tags(text) else value
    except StateDecodeError as error:
        reason = error.reason
    # Outside of the handler: what led to it may show the value, so nothing is chained.
    raise StateDecodeError(reason, scope=document.scope, key=document.key, property_name=name)


def _visible(document: Document, name: str) -> Any:
    try:
        return _plain(document, name)
    except StateDecodeError as error:
        if not document.quarantines(name, error):
            raise
        return NOTHING
