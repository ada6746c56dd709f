"""What is made once is not made again with every value."""

from __future__ import annotations

from typing import Any

import pytest

from botstate_ext.serialization.allow_list import AllowList
from botstate_ext.serialization.typed_codec import TypedCodec
from tests.serialization import corpus


def test_the_allow_list_is_not_made_again_for_each_value(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = AllowList([type(f"Made{number}", (), {}) for number in range(300)])
    codec = TypedCodec(corpus.Inner, lambda: allowed, tagged=True)
    text = codec.encode(corpus.Inner("a"))
    calls: list[Any] = []
    made = AllowList.__init__

    def counted(self: AllowList, *args: Any) -> None:
        calls.append(args)
        made(self, *args)

    monkeypatch.setattr(AllowList, "__init__", counted)
    for name in ("b", "c"):
        assert codec.decode(text) == corpus.Inner("a")
        codec.encode(corpus.Inner(name))
    assert calls == []


def test_the_checker_spares_reading_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = TypedCodec(list[corpus.Inner], AllowList)
    monkeypatch.setattr(codec, "decode", None)
    codec.encode([corpus.Inner("a"), corpus.Inner("b", 2.5)])
    with pytest.raises(TypeError):  # it would be read, to tell
        codec.encode([corpus.MoreInner("a")])
