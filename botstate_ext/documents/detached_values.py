"""DetachedValues: values that the bot still holds although the document has newer ones. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from ..errors import StateEncodeError
from ..serialization.unknown_fields import UnknownFields
from .policy import PropertyPolicy
from .property_codecs import PropertyCodecs

MAX_DETACHED: Final = 64
"""The number of detached values that a document watches until it is saved. The oldest are checked
and let go when there are more, so that a loop of updates does not keep every value it saw."""

_UNCHANGEABLE: Final = (str, bytes, int, float, datetime, type(None))


class _Detached(NamedTuple):
    """Holds a value that was handed out and then replaced, and its text at that time."""

    name: str
    value: Any
    text: bytes
    unknown: UnknownFields | None
    policy: PropertyPolicy | None


class DetachedValues:
    """Watches values that were handed out and then replaced: a change to one would be lost."""

    __slots__ = ("_changed", "_codecs", "_watched")

    def __init__(self, codecs: PropertyCodecs) -> None:
        self._codecs = codecs
        self._watched: list[_Detached] = []
        self._changed: list[str] = []

    def __len__(self) -> int:
        return len(self._watched)

    def watch(
        self, name: str, value: Any, text: bytes, policy: PropertyPolicy | None = None
    ) -> None:
        """Watch a value of a property from now on; ``text``: what it says now."""
        if isinstance(value, _UNCHANGEABLE):
            return
        unknown = self._codecs.unknown.get(name)
        self._watched.append(_Detached(name, value, text, unknown, policy))
        if len(self._watched) > MAX_DETACHED:
            oldest = self._watched.pop(0)
            if self._was_changed(oldest):
                self._changed.append(oldest.name)

    def changed(self) -> Iterator[str]:
        """Return the properties of values that were changed after they were replaced."""
        yield from self._changed
        yield from (each.name for each in self._watched if self._was_changed(each))

    def _was_changed(self, detached: _Detached) -> bool:
        try:
            return self._codecs.encode(*detached) is not detached.text
        except StateEncodeError:
            return True
