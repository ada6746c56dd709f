"""The names that a path can read, so that its caller decodes nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from jsonpath_rfc9535.filter_expressions import (
    ComparisonExpression,
    Expression,
    FilterQuery,
    FunctionExtension,
    LogicalExpression,
    PrefixExpression,
    RootFilterQuery,
)
from jsonpath_rfc9535.query import JSONPathQuery
from jsonpath_rfc9535.segments import JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath_rfc9535.selectors import FilterSelector, NameSelector

from .steps import Place

MAX_PLACES: Final = 256
"""``['a', 'b', ...]`` multiply. Above this number the answer is a place higher up: less exact, but
still right."""


def reach(query: JSONPathQuery) -> frozenset[Place]:
    """Return the places that the path reads, each with all below it."""
    return frozenset(_names(query)).union(*map(reach, _root_queries(query.segments)))


def _names(query: JSONPathQuery) -> set[Place]:
    places: set[Place] = {()}
    for segment in query.segments:
        names = [s.name for s in segment.selectors if isinstance(s, NameSelector)]
        deeper = isinstance(segment, JSONPathRecursiveDescentSegment)
        if deeper or len(names) < len(segment.selectors) or len(places) * len(names) > MAX_PLACES:
            break
        places = {(*place, name) for place in places for name in names}
    return places


def _root_queries(segments: Iterable[JSONPathSegment]) -> Iterator[JSONPathQuery]:
    for segment in segments:
        for selector in segment.selectors:
            if isinstance(selector, FilterSelector):
                yield from _root_queries_of(selector.expression.expression)


def _root_queries_of(expression: Expression) -> Iterator[JSONPathQuery]:
    match expression:
        case RootFilterQuery(query=query):
            yield query  # reach() finds the queries inside it.
        case FilterQuery(query=query):
            yield from _root_queries(query.segments)
        case LogicalExpression(left=left, right=right):
            yield from _root_queries_of(left)
            yield from _root_queries_of(right)
        case ComparisonExpression(left=left, right=right):
            yield from _root_queries_of(left)
            yield from _root_queries_of(right)
        case PrefixExpression(right=right):
            yield from _root_queries_of(right)
        case FunctionExtension(args=args):
            for argument in args:
                yield from _root_queries_of(argument)
