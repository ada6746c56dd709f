"""JsonCodec: values that are kept as the JSON that they are. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from . import json_text
from .unknown_fields import UnknownFields


class JsonCodec:
    """For what is kept as the JSON that it is, tags of jsonpickle's included."""

    keeps_tags = True

    def encode(
        self, value: object, base: bytes | None = None, unknown: UnknownFields | None = None
    ) -> bytes:
        try:
            text = msgspec.json.encode(value)
        except (TypeError, ValueError, RecursionError):
            text = json_text.dumps(value)
        return base if text == base else text

    def decode(self, text: bytes, unknown: UnknownFields | None = None) -> Any:
        return json_text.loads(text)

    def reencode(self, text: bytes) -> bytes:
        return self.encode(self.decode(text))

    def plain(self, text: bytes) -> Any:
        return json_text.loads(text)

    def patchable(self, text: bytes) -> bytes:
        return text

    def decode_patched(self, text: bytes, patch: Any, unknown: UnknownFields | None = None) -> Any:
        return self.decode(text, unknown)
