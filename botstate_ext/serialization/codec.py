"""Codec: how one property's value is written as JSON text and read again. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from .allow_list import AllowList

NULL: Final = b"null"

AllowListSource: TypeAlias = Callable[[], AllowList]


class Codec(Protocol):
    """How one property's value is written and read."""

    keeps_tags: bool
    """Tags of jsonpickle are a part of what it writes."""

    def encode(self, value: object, base: bytes | None = None) -> bytes:
        """The text of a value; ``base`` itself where that is the very text it has.

        :raises StateEncodeError: the value cannot be stored so that it comes back.
        """

    def decode(self, text: bytes) -> Any:
        """:raises StateDecodeError: the text is not a value of this property."""

    def reencode(self, text: bytes) -> bytes:
        """A stored text as `encode` would have written it.

        :raises StateDecodeError: the text is not a value of this property.
        """

    def plain(self, text: bytes) -> Any:
        """A stored text as JSON builtins, whatever the property's type, for a migration.

        :raises StateDecodeError: the text is not what is stored.
        """
