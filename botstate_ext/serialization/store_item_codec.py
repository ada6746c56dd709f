"""StoreItemCodec: values of a class that writes and reads its own JSON. Pure.

The Agents SDK calls such a class a ``StoreItem``: it has ``store_item_to_json`` and
``from_json_to_store_item``.
"""

from __future__ import annotations

from typing import Any

from ..errors import StateDecodeError, StateEncodeError
from . import json_text
from .allow_list import name_of
from .unknown_fields import UnknownFields


def is_store_item(type_: Any) -> bool:
    """Return True for a class that writes and reads its own JSON."""
    methods = ("store_item_to_json", "from_json_to_store_item")
    return isinstance(type_, type) and all(hasattr(type_, name) for name in methods)


class StoreItemCodec:
    """For one class of `is_store_item`."""

    keeps_tags = False

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    def encode(
        self, value: Any, base: bytes | None = None, unknown: UnknownFields | None = None
    ) -> bytes:
        if not isinstance(value, self._cls):
            raise StateEncodeError(f"it is no {name_of(self._cls)}")
        try:
            plain = value.store_item_to_json()
        except Exception:  # noqa: BLE001 - the app's own code; its text may show the value
            plain = None
        if plain is None:
            raise StateEncodeError(f"store_item_to_json of {name_of(self._cls)} failed")
        text = json_text.dumps(plain)
        return base if base is not None and text == base else text

    def decode(self, text: bytes, unknown: UnknownFields | None = None) -> Any:
        plain = json_text.loads(text)
        try:
            return self._cls.from_json_to_store_item(plain)
        except Exception:  # noqa: BLE001 - the app's own code; its text may show the value
            reason = f"from_json_to_store_item of {name_of(self._cls)} refuses it"
        # Outside of the handler: nothing that may show the value is chained.
        raise StateDecodeError(reason)

    def reencode(self, text: bytes) -> bytes:
        return self.encode(self.decode(text))

    def plain(self, text: bytes) -> Any:
        return json_text.loads(text)

    def patchable(self, text: bytes) -> bytes:
        return text

    def decode_patched(self, text: bytes, patch: Any, unknown: UnknownFields | None = None) -> Any:
        return self.decode(text)
