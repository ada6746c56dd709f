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


# Deep values


def nested(levels: int, leaf: Any) -> dict[str, Any]:
    value: dict[str, Any] = {"leaf": leaf}
    for level in range(levels):
        value = {"below": value, "level": level}
    return value


def test_a_merge_looks_at_each_part_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_encoded = 0
    canonical = json_text.canonical

    def counted(value: Any) -> bytes:
        nonlocal bytes_encoded
        encoded = canonical(value)
        bytes_encoded += len(encoded)
        return encoded

    monkeypatch.setattr(json_text, "canonical", counted)
    for levels in (50, 200):
        bytes_encoded = 0
        base = nested(levels, {"a": 1, "b": 1})
        mine, theirs = nested(levels, {"a": 2, "b": 1}), nested(levels, {"a": 1, "b": 2})
        assert merge_fields(base, mine, theirs) == nested(levels, {"a": 2, "b": 2})
        size = len(canonical(base))
        assert bytes_encoded < 50 * size, "what is encoded grows as the value does"


def test_the_levels_below_merge_as_those_above() -> None:
    base = nested(20, {"same": 1, "mine": 1, "theirs": 1, "gone": 1})
    mine = nested(20, {"same": 1, "mine": 2, "theirs": 1, "new": 1})
    theirs = nested(20, {"theirs": 2, "mine": 1, "same": 1, "gone": 1})
    assert merge_fields(base, mine, theirs) == nested(
        20, {"same": 1, "mine": 2, "theirs": 2, "new": 1}
    )
    with pytest.raises(Unmergeable):
        merge_fields(base, nested(20, {"same": 2}), nested(20, {"same": 3}))
