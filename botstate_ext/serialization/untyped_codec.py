"""UntypedCodec: values of properties without a type. Pure.

A value is plain JSON when it holds JSON builtins only; anything else carries jsonpickle's tags and
comes back through the allow-list (see jsonpickle/).
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import StateDecodeError, StateEncodeError
from . import json_text, jsonpickle
from .allow_list import AllowList
from .codec import AllowListSource
from .comparison import difference
from .known_texts import KnownTexts
from .unknown_fields import UnknownFields


class UntypedCodec:
    """For properties without a type."""

    keeps_tags = True

    def __init__(self, allowed: AllowListSource) -> None:
        self._allowed = allowed
        self._source: AllowList | None = None
        self._known = KnownTexts()

    def encode(
        self, value: object, base: bytes | None = None, unknown: UnknownFields | None = None
    ) -> bytes:
        try:
            text = msgspec.json.encode(value)
        except (TypeError, ValueError, RecursionError):
            pass  # it holds what only a flattener can write, or can refuse by name
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
                if text == base:
                    return base
                self._known.add(text)
                return text
        text = self._tagged(value, unknown or None)
        if text == base:
            return base
        if not self._flattener.is_sure:
            self._check(value, text)
        return text

    def _tagged(self, value: object, unknown: UnknownFields | None) -> bytes:
        source = self._allowed()
        if self._source is not source:
            self._source, self._flattener = source, jsonpickle.Flattener(source)
        if unknown is None:
            return json_text.dumps(self._flattener.flatten(value))
        unknown.start_writing()
        return json_text.dumps(self._flattener.flatten(value, unknown.members_of))

    def _check(self, value: object, text: bytes) -> None:
        try:
            problem = difference(value, self.decode(text))
        except StateDecodeError as error:
            problem = error.reason
        if problem is not None:
            raise StateEncodeError(f"it would not be read back as it is: {problem}")

    def decode(self, text: bytes, unknown: UnknownFields | None = None) -> Any:
        value = json_text.loads(text)
        if not jsonpickle.has_tags(text):
            return value
        return jsonpickle.restore(value, self._allowed(), None if unknown is None else unknown.keep)

    def reencode(self, text: bytes) -> bytes:
        # Usually our own text: reading and writing it again would double the cost of a change.
        if text in self._known:
            return text
        if json_text.is_own_spelling(text) and not jsonpickle.has_tags(text):
            return text
        unknown = UnknownFields()
        value = self.decode(text, unknown)
        return self.encode(value, None, unknown)

    def plain(self, text: bytes) -> Any:
        return json_text.loads(text)

    def patchable(self, text: bytes) -> bytes:
        return text

    def decode_patched(self, text: bytes, patch: Any, unknown: UnknownFields | None = None) -> Any:
        return self.decode(text, unknown)
