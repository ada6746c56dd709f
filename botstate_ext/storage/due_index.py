"""Keys in the order of what their items' metadata says of one entry."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping


class DueIndex:
    """Finds what is due without looking at what is not. An item without the entry comes first."""

    def __init__(self, entry: str, items: Iterable[tuple[str, Mapping[str, str]]]) -> None:
        self.entry = entry
        self._texts = {key: metadata.get(entry, "") for key, metadata in items}
        self._order = sorted((text, key) for key, text in self._texts.items())

    def put(self, key: str, metadata: Mapping[str, str]) -> None:
        """Take note of an item's metadata."""
        text = metadata.get(self.entry, "")
        if self._texts.get(key) == text:
            return
        self.remove(key)
        self._texts[key] = text
        bisect.insort(self._order, (text, key))

    def remove(self, key: str) -> None:
        """Forget an item, if it is known."""
        text = self._texts.pop(key, None)
        if text is not None:
            del self._order[bisect.bisect_left(self._order, (text, key))]

    def up_to(self, until: str) -> list[str]:
        """The keys whose text is not after ``until``, those without one first."""
        # A one-element tuple sorts before every pair of the same text: so ask for the next text.
        end = bisect.bisect_left(self._order, (until + "\0",))
        return [key for _, key in self._order[:end]]
