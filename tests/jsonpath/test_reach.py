"""Reach: a path finds the same in a value that holds only what it says it can reach."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.jsonpath import JsonPath
from botstate_ext.jsonpath.state_query import StateQuery


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("$", {()}),
        ("$.user", {("user",)}),
        ("$.user.profile.name", {("user", "profile")}),
        ("$.user['a','b'].c", {("user", "a"), ("user", "b")}),
        ("$['user','bot'].a", {("user", "a"), ("bot", "a")}),
        ("$.user.*", {("user",)}),
        ("$.user[0]", {("user",)}),
        ("$.user..name", {("user",)}),
        ("$..name", {()}),
        ("$.*.name", {()}),
        ("$['user', 0]", {()}),
        ("$[?@.name]", {()}),
        (
            "$.user.carts[?@.city == $.conversation.city.name]",
            {("user", "carts"), ("conversation", "city")},
        ),
        ("$.a.b[?@.c[?!(@ == $.d.e.f || count($.g.*) > 1)]]", {("a", "b"), ("d", "e"), ("g",)}),
        ("$.a.b[?$.c.d[?$.e.f]]", {("a", "b"), ("c", "d"), ("e", "f")}),
        ("$.a.b[?$..c]", {("a", "b"), ()}),
        ("$.a.b[?@ == $.a]", {("a", "b"), ("a",)}),
        ("$.a.b[?length(@) == 1]", {("a", "b")}),
    ],
)
def test_reach_of_two_names(path: str, places: set[tuple[str, ...]]) -> None:
    assert JsonPath(path).reach(2) == places


def test_roots_are_the_top_level_names_or_none_for_any() -> None:
    assert JsonPath("$.a.b[?@ == $.c]").roots == frozenset({"a", "c"})
    assert JsonPath("$['a','b']").roots == frozenset({"a", "b"})
    assert JsonPath("$..a").roots is None
    assert JsonPath("$").roots is None


def test_reach_is_cut_at_the_depth_that_is_asked_for() -> None:
    path = JsonPath("$.a.b.c")
    assert [path.reach(depth) for depth in range(5)] == [
        {()},
        {("a",)},
        {("a", "b")},
        {("a", "b", "c")},
        {("a", "b", "c")},
    ]


def test_names_that_multiply_are_given_up_in_time() -> None:
    names = ",".join(f"'{i}'" for i in range(100))
    places = JsonPath(f"$[{names}][{names}][{names}]").reach(3)
    assert places == {(str(i),) for i in range(100)}


def test_a_query_reaches_what_any_of_its_paths_reaches() -> None:
    query = StateQuery({"a": "$.user.name", "b": "$.user.age", "c": "$.bot"})
    assert query.reach(2) == {("user", "name"), ("user", "age"), ("bot",)}
    assert query.add("d", "$").reach(2) == {("user", "name"), ("user", "age"), ("bot",), ()}
    assert StateQuery().reach(2) == frozenset()


names = st.sampled_from(["a", "b", "c"])
segments = st.one_of(
    names.map(".{}".format),
    st.lists(names, min_size=1, max_size=3).map(lambda some: str(sorted(some)).replace('"', "'")),
    st.sampled_from([".*", "..a", "[0]", "[?@.a]", "[?@ == $.b.a]", "[?$.c.b[?@.a == $.a]]"]),
)
paths = st.lists(segments, max_size=4).map(lambda some: "$" + "".join(some))
leaves = st.sampled_from([1, 2, "x", None])
documents = st.dictionaries(
    names,
    st.recursive(leaves, lambda inner: st.dictionaries(names, inner, max_size=3) | st.lists(inner)),
)


@given(paths, documents, st.integers(0, 3))
def test_a_path_finds_the_same_where_only_its_reach_is_left(
    path: str, document: dict[str, Any], depth: int
) -> None:
    compiled = JsonPath(path)
    kept = _only(document, compiled.reach(depth), ())
    assert compiled.find(kept) == compiled.find(document)


def _only(value: Any, places: frozenset[tuple[str, ...]], at: tuple[str, ...]) -> Any:
    if at in places or not isinstance(value, dict):
        return value
    wanted = {place[len(at)] for place in places if place[: len(at)] == at}
    return {name: _only(value[name], places, (*at, name)) for name in value if name in wanted}
