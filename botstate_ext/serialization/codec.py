"""Codec: how one property's value is written as JSON text and read again. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from .allow_list import AllowList
from .unknown_fields import UnknownFields

NULL: Final = b"null"

AllowListSource: TypeAlias = Callable[[], AllowList]


class Codec(Protocol):
    """How one property's value is written and read."""

    keeps_tags: bool
    """Tags of jsonpickle are a part of what it writes."""

    def encode(
        self, value: object, base: bytes | None = None, unknown: UnknownFields | None = None
    ) -> bytes:
        """Return the text of a value; ``base`` itself where that is the very text it has.

        ``unknown``: the fields that `decode` kept. They are written again.

        :raises StateEncodeError: the value cannot be stored so that it comes back.
        """

    def decode(self, text: bytes, unknown: UnknownFields | None = None) -> Any:
        """Return the value of a text. ``unknown`` keeps the fields that its classes do not know.

        :raises StateDecodeError: the text is not a value of this property."""

    def reencode(self, text: bytes) -> bytes:
        """A stored text as `encode` would have written it.

        :raises StateDecodeError: the text is not a value of this property.
        """

    def plain(self, text: bytes) -> Any:
        """A stored text as JSON builtins, whatever the property's type, for a migration.

        :raises StateDecodeError: the text is not what is stored.
        """

    def patchable(self, text: bytes) -> bytes:
        """Return a stored text in the form to patch: plain JSON where that keeps the whole value.

        :raises StateDecodeError: the text is not a value of this property.
        """

    def decode_patched(self, text: bytes, patch: Any, unknown: UnknownFields | None = None) -> Any:
        """Return the value of a text that a patch from outside made.

        :raises StateDecodeError: the text is not a value of this property.
        :raises StateEncodeError: the patch has a name that the property's type does not know.
        """
