"""Eight queries of a typical bot: this package beside two libraries and Python written by hand.

Microseconds a call for this package, and how many times that the others take. All paths are
compiled beforehand, and all answers compared: a library that answers otherwise, or cannot express
the query, is shown as such.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from timeit import repeat
from typing import Any, NamedTuple

import jsonpath as python_jsonpath
import jsonpath_ng.ext
import jsonpath_rfc9535

from botstate_ext.jsonpath import JsonPath

from . import report

LIBRARIES = ("jsonpath-rfc9535", "python-jsonpath", "jsonpath-ng")
HEADS = ("path", "us", "by hand")

GOAL_MICROSECONDS = 5.0
"""What a singular path may take on a decoded document of 8 KB."""

DOCUMENT: dict[str, Any] = {
    "name": "Ann",
    "a": {"b": {"c": "deep"}},
    "orders": [
        {"item": f"pizza {number}", "price": 5 + number % 10 / 2, "by": f"user-{number:050}"}
        for number in range(80)
    ],
}
_MATCH = re.compile("pizza [0-9]")

Find = Callable[[Any], list[Any]]


class Query(NamedTuple):
    path: str
    by_hand: Find
    jsonpath_ng: str | None = None
    """The same in its dialect, where that differs."""


def _descend(value: Any) -> list[Any]:
    if isinstance(value, dict):
        found = [value["price"]] if "price" in value else []
        return found + [one for child in value.values() for one in _descend(child)]
    return [one for child in value for one in _descend(child)] if isinstance(value, list) else []


QUERIES = [
    Query("$.name", lambda d: [d["name"]] if "name" in d else []),
    Query("$.a.b.c", lambda d: [d["a"]["b"]["c"]] if "c" in d.get("a", {}).get("b", {}) else []),
    Query("$.orders[*].item", lambda d: [o["item"] for o in d.get("orders", ()) if "item" in o]),
    Query("$.orders[-1].item", lambda d: [d["orders"][-1]["item"]] if d.get("orders") else []),
    Query("$.orders[0:3]", lambda d: d["orders"][0:3] if "orders" in d else []),
    Query("$..price", _descend),
    Query(
        "$.orders[?@.price < 7].item",
        lambda d: [o["item"] for o in d.get("orders", ()) if o.get("price", 7) < 7],
        "$.orders[?(@.price < 7)].item",
    ),
    Query(
        "$.orders[?match(@.item, 'pizza [0-9]')].item",
        lambda d: [o["item"] for o in d.get("orders", ()) if _MATCH.fullmatch(o.get("item", ""))],
        "$.orders[?(@.item =~ 'pizza [0-9]$')].item",
    ),
]


def main() -> None:
    size = len(json.dumps(DOCUMENT)) / 1000
    rows, slowest = [], 0.0
    for query in QUERIES:
        path = JsonPath(query.path)
        ours = _microseconds(path.find)
        if path.singular:
            slowest = max(slowest, ours)
        ratios = [_ratio(find, query, ours) for find in _others(query)]
        rows.append([f"`{query.path}`", f"{ours:.2f}", *ratios])
    names = [f"{name} {version(name)}" for name in LIBRARIES]
    print(report.table(f"JSONPath on a decoded document of {size:.1f} KB", [*HEADS, *names], rows))
    print(f"A singular path takes {slowest:.2f} us at most; the goal is {GOAL_MICROSECONDS:g}.\n")


def _others(query: Query) -> list[Find | None]:
    return [
        query.by_hand,
        _compiled(lambda: jsonpath_rfc9535.compile(query.path), lambda found: found.values()),
        _compiled(lambda: python_jsonpath.compile(query.path), list, "findall"),
        _compiled(
            lambda: jsonpath_ng.ext.parser.parse(query.jsonpath_ng or query.path),
            lambda found: [one.value for one in found],
        ),
    ]


def _compiled(
    compile_path: Callable[[], Any], values: Callable[[Any], list[Any]], method: str = "find"
) -> Find | None:
    try:
        find = getattr(compile_path(), method)
    except Exception as error:  # noqa: BLE001 - each library raises its own; shown as "no"
        print(f"  refused: {type(error).__name__}", file=sys.stderr)
        return None
    return lambda value: values(find(value))


def _ratio(find: Find | None, query: Query, ours: float) -> str:
    if find is None:
        return "no"
    if find(DOCUMENT) != JsonPath(query.path).find(DOCUMENT):
        return "differs"
    return f"{_microseconds(find) / ours:.1f}x"


def _microseconds(find: Find) -> float:
    calls = 20
    while (seconds := min(repeat(lambda: find(DOCUMENT), number=calls, repeat=9))) < 0.01:
        calls *= 4
    return seconds / calls * 1e6
