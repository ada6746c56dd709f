from __future__ import annotations

import json
from typing import Any

import jsonpickle
import pytest
from hypothesis import given, settings

from botstate_ext.errors import StateDecodeError
from botstate_ext.serialization.allow_list import AllowList
from botstate_ext.serialization.jsonpickle import expand_references, restore
from tests.examples import examples
from tests.serialization import strategies
from tests.serialization.models import TYPES, Plain
from tests.serialization.older import as_1_2, as_1_4

ALLOWED = AllowList(TYPES)


def shared_document() -> dict[str, Any]:
    colours = ["red"]
    person = Plain(name="Ann", tags=colours, address={"zip": ["1"]})
    return {
        "profile": person,
        "history": [{"by": person, "tags": colours}, {"by": person, "tags": colours}],
        "Zebra": colours,
    }


def test_references_become_copies() -> None:
    document = json.loads(jsonpickle.encode(shared_document()))
    expanded = expand_references(document)
    assert "py/id" not in json.dumps(expanded)
    assert restore(expanded, ALLOWED) == shared_document()
    expanded["Zebra"].append("green")
    assert expanded["profile"]["tags"] == ["red"]


@pytest.mark.parametrize("written", [as_1_2, as_1_4])
def test_documents_that_earlier_versions_wrote(written: Any) -> None:
    document = written(shared_document())
    assert "py/id" in json.dumps(document)
    assert restore(expand_references(document), ALLOWED) == shared_document()


def test_where_both_ways_to_count_make_sense_the_later_one_is_taken() -> None:
    document = {"a": [1], "b": [2], "c": {"py/id": 1}}
    assert expand_references(document)["c"] == [1]
    assert expand_references(document, numbers_dictionaries=False)["c"] == [2]


def test_where_one_way_to_count_makes_no_sense_it_is_the_other() -> None:
    assert expand_references({"a": [1], "b": [2], "c": {"py/id": 0}})["c"] == [1]
    assert expand_references({"a": {"b": [1]}, "c": {"py/id": 1}})["c"] == {"b": [1]}


def test_a_reference_is_rather_to_something_of_its_own_name() -> None:
    document = {"list": [[1]], "tags": [2], "more": {"tags": {"py/id": 2}}}
    assert expand_references(document)["more"]["tags"] == [2]
    document = {"tags": [2], "list": [[1]], "more": {"tags": {"py/id": 1}}}
    assert expand_references(document)["more"]["tags"] == [2]


def test_a_state_that_only_1_wrote_tells() -> None:
    # On Python 3.11 every object has a __getstate__, which 1.x took for the class's own.
    state = {"a": [1], "b": [2], "c": [3], "d": [4], "e": {"py/id": 3}}
    for name, meant in (("botbuilder.schema._models_py3.Entity", [3]), ("app.Class", [1])):
        document = {"object": {"py/object": name, "py/state": state}}
        assert expand_references(document)["object"]["py/state"]["e"] == meant


def test_our_own_entries_do_not_disturb() -> None:
    document = json.loads(jsonpickle.encode(shared_document()))
    document["e_tag"] = "0x8D"
    document["$state"] = {"v": 1, "props": {}, "writes": ["a"]}
    expanded = expand_references(document)
    assert expanded.pop("e_tag") == "0x8D"
    assert expanded.pop("$state") == {"v": 1, "props": {}, "writes": ["a"]}
    assert restore(expanded, ALLOWED) == shared_document()


def test_a_whole_item_that_is_an_object() -> None:
    shared = ["a"]
    document = json.loads(jsonpickle.encode(Plain(one=shared, other=shared)))
    assert restore(expand_references(document), ALLOWED) == Plain(one=["a"], other=["a"])


@given(strategies.shared_values())
@settings(max_examples=examples(100), deadline=None)
def test_numbers_are_those_of_the_real_decoder(document: dict[str, Any]) -> None:
    theirs = jsonpickle.encode(document)
    decoded = jsonpickle.decode(theirs)  # noqa: S301 - what upstream does is the question
    expanded = expand_references(json.loads(theirs), numbers_dictionaries=True)
    assert restore(expanded, ALLOWED) == decoded == document
    expanded = expand_references(as_1_4(document), numbers_dictionaries=False)
    assert restore(expanded, ALLOWED) == document


@pytest.mark.parametrize(
    "document",
    [
        {"a": {"py/id": 7}},
        {"a": {"py/id": 1}},
        {"a": {"py/id": -1}},
        {"a": {"py/id": "1"}},
        {"a": {"py/id": True}},
        {"a": [], "b": {"py/id": 1.0}},
        {"a": {"py/id": None}},
    ],
)
def test_a_reference_to_nothing_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(StateDecodeError, match="py/id"):
        expand_references(document)


@pytest.mark.parametrize(
    "document",
    [
        {"me": {"py/id": 0}},
        {"a": {"b": {"py/id": 1}}},
        {"a": [{"py/id": 1}]},
        {"a": {"py/object": "x.Y", "me": [{"py/id": 1}]}},
    ],
)
def test_a_cycle_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(StateDecodeError):
        expand_references(document)


def test_what_would_grow_beyond_measure_is_refused() -> None:
    laughs: dict[str, Any] = {"0": ["ha"] * 10}
    for level in range(1, 10):
        laughs[str(level)] = [{"py/id": len(laughs)}] * 10
    with pytest.raises(StateDecodeError, match="more than 1000000 values"):
        expand_references(laughs)


def test_long_texts_count_as_much() -> None:
    text = {"a": ["x" * 1_000_000], "b": [{"py/id": 1}] * 100}
    with pytest.raises(StateDecodeError, match="more than"):
        expand_references(text)
    keys = {"a": {"x" * 1_000_000: 1}, "b": [{"py/id": 1}] * 100}
    with pytest.raises(StateDecodeError, match="more than"):
        expand_references(keys)


def test_the_limit_is_exact() -> None:
    document = {"a": [1, 2], "b": [{"py/id": 1}, {"py/id": 1}]}
    assert expand_references(document, max_nodes=6)["b"] == [[1, 2], [1, 2]]
    with pytest.raises(StateDecodeError):
        expand_references(document, max_nodes=5)


def test_what_would_nest_beyond_measure_is_refused() -> None:
    document: dict[str, Any] = {"0": []}
    for level in range(1, 1200):
        document[str(level)] = [{"py/id": level}]
    with pytest.raises(StateDecodeError, match="too deeply"):
        expand_references(document)
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(StateDecodeError, match="too deeply"):
        expand_references(deep)


@given(strategies.TAGGED_JSON)
@settings(max_examples=examples(200), deadline=None)
def test_any_json_expands_or_is_refused(value: Any) -> None:
    try:
        expanded = expand_references({"a": value})
    except StateDecodeError:
        return
    assert '"py/id":' not in json.dumps(expanded)
