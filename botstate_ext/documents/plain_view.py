"""Reading one document as plain JSON, whole or by a query. Pure."""

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
"""A JSONPath, as text or compiled, or several under keys."""

Names: TypeAlias = frozenset[str] | None
"""The names of the properties to read; None: all."""


def as_query(query: Query) -> JsonPath | StateQuery:
    """Compile a query that is given as text.

    :raises StateQueryError: the path is not valid.
    """
    return query if isinstance(query, (JsonPath, StateQuery)) else JsonPath(query)


def query_document(query: JsonPath | StateQuery, document: Document) -> Any:
    """Run a query on a document, as the turn sees it now."""
    return query.run(visible_properties(document, _names(query)))


def query_property(query: JsonPath | StateQuery, document: Document, name: str) -> Any:
    """Run a query on the value of one property. An absent property has no values."""
    return query.run(visible_properties(document, frozenset({name})).get(name, NOTHING))


def plain_properties(document: Document, names: Names = None) -> dict[str, Any]:
    """Return the properties of a document as plain JSON, as the turn sees them now: with unsaved
    changes, without expired properties. Values are copies. Does not renew sliding properties.

    :raises StateDecodeError: a stored value does not fit its property.
    :raises StateEncodeError: a value that the turn set cannot be stored.
    """
    values = ((name, _plain(document, name)) for name in _wanted(document, names))
    return {name: value for name, value in values if value is not NOTHING}


def visible_properties(document: Document, names: Names = None) -> dict[str, Any]:
    """Return the same as `plain_properties` without the unreadable values that `get` would move
    aside. Do not write the result back: that would lose them.

    :raises StateDecodeError, StateEncodeError: as `plain_properties`.
    """
    values = ((name, _visible(document, name)) for name in _wanted(document, names))
    return {name: value for name, value in values if value is not NOTHING}


def _names(query: JsonPath | StateQuery) -> Names:
    """Return the names of the properties that a query can read."""
    paths = query.reach(1)
    return None if () in paths else frozenset(path[0] for path in paths)


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
    # Outside of the handler: the cause may show the value, so nothing is chained.
    raise StateDecodeError(reason, scope=document.scope, key=document.key, property_name=name)


def _visible(document: Document, name: str) -> Any:
    try:
        return _plain(document, name)
    except StateDecodeError as error:
        if not document.codecs.quarantines(name, error):
            raise
        return NOTHING
