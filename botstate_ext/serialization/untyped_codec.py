"""UntypedCodec: values of properties without a type. Pure.

A value is plain JSON when it holds JSON builtins only; anything else carries jsonpickle's tags and
comes back through the allow-list (see jsonpickle/).
"""

from __future__ import annotations

from typing import Any

import msgspec

from . import json_text, jsonpickle
from .codec import AllowListSource


class UntypedCodec:
    """For properties without a type."""

    keeps_tags = True

    def __init__(self, allowed: AllowListSource) -> None:
        self._allowed = allowed

    def encode(self, value: object, base: bytes | None = None) -> bytes:
        try:
            text = msgspec.json.encode(value)
        except (TypeError, ValueError, RecursionError):
            pass  # it holds what only flatten() can write, or can refuse by name
        else:
            # Equal text is taken for an equal value: a date in place of its own text is not seen.
            # But null may stand for NaN.
            if (
                text == base
                and not jsonpickle.has_tags(text)
                and not json_text.may_hide_nan(text, value)
            ):
                return base
            if json_text.is_plain(value):
                return base if text == base else text
        text = json_text.dumps(jsonpickle.flatten(value, self._allowed()))
        return base if text == base else text

    def decode(self, text: bytes) -> Any:
        value = json_text.loads(text)
        return jsonpickle.restore(value, self._allowed()) if jsonpickle.has_tags(text) else value

    def reencode(self, text: bytes) -> bytes:
        return self.encode(self.decode(text))

    def plain(self, text: bytes) -> Any:
        return json_text.loads(text)
