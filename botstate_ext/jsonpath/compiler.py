"""Compiles the library's syntax tree to closures, once per path.

A segment is a function from a list of values to a list of values. RFC 9535 asks for no more, and
this avoids the node object with a location that the library makes for each value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any, Final, TypeAlias

from jsonpath_rfc9535.filter_expressions import (
    ComparisonExpression,
    Expression,
    FilterExpressionLiteral,
    FilterQuery,
    FunctionExtension,
    IntegerLiteral,
    LogicalExpression,
    PrefixExpression,
    RootFilterQuery,
)
from jsonpath_rfc9535.query import JSONPathQuery
from jsonpath_rfc9535.segments import JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath_rfc9535.selectors import (
    FilterSelector,
    IndexSelector,
    JSONPathSelector,
    NameSelector,
    SliceSelector,
    WildcardSelector,
)

from ..errors import StateQueryError
from .compare import equal, less
from .iregexp import compile_pattern, matches
from .limits import MAX_DEPTH, MAX_NUMBER, MAX_SEGMENTS, Run, over_limit
from .steps import NOTHING, Step, step, walk

Values: TypeAlias = list[Any]
Segment: TypeAlias = Callable[[Run, Values], Values]
Find: TypeAlias = Callable[[Run, Any], Values]
Evaluate: TypeAlias = Callable[[Run, Any], Any]
"""Evaluates a filter's expression on the current value: to a value or NOTHING, a test to a bool."""

_COMPARISONS: Final[dict[str, Callable[[Run, Any, Any], bool]]] = {
    "==": equal,
    "!=": lambda run, left, right: not equal(run, left, right),
    "<": less,
    ">": lambda run, left, right: less(run, right, left),
    "<=": lambda run, left, right: less(run, left, right) or equal(run, left, right),
    ">=": lambda run, left, right: less(run, right, left) or equal(run, left, right),
}


class Compiler:
    """Compiles one path. ``_size`` grows with every part: it is the cost of a filter per value."""

    def __init__(self) -> None:
        self._segments = 0
        self._size = 0

    def query(self, query: JSONPathQuery) -> tuple[tuple[Step, ...], tuple[Segment, ...]]:
        """Return the leading steps of a query, and the segments after them: none if the query is
        singular."""
        self._segments += len(query.segments)
        if self._segments > MAX_SEGMENTS:
            over_limit("segments", MAX_SEGMENTS, "segments")
        self._size += len(query.segments)
        singular = _leading_steps(query.segments)
        rest = query.segments[len(singular) :]
        return tuple(singular), tuple(self._segment(segment) for segment in rest)

    def _segment(self, segment: JSONPathSegment) -> Segment:
        selectors = [self._selector(selector) for selector in segment.selectors]
        children = selectors[0] if len(selectors) == 1 else _each(selectors)
        if not isinstance(segment, JSONPathRecursiveDescentSegment):
            return children
        return lambda run, nodes: children(run, _descend(run, nodes))

    def _selector(self, selector: JSONPathSelector) -> Segment:
        match selector:
            case NameSelector(name=name):
                return lambda run, nodes: [
                    node[name] for node in nodes if isinstance(node, dict) and name in node
                ]
            case IndexSelector(index=index):
                least = index + 1 if index >= 0 else -index
                return lambda run, nodes: [
                    node[index] for node in nodes if isinstance(node, list) and len(node) >= least
                ]
            case SliceSelector(slice=slice_):
                return _slice(slice_)
            case WildcardSelector():
                return _wildcard
            case FilterSelector(expression=expression):
                before, self._size = self._size, 0
                test = self._test(expression.expression)
                weight, self._size = self._size + 1, before + self._size
                return _filter(test, weight)
        raise StateQueryError(f"The JSONPath has a selector of an unknown kind: {selector}.")

    def _test(self, expression: Expression) -> Evaluate:
        self._size += 1
        match expression:
            case LogicalExpression():
                tests = [self._test(part) for part in _operands(expression)]
                if expression.operator == "&&":
                    return lambda run, current: all(test(run, current) for test in tests)
                return lambda run, current: any(test(run, current) for test in tests)
            case PrefixExpression(right=operand):
                negated = self._test(operand)
                return lambda run, current: not negated(run, current)
            case ComparisonExpression(left=left, operator=operator, right=right):
                return self._comparison(left, operator, right)
            case FilterQuery():
                return self._existence(expression)
            case FunctionExtension(name="match" | "search" as name, args=args):
                return self._pattern(name == "match", *args)
        raise StateQueryError(f"The JSONPath has a filter that is not a test: {expression}.")

    def _comparison(self, left: Expression, operator: str, right: Expression) -> Evaluate:
        compare = _COMPARISONS[operator]
        first, second = self._value(left), self._value(right)
        return lambda run, current: compare(run, first(run, current), second(run, current))

    def _existence(self, query: FilterQuery) -> Evaluate:
        steps, segments = self.query(query.query)
        if not segments:
            # "Exists" is not "is truthy": 0, false, null and "" exist.
            value = _singular(query, steps)
            return lambda run, current: value(run, current) is not NOTHING
        nodes = self._nodes(query)
        return lambda run, current: bool(nodes(run, current))

    def _value(self, expression: Expression) -> Evaluate:
        self._size += 1
        match expression:
            case FilterExpressionLiteral():
                literal = _literal(expression)
                return lambda run, current: literal
            case FilterQuery():
                steps, segments = self.query(expression.query)
                if not segments:
                    return _singular(expression, steps)
            case FunctionExtension(name="length", args=[argument]):
                value = self._value(argument)
                return lambda run, current: _length(value(run, current))
            case FunctionExtension(name="count", args=[FilterQuery() as query]):
                counted = self._nodes(query)
                return lambda run, current: len(counted(run, current))
            case FunctionExtension(name="value", args=[FilterQuery() as query]):
                nodes = self._nodes(query)
                return lambda run, current: _only(nodes(run, current))
        raise StateQueryError(f"The JSONPath compares what is not one value: {expression}.")

    def _nodes(self, query: FilterQuery) -> Find:
        find = finder(*self.query(query.query))
        if isinstance(query, RootFilterQuery):
            return lambda run, current: find(run, run.root)
        return find

    def _pattern(self, whole: bool, text: Expression, pattern: Expression) -> Evaluate:
        if isinstance(pattern, FilterExpressionLiteral) and isinstance(pattern.value, str):
            compile_pattern(pattern.value)  # A literal pattern over a limit is an error here.
        subject, regexp = self._value(text), self._value(pattern)
        return lambda run, current: matches(
            run, subject(run, current), regexp(run, current), whole=whole
        )


