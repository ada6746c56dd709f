from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.serialization.json_text import is_plain
from botstate_ext.serialization.jsonpickle import has_references, has_tags
from tests.serialization import strategies
from tests.serialization.models import Headers, Level, Name, Words


@st.composite
def spellings(draw: st.DrawFn, key: str) -> bytes:
    """A key as JSON may spell it: any character may be an escape."""
    text = ""
    for character in key:
        forms = [character, f"\\u{ord(character):04x}", f"\\u{ord(character):04X}"]
        text += draw(st.sampled_from([*forms, "\\/"] if character == "/" else forms))
    return f'{{"a": [{{"{text}": 1}}]}}'.encode()


@given(st.sampled_from(["py/object", "py/reduce", "py/id", "py/b64"]).flatmap(spellings))
def test_no_spelling_of_a_tag_is_missed(raw: bytes) -> None:
    assert next(iter(json.loads(raw)["a"][0])).startswith("py/")
    assert has_tags(raw)


@given(spellings("py/id"))
def test_no_spelling_of_a_reference_is_missed(raw: bytes) -> None:
    assert has_references(raw)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_no_encoding_hides_a_tag(encoding: str) -> None:
    # The standard library's json reads all of these as bytes.
    raw = '{"py/object": "x", "a": {"py/id": 1}}'.encode(encoding)
    assert has_tags(raw)
    assert has_references(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b'{"a": "happy/days", "b": ["py"], "py": "a/py/b"}',
        b'{"a": "caf\\u00e9 \\n \\"quoted\\" \\ud83d\\ude00"}',
    ],
)
def test_ordinary_text_has_none(raw: bytes) -> None:
    assert not has_tags(raw)
    assert not has_references(raw)


def test_tags_without_references() -> None:
    assert not has_references(
        b'{"py/object": "a.B", "id": 1, "x": "py/id"}'.replace(b'"py/id"', b'""')
    )


PLAIN_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(
        st.text().filter(lambda key: not key.startswith("py/")), children),
    max_leaves=30,
)  # fmt: skip


@given(PLAIN_JSON)
def test_plain_is_plain(value: Any) -> None:
    assert is_plain(value)
    assert not is_plain([value, (value,)])


@pytest.mark.parametrize(
    "value",
    [
        (), set(), b"", object(), Level.LOW, Name("a"), Words(), Headers(), float("nan"),
        float("inf"), -float("inf"), {1: 2}, {None: 1}, {Name("a"): 1}, {"py/": 1},
        {"py/object": 1}, {"py/id": 0}, {("a",): 1}, 1j,
    ],
    ids=strategies.id_of,
)  # fmt: skip
def test_what_is_not_plain(value: Any) -> None:
    for held in (value, [value], {"a": [1, {"b": value}]}):
        assert not is_plain(held)


@pytest.mark.parametrize("key", ["py", "py.", "py0", "p", "Py/", "py-object", "spy/", "", " py/"])
def test_keys_near_a_tag_are_plain(key: str) -> None:
    assert is_plain({key: [{key: 1}]})


def test_what_is_shared_may_be_plain() -> None:
    shared = [1, 2]
    assert is_plain([shared, shared])


def test_depth_is_no_matter_to_plain() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    assert is_plain(value)
    while isinstance(value, list):  # taken apart by hand: freeing it at once would recurse in C
        value = value.pop()


def test_the_names_of_tags_are_jsonpickles() -> None:
    from jsonpickle import tags

    from botstate_ext.serialization.jsonpickle import tags as ours

    theirs = {value for value in vars(tags).values() if isinstance(value, str)}
    mine = {value for value in vars(ours).values() if isinstance(value, str)}
    assert {value for value in mine if re.fullmatch(r"py/\w+", value)} <= theirs
