"""Constructors and validators do not run on what this package wrote; on other JSON they do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pytest

from botstate_ext import StateDecodeError, StateEncodeError
from botstate_ext.serialization.allow_list import AllowList
from botstate_ext.serialization.comparison import difference
from botstate_ext.serialization.typed_codec import TypedCodec
from tests.serialization import corpus


@pytest.mark.parametrize("is_hint", [True, False])
@pytest.mark.parametrize(
    "value",
    [
        corpus.Taxed(100.0),
        corpus.AttrsTaxed(100.0),
        corpus.TaxedStruct(100.0),
        corpus.Converting(3),
        corpus.Doubling(number=3),
        corpus.Counting(number=3),
    ],
)
def test_they_do_not_run_again_over_many_turns(value: Any, is_hint: bool) -> None:
    codec = TypedCodec(type(value), AllowList, is_hint=is_hint)
    text = codec.encode(value)
    for _ in range(3):
        back = codec.decode(text)
        assert difference(value, back) is None
        assert codec.encode(back, text) is text


def test_plain_json_of_others_is_validated() -> None:
    assert TypedCodec(corpus.Taxed, AllowList).decode(b'{"price":100}').price == pytest.approx(120)
    with pytest.raises(StateDecodeError):
        TypedCodec(corpus.Doubling, AllowList).decode(b'{"number":"x"}')


@dataclass
class Idiom:
    name: str = None  # type: ignore[assignment]
    at: datetime | None = None


def test_a_hint_does_not_check_annotations_and_a_declared_type_does() -> None:
    hint = TypedCodec(Idiom, AllowList, is_hint=True)
    value = Idiom(at=corpus.MOMENTS[1])
    text = hint.encode(value)
    assert msgspec.json.decode(text) == {"name": None, "at": "2024-01-02T00:00:00Z"}
    assert hint.decode(text) == value
    with pytest.raises(StateEncodeError, match="Idiom"):
        TypedCodec(Idiom, AllowList).encode(value)


def test_classes_that_the_class_names_in_its_code_are_allowed() -> None:
    value = corpus.Asked(corpus.Colour.PAIR, corpus.Inner("x"))
    for is_hint in (True, False):
        codec = TypedCodec(corpus.Asked, AllowList, is_hint=is_hint)
        assert difference(value, codec.decode(codec.encode(value))) is None
    with pytest.raises(StateEncodeError, match=r"types=\[MoreInner\]"):
        TypedCodec(corpus.Asked, AllowList).encode(corpus.Asked(address=corpus.MoreInner()))


def test_what_would_be_lost_is_named_with_its_path() -> None:
    with pytest.raises(StateEncodeError, match=r"\$\.it"):
        TypedCodec(corpus.InDataclass, AllowList).encode(corpus.InDataclass([corpus.Plain()]))
    value = corpus.Fields(items=[corpus.Inner(), corpus.Inner(name=3)])  # type: ignore[arg-type]
    with pytest.raises(StateEncodeError, match=r"\$\.items\[1\]\.name"):
        TypedCodec(corpus.Fields, AllowList).encode(value)