def finder(steps: tuple[Step, ...], segments: tuple[Segment, ...]) -> Find:
    """Return a compiled query as one function of the run and the value to start from."""

    def find(run: Run, start: Any) -> Values:
        value = walk(steps, start)
        nodes = [] if value is NOTHING else [value]
        for segment in segments:
            nodes = segment(run, nodes)
            run.spend(len(nodes))
        return nodes

    return find


def _leading_steps(segments: Iterable[JSONPathSegment]) -> list[Step]:
    steps: list[Step] = []
    for segment in segments:
        if isinstance(segment, JSONPathRecursiveDescentSegment) or len(segment.selectors) > 1:
            break
        match segment.selectors[0]:
            case NameSelector(name=key) | IndexSelector(index=key):
                steps.append(step(key))
            case _:
                break
    return steps


def _singular(query: FilterQuery, steps: tuple[Step, ...]) -> Evaluate:
    if isinstance(query, RootFilterQuery):
        return lambda run, current: walk(steps, run.root)
    return lambda run, current: walk(steps, current)


def _operands(expression: LogicalExpression) -> list[Expression]:
    # The parser nests a chain to the right; one list spares the stack.
    operands = []
    right: Expression = expression
    while isinstance(right, LogicalExpression) and right.operator == expression.operator:
        operands.append(right.left)
        right = right.right
    return [*operands, right]


def _each(selectors: list[Segment]) -> Segment:
    def select(run: Run, nodes: Values) -> Values:
        run.spend(len(nodes) * len(selectors))
        found: Values = []
        for node in nodes:
            for selector in selectors:
                found += selector(run, [node])
                run.check_results(found)
        return found

    return select


def _wildcard(run: Run, nodes: Values) -> Values:
    found: Values = []
    for node in nodes:
        found.extend(_children(node))
        run.check_results(found)
    return found


def _slice(bounds: slice) -> Segment:
    def select(run: Run, nodes: Values) -> Values:
        found: Values = []
        for node in nodes:
            if isinstance(node, list) and bounds.step != 0:
                found.extend(node[bounds])
                run.check_results(found)
        return found

    return select


def _filter(test: Evaluate, weight: int) -> Segment:
    def select(run: Run, nodes: Values) -> Values:
        found: Values = []
        for node in nodes:
            children = _children(node)
            run.spend(len(children) * weight)
            found.extend([child for child in children if test(run, child)])
            run.check_results(found)
        return found

    return select


def _descend(run: Run, nodes: Values) -> Values:
    """Return each node and its descendants in document order, without scalars, which have no
    children."""
    found: Values = []

    def visit(node: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            over_limit("depth", MAX_DEPTH, "levels")
        found.append(node)
        for child in _children(node):
            if isinstance(child, (dict, list)):
                visit(child, depth + 1)

    for node in nodes:
        visit(node, 0)
        run.check_results(found)
    run.spend(len(found))
    return found


def _children(node: Any) -> Any:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _literal(literal: FilterExpressionLiteral[Any]) -> Any:
    text = literal.token.value
    if isinstance(literal, IntegerLiteral) and text.lstrip("-").isdigit():
        return int(text)  # The parser goes through a float, which rounds a long identifier.
    if isinstance(literal.value, float) and not isfinite(literal.value):
        over_limit("numbers", MAX_NUMBER, "at most")
    return literal.value


def _length(value: Any) -> Any:
    return len(value) if isinstance(value, (str, list, dict)) else NOTHING


def _only(nodes: Values) -> Any:
    return nodes[0] if len(nodes) == 1 else NOTHING
