"""A text that was written or read before is not written again to be compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from botstate_ext.serialization import known_texts
from botstate_ext.serialization.allow_list import AllowList
from botstate_ext.serialization.known_texts import KnownTexts
from botstate_ext.serialization.typed_codec import TypedCodec
from botstate_ext.serialization.unknown_fields import UnknownFields
from botstate_ext.serialization.untyped_codec import UntypedCodec


@dataclass
class Item:
    name: str
    price: float = 1.5


@dataclass
class Cart:
    items: list[Item] = field(default_factory=list)


def test_as_many_are_kept_as_the_limit_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_texts, "_MAX_TEXTS", 2)
    known = KnownTexts()
    for text in (b"1", b"2", b"3"):
        known.add(text)
    assert [text in known for text in (b"1", b"2", b"3")] == [False, True, True]


@pytest.mark.parametrize("tagged", [False, True])
def test_a_base_that_was_read_before_is_not_read_again(
    tagged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = TypedCodec(Cart, AllowList, tagged=tagged)
    text = codec.encode(Cart([Item("a")]))
    value = codec.decode(text, UnknownFields())
    monkeypatch.setattr(codec, "decode", None)
    assert codec.reencode(text) is text
    value.items[0].name = "b"
    assert codec.encode(value, text) != text


def test_unknown_fields_are_seen_each_time() -> None:
    codec = TypedCodec(Cart, AllowList)
    text = b'{"items":[{"name":"a","price":1.5,"new":1}]}'
    for _ in range(3):
        unknown = UnknownFields()
        value = codec.decode(text, unknown)
        value.items.append(Item("b"))
        assert b'"new":1' in codec.encode(value, text, unknown)
        assert codec.reencode(text) == text


@pytest.mark.parametrize(
    ("type_", "value", "rewritten"),
    [(Item, Item("a", 5), b'{"name":"a","price":5.0}'), (float, 5, b"5.0")],
)
def test_what_comes_back_in_another_spelling_is_not_known(
    type_: Any, value: Any, rewritten: bytes
) -> None:
    """An int in a field of floats is written as one and read as a float, which is no change."""
    codec = TypedCodec(type_, AllowList)
    text = codec.encode(value)
    assert text != rewritten
    back = codec.decode(text, UnknownFields())
    assert codec.encode(back, text) == rewritten == codec.reencode(text)


def test_an_untyped_text_of_another_writer_is_not_known() -> None:
    codec = UntypedCodec(AllowList)
    text = b'{"price": 1e-07, "name": "\\u00e9"}'
    value = codec.decode(text)
    written = codec.encode(value, text)
    assert written == codec.reencode(text) != text
    assert codec.reencode(written) is written
