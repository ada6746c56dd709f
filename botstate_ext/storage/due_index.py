"""DueIndex: keys sorted by one entry of their items' metadata. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from .base import DueItems, ItemInfo

DUE_PAGE: Final = 500
"""Items of a page: few enough for a sweep to hold, and to change the storage between two pages."""

NEXT_EXPIRY: Final = "statenextexpiry"
"""The entry that sweeps ask for. An engine with an index on disk keeps one of this entry only."""


class DueIndex:
    """Finds due items without looking at the others. Items without the entry come first."""

    def __init__(self, entry: str, items: Iterable[tuple[str, Mapping[str, str]]]) -> None:
        self.entry = entry
        self._texts = {key: metadata.get(entry, "") for key, metadata in items}
        self._order = sorted((text, key) for key, text in self._texts.items())

    def put(self, key: str, metadata: Mapping[str, str]) -> None:
        """Add an item, or update it when its metadata changed."""
        text = metadata.get(self.entry, "")
        if self._texts.get(key) == text:
            return
        self.remove(key)
        self._texts[key] = text
        bisect.insort(self._order, (text, key))

    def remove(self, key: str) -> None:
        """Remove an item. Without one of that key, do nothing."""
        text = self._texts.pop(key, None)
        if text is not None:
            del self._order[bisect.bisect_left(self._order, (text, key))]

    def up_to(self, until: str) -> list[str]:
        """Return the keys with an entry not after ``until``; keys without an entry come first."""
        # A one-element tuple sorts before every pair of the same text: so ask for the next text.
        end = bisect.bisect_left(self._order, (until + "\0",))
        return [key for _, key in self._order[:end]]


def due_pages(keys: Sequence[str], info_of: Callable[[str], ItemInfo | None]) -> Iterator[DueItems]:
    """Yield the items of these keys, which are due, by page.

    ``info_of`` is called when a page is made, and returns None for an item deleted before that.
    """
    for start in range(0, len(keys), DUE_PAGE):
        page = keys[start : start + DUE_PAGE]
        yield DueItems(tuple(info for info in map(info_of, page) if info is not None), len(page))
