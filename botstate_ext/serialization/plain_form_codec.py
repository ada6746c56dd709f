"""PlainFormCodec: values of classes that nothing names here, as plain JSON. Pure."""

from __future__ import annotations

from typing import Any

from ..errors import StateEncodeError
from . import json_text, jsonpickle
from .codec import Codec
from .stored_changes import with_changes
from .unknown_fields import UnknownFields


class PlainFormCodec:
    """Reads a value with tags as plain JSON, and writes changes of it into its stored form, which
    keeps its tags.

    ``other``: the codec of any other value that takes its place.
    """

    keeps_tags = True

    def __init__(self, other: Codec) -> None:
        self._other = other

    def encode(
        self, value: object, base: bytes | None = None, unknown: UnknownFields | None = None
    ) -> bytes:
        if base is None or not jsonpickle.has_tags(base):
            return self._other.encode(value, base, unknown)
        stored = json_text.loads(base)
        before = jsonpickle.to_plain(stored)
        if type(value) is not type(before):
            return self._other.encode(value, base, unknown)  # another value took its place
        try:
            if json_text.canonical(value) == json_text.canonical(before):
                return base
        except (TypeError, ValueError, RecursionError) as error:
            raise StateEncodeError(json_text.reason(error)) from None
        if not json_text.is_plain(value):
            raise StateEncodeError(
                "it is kept as an object of a class, and was changed as plain JSON to hold "
                "something else than JSON builtins. Get it with its class, and change that"
            )
        return json_text.dumps(with_changes(stored, value))

    def decode(self, text: bytes, unknown: UnknownFields | None = None) -> Any:
        return jsonpickle.to_plain(json_text.loads(text))

    def reencode(self, text: bytes) -> bytes:
        return text

    def plain(self, text: bytes) -> Any:
        return json_text.loads(text)

    def patchable(self, text: bytes) -> bytes:
        return text

    def decode_patched(self, text: bytes, patch: Any, unknown: UnknownFields | None = None) -> Any:
        return self.decode(text, unknown)
