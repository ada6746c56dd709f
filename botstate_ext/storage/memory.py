"""MemoryStorage: items in this process, under the same rules as on Blob."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from ..clock import Clock, system_clock
from .base import ANY, DueItems, ItemInfo, ItemPage, StateStorage, StoredItem
from .due_index import DueIndex
from .etags import check_condition, new_etag
from .keycheck import check_etag, check_key, check_put

PAGE_SIZE: Final = 5000

NO_METADATA: Final[Mapping[str, str]] = MappingProxyType({})


def frozen_metadata(metadata: Mapping[str, str] | None) -> Mapping[str, str]:
    """A copy that nobody can change."""
    return MappingProxyType(dict(metadata)) if metadata else NO_METADATA


def page_of(keys: Iterable[str], limit: int | None, info_of: Callable[[str], ItemInfo]) -> ItemPage:
    """The first ``limit`` of these keys as a page; its token is the last key on it."""
    size = page_size(limit)
    # One more than asked for: it tells whether there is a next page.
    found = list(itertools.islice(keys, size + 1))
    token = found[size - 1] if len(found) > size else None
    return ItemPage(tuple(map(info_of, found[:size])), token)


def folders_of(keys: Iterable[str]) -> frozenset[str]:
    """What comes before the first "/" of these keys."""
    return frozenset(key.partition("/")[0] for key in keys if "/" in key)


def page_size(limit: int | None) -> int:
    """``limit``, or the largest page that Azure gives.

    :raises ValueError: it is not positive.
    """
    if limit is None:
        return PAGE_SIZE
    if limit < 1:
        raise ValueError("limit must be at least 1.")
    return min(limit, PAGE_SIZE)


class MemoryStorage(StateStorage):
    """Items in a dictionary of this process; they are gone with it.

    For tests and for trying things out. It behaves exactly as Blob does: what is read and written
    are copies, every write makes a new ETag, and a stale one conflicts.
    """

    def __init__(self, *, types: Iterable[type] = (), clock: Clock = system_clock) -> None:
        super().__init__(types=types)
        self._clock = clock
        self._items: dict[str, _Entry] = {}
        self._keys: list[str] = []  # sorted, so that a page costs no more than its length
        self._due: DueIndex | None = None  # kept from when it is first asked for

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        for key in keys:
            check_key(key)
        return {key: self._items[key].item for key in keys if key in self._items}

    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        check_put(key, etag, metadata)
        stored = self._items.get(key)
        check_condition(key, etag, None if stored is None else stored.item.etag)
        if stored is None:
            bisect.insort(self._keys, key)
        item = StoredItem(bytes(data), new_etag(), frozen_metadata(metadata))
        self._items[key] = _Entry(item, self._clock())
        if self._due is not None:
            self._due.put(key, item.metadata)
        return item.etag

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        check_key(key)
        check_etag(etag)
        stored = self._items.get(key)
        if stored is None:
            return False
        check_condition(key, etag, stored.item.etag)
        del self._items[key]
        del self._keys[bisect.bisect_left(self._keys, key)]
        if self._due is not None:
            self._due.remove(key)
        return True

    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        keys = self._keys_from(prefix, continuation_token)
        return page_of(keys, limit, lambda key: self._items[key].info(key))

    async def list_folders(self) -> frozenset[str]:
        return folders_of(self._keys)

    async def list_due(self, entry: str, until: str) -> AsyncIterator[DueItems]:
        if self._due is None or self._due.entry != entry:
            items = ((key, stored.item.metadata) for key, stored in self._items.items())
            self._due = DueIndex(entry, items)
        keys = self._due.up_to(until)
        yield DueItems(tuple(self._items[key].info(key) for key in keys), len(self._items))

    def __repr__(self) -> str:
        return f"<MemoryStorage of {len(self._items)} items>"

    def _keys_from(self, prefix: str, after: str | None) -> Iterator[str]:
        start = bisect.bisect_left(self._keys, prefix)
        if after is not None:
            start = max(start, bisect.bisect_right(self._keys, after))
        for index in range(start, len(self._keys)):
            if not self._keys[index].startswith(prefix):
                return
            yield self._keys[index]


@dataclass(frozen=True, slots=True)
class _Entry:
    item: StoredItem
    updated: datetime

    def info(self, key: str) -> ItemInfo:
        return ItemInfo(key, self.item.etag, len(self.item.data), self.updated, self.item.metadata)
