"""KnownTexts: the texts that a codec is known to write again as they are. Pure."""

from __future__ import annotations

from typing import Final

_MAX_TEXTS: Final = 4096


class KnownTexts:
    """Remembers the texts that a codec read or wrote last and would write again as they are: no
    field of them is unknown, and no other writer spelled them. So they need not be written again to
    see that.

    Keeps hashes, not texts. Python's are keyed, so that no sender can make two that are equal.
    """

    def __init__(self) -> None:
        self._hashes: dict[int, None] = {}

    def __contains__(self, text: bytes) -> bool:
        return hash(text) in self._hashes

    def add(self, text: bytes) -> None:
        """Remember a text, and forget the oldest if there are too many."""
        if len(self._hashes) >= _MAX_TEXTS:
            del self._hashes[next(iter(self._hashes))]
        self._hashes[hash(text)] = None
