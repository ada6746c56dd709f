"""StateQuery: several selectors, and the example that it comes from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from botstate_ext.errors import StateQueryError
from botstate_ext.jsonpath import JsonPath
from botstate_ext.jsonpath.state_query import StateQuery

PERSON: dict[str, Any] = {
    "Firstname": "Thimo",
    "Lastname": "Koolen",
    "DateOfBirth": {"Day": 22, "Month": 12, "Year": 1997},
    "Active": True,
}
SELECTORS = {"First": ".$Firstname", "Last": ".$Lastname", "BirthYear": ".$DateOfBirth.Year"}
ANSWER = {"First": "Thimo", "Last": "Koolen", "BirthYear": 1997}


def test_the_example_of_the_scripted_chatbot_word_for_word() -> None:
    assert StateQuery().add_from_json(json.dumps(SELECTORS)).run(PERSON) == ANSWER


def test_three_ways_to_add_a_selector_are_one() -> None:
    added = StateQuery()
    for key, path in SELECTORS.items():
        added.add(key, path)
    assert added.run(PERSON) == StateQuery(SELECTORS).run(PERSON) == ANSWER
    assert StateQuery({"Year": JsonPath("$..Year")}).run(PERSON) == {"Year": [1997]}


def test_the_answer_has_the_same_keys_in_the_same_order() -> None:
    query = StateQuery({"z": "$.missing", "a": "$.missing[*]", "Z": "$.Active"})
    assert list(query.run(PERSON).items()) == [("z", None), ("a", []), ("Z", True)]
    assert list(query.selectors) == ["z", "a", "Z"]
    assert StateQuery().run(PERSON) == {}


def test_a_key_is_taken_once() -> None:
    query = StateQuery({"a": "$.a"})
    with pytest.raises(StateQueryError, match="'a' has a selector already"):
        query.add("a", "$.b")
    with pytest.raises(StateQueryError, match="'b' has a selector already"):
        query.add_from_json('{"b": "$.b", "b": "$.c"}')
    with pytest.raises(StateQueryError, match="'a' has a selector already"):
        query.add_from_json('{"b": "$.b", "a": "$.c"}')
    assert dict(query.selectors) == {"a": JsonPath("$.a")}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "are not JSON"),
        ("{", "are not JSON"),
        ('"First": "$.Firstname"', "are not JSON"),
        ("[" * 50_000, "are not JSON"),
        ("[]", "are a JSON object"),
        ('["$.a"]', "are a JSON object"),
        ('"$.a"', "are a JSON object"),
        ('{"a": 1}', "is a string, not int"),
        ('{"a": {"b": "$.b"}}', "is a string"),
        ('{"a": "no path"}', "'no path' is not valid"),
        ('{"a": "$.' + "a" * 100_000 + '"}', "over the limit on their JSON"),
    ],
)
def test_selectors_that_are_no_json_object_of_paths_are_refused(text: str, problem: str) -> None:
    query = StateQuery()
    with pytest.raises(StateQueryError, match=problem):
        query.add_from_json(text)
    assert dict(query.selectors) == {}


def test_a_key_is_a_string() -> None:
    with pytest.raises(StateQueryError, match="is a string"):
        StateQuery({1: "$.a"})  # type: ignore[dict-item]  # what an untyped caller may do


def test_there_are_a_hundred_selectors_at_most() -> None:
    query = StateQuery({str(number): "$.a" for number in range(100)})
    with pytest.raises(StateQueryError, match="over the limit on selectors: 100"):
        query.add("one more", "$.a")


def test_the_selectors_share_the_limits_of_one_run() -> None:
    value = {"items": [[0] * 100 for _ in range(100)]}
    heavy = "$.items[?count($..*) > 1]"
    assert len(JsonPath(heavy).find({"items": [0] * 10})) == 10
    query = StateQuery({str(number): "$..[?@ == 1]" for number in range(100)})
    with pytest.raises(StateQueryError, match="over the limit on work"):
        query.run(value)
    assert JsonPath("$..[?@ == 1]").find(value) == []


def test_a_query_shows_its_paths() -> None:
    assert repr(StateQuery({"a": ".$b"})) == "StateQuery({'a': '$.b'})"
