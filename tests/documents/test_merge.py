"""Three-way merge: no change of either side is lost, or it says that it cannot."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.documents.merge import Unmergeable, merge_append, merge_fields
from botstate_ext.serialization import json_text

atoms = st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=2)
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)
lists = st.lists(st.integers(0, 5), max_size=6)


def text(value: Any) -> bytes:
    return json_text.canonical(value)


@given(values, values, st.sampled_from([merge_fields, merge_append]))
def test_a_change_of_one_side_only_is_taken(base: Any, changed: Any, rule: Any) -> None:
    assert text(rule(base, changed, base)) == text(changed)
    assert text(rule(base, base, changed)) == text(changed)


@given(objects, objects, objects)
def test_fields_holds_every_change_of_both_sides_or_refuses(base: Any, mine: Any, its: Any) -> None:
    try:
        merged = merge_fields(base, mine, its)
    except Unmergeable:
        return
    for side, other in ((mine, its), (its, mine)):
        for name in {*base, *side}:
            changed = text(base.get(name, "∅")) != text(side.get(name, "∅"))
            alone = text(base.get(name, "∅")) == text(other.get(name, "∅"))
            if changed and alone:
                assert text(merged.get(name, "∅")) == text(side.get(name, "∅"))


@given(lists, lists, lists)
def test_append_holds_what_each_side_added(base: Any, mine: Any, its: Any) -> None:
    merged = Counter(merge_append(base, mine, its))
    added = (Counter(mine) - Counter(base)) + (Counter(its) - Counter(base))
    removed = (Counter(base) - Counter(mine)) | (Counter(base) - Counter(its))
    for item in {*base, *mine, *its}:
        assert merged[item] >= added[item]
        assert merged[item] >= base.count(item) - removed[item] - min(
            (Counter(base) - Counter(mine))[item], (Counter(base) - Counter(its))[item]
        )


def test_append_keeps_the_order_theirs_first() -> None:
    assert merge_append([1], [1, 2], [1, 3]) == [1, 3, 2]


def test_append_keeps_two_equal_additions() -> None:
    assert merge_append([], ["margherita"], ["margherita"]) == ["margherita", "margherita"]


def test_append_merges_a_list_within_an_object() -> None:
    merged = merge_append(
        {"code": 1, "items": []}, {"code": 1, "items": ["a"]}, {"code": 1, "items": ["b"]}
    )
    assert merged == {"code": 1, "items": ["b", "a"]}


@pytest.mark.parametrize(("mine", "theirs"), [(1, True), (1, 1.0), ("1", 1)])
def test_values_that_python_holds_equal_are_two_changes(mine: Any, theirs: Any) -> None:
    with pytest.raises(Unmergeable):
        merge_fields({"x": 0}, {"x": mine}, {"x": theirs})


def test_removed_here_and_changed_there_is_a_conflict() -> None:
    with pytest.raises(Unmergeable):
        merge_fields({"x": 0}, {}, {"x": 1})
