"""Hostile selectors and values: each ends in an error that names the limit, none in a hang or a
crash. A hang shows in the suite's own time-out, a crash as what it is."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import pytest

from botstate_ext.errors import StateQueryError
from botstate_ext.jsonpath import JsonPath, limits


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def short(parameter: object) -> str:
    return parameter[:30] if isinstance(parameter, str) else "value"


BUSHY: dict[str, Any] = {str(i): {str(j): [i, j] for j in range(20)} for i in range(100)}


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("$" + ".a" * 200_000, "a path's length: 2,000"),
        ("$" + ".a" * 101, "segments: 100"),
        ("$" + "..*" * 101, "segments: 100"),
        ("$[?" + "||".join(["@.a"] * 101) + "]", "segments: 100"),
        ("$" + "[?@" * 500 + "]" * 500, "a path's length: 2,000"),
        ("$" + "[?@" * 400 + "]" * 400, "a path's nesting: 20"),
        ("$[?" + "(" * 500 + "@" + ")" * 500 + "]", "a path's nesting: 20"),
        ("$[" * 900, "a path's nesting: 20"),
        ("$[?" + "length(" * 30 + "@" + ")" * 30 + "==1]", "a path's nesting: 20"),
        ("$[?" + "&&".join(["@"] * 600) + "]", "logical operators: 100"),
        ("$[?" + "||".join(["@"] * 600) + "]", "logical operators: 100"),
        ("$[?match(@,'" + "(" * 900 + "')]", "a pattern's length: 500"),
        ("$[?match(@,'" + "(" * 250 + ")" * 250 + "')]", "a pattern's nesting: 20"),
        ("$[?match(@,'((a{1000}){1000}){1000}')]", "a pattern's repeats: 10,000"),
        ("$[?search(@,'a{999999999}')]", "a pattern's repeats: 10,000"),
        ("$[?@ == 1E400]", r"numbers: 1e\+308"),
        ("$[?@ == -1E400]", r"numbers: 1e\+308"),
        ("$[?@ == 1.5E400]", r"numbers: 1e\+308"),
        ("$[?@ == " + "9" * 1_900 + "]", r"numbers: 1e\+308"),
    ],
    ids=short,
)
def test_a_selector_over_a_limit_is_refused_when_compiled(path: str, limit: str) -> None:
    with pytest.raises(StateQueryError, match=f"over the limit on {limit}"):
        JsonPath(path)


@pytest.mark.parametrize("path", ["$[?" + "!" * 1_900 + "@]", "$[?! ! @]"])
def test_negations_of_negations_are_refused(path: str) -> None:
    with pytest.raises(StateQueryError, match="'!' twice"):
        JsonPath(path)


@pytest.mark.parametrize(
    ("path", "value", "limit"),
    [
        ("$[?match(@, '(a|aa)+b')]", ["a" * 60], "the time of patterns"),
        ("$[?search(@, '(a|aa)+b')]", ["a" * 60] * 1_000, "the time of patterns"),
        ("$.s[?match(@, $.p)]", {"s": ["a"], "p": "(" * 20_000}, "a pattern's length"),
        ("$" + "[*,*]" * 22, nested(30), "results"),
        ("$" + "[*,*]" * 22, [[[[[[[[1] * 9] * 9] * 9] * 9] * 9] * 9] * 9], "results"),
        ("$[" + ",".join(["*"] * 900) + "]", [0] * 90_000, "results"),
        ("$[" + ",".join(["::1"] * 400) + "]", [0] * 90_000, "results"),
        ("$..*", nested(10_000), "depth"),
        ("$..[?@.a]", nested(10_000), "depth"),
        ("$..[?$..[?$..*]]", BUSHY, "work"),
        ("$..[?count($..*) > 1]", BUSHY, "work"),
        ("$..[?count($..missing) > 1]", BUSHY, "work"),
        ("$.n[?count($.m[*]) > 1]", {"n": [0] * 1_000, "m": [0] * 10_000}, "work"),
        ("$..[?$ == $]", BUSHY, "work"),
        ("$..*..*..*..*", nested(150), "work|results"),
        ("$[*][" + ",".join(["'a'"] * 400) + "]", [{}] * 90_000, "work"),
        ("$.n[?$.a == $.b]", {"a": "a" * 10**7, "b": "a" * 10**7, "n": [0] * 999}, "work"),
        ("$.n[?$.a < $.b]", {"a": "a" * 10**7, "b": "a" * 10**7, "n": [0] * 999}, "work"),
    ],
    ids=short,
)
def test_a_path_that_costs_too_much_on_a_value_is_stopped(
    path: str, value: Any, limit: str
) -> None:
    with pytest.raises(StateQueryError, match=f"over the limit on ({limit})"):
        JsonPath(path).find(value)


def test_deep_values_are_compared_without_recursion() -> None:
    value = [{"a": nested(10_000), "b": nested(10_000)}, {"a": nested(10_000), "b": nested(9_999)}]
    assert len(JsonPath("$[?@.a == @.b]").find(value)) == 1
    assert len(JsonPath("$[?@.a != @.b]").find(value)) == 1


def test_the_stack_that_is_left_may_be_short() -> None:
    path, value = JsonPath("$..*"), nested(150)

    def at_depth(frames: int) -> list[Any]:
        return at_depth(frames - 1) if frames else path.find(value)

    used = len(inspect.stack())
    with pytest.raises(StateQueryError, match="over the limit on depth"):
        at_depth(sys.getrecursionlimit() - used - 100)


@pytest.mark.parametrize("path", ["$[*]", "$[::1]", "$[?@]", "$[*, 'a']"])
def test_a_hundred_thousand_results_and_not_one_more(path: str) -> None:
    assert len(JsonPath(path).find([0] * 100_000)) == 100_000
    with pytest.raises(StateQueryError, match="over the limit on results"):
        JsonPath(path).find([0] * 100_001)


def test_containers_on_the_way_down_count_as_results() -> None:
    value: list[Any] = [[] for _ in range(99_999)]
    assert JsonPath("$..a").find(value) == []
    with pytest.raises(StateQueryError, match="over the limit on results"):
        JsonPath("$..a").find([*value, []])


def test_exactly_at_a_limit_is_allowed() -> None:
    assert JsonPath("$" + ".a" * 100).singular
    assert JsonPath("$[?match(@, '" + "(" * 20 + "a" + ")" * 20 + "')]").find(["a"]) == ["a"]
    assert JsonPath("$[?match(@, '(a{100}){100}')]").find(["a" * 10_000, "a"]) == ["a" * 10_000]
    assert len(JsonPath("$..*").find(nested(200))) == 200
    with pytest.raises(StateQueryError, match="over the limit on depth"):
        JsonPath("$..*").find(nested(201))


def test_a_large_honest_document_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    # It takes a tenth of this limit, but not on a busy machine.
    monkeypatch.setattr(limits, "MAX_PATTERN_SECONDS", 300.0)
    value = {"orders": [{"price": i, "name": f"pizza {i}"} for i in range(50_000)]}
    assert len(JsonPath("$.orders[?@.price >= 25000].name").find(value)) == 25_000
    assert len(JsonPath("$..price").find(value)) == 50_000
    assert len(JsonPath("$.orders[?search(@.name, '99$')].name").find(value)) == 500


def test_an_error_shows_no_value_of_the_state() -> None:
    with pytest.raises(StateQueryError) as caught:
        JsonPath("$[?match(@.secret, '(a|aa)+b')]").find([{"secret": "a" * 60}])
    assert "aaa" not in str(caught.value)


def test_a_quick_pattern_is_stopped_on_many_texts_and_on_a_long_one() -> None:
    path = JsonPath("$[?search(@, 'a*[bc]')]")
    assert path.find(["xaab", "a"]) == ["xaab"]
    for value in (["a" * 1_000] * 100_000, ["a" * 10**6]):
        with pytest.raises(StateQueryError, match="over the limit on the time of patterns"):
            path.find(value)
