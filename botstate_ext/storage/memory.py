"""MemoryStorage: items in this process, under the same rules as on Blob."""

from __future__ import annotations

import bisect
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from ..clock import Clock, system_clock
from .backend import NO_METADATA, folders_of, frozen_metadata, page_of
from .base import ANY, DueItems, ItemInfo, ItemPage, StateStorage, StoredItem
from .due_index import DueIndex, due_pages
from .etags import check_condition, new_etag
from .keycheck import check_etag, check_key, check_put
from .upstream_items import to_bytes
from .writes import ItemWrite, check_conditions, check_writes


class MemoryStorage(StateStorage):
    """Items in a dictionary of this process; they are gone with it.

    For tests and for trying things out. It behaves exactly as Blob does: reads and writes copy,
    every write makes a new ETag, and a stale one conflicts.

    ``dictionary``: the first items by key, as the SDK's ``MemoryStorage`` takes them. They are
    copied; an ``e_tag`` in one becomes its ETag.

    :raises StateKeyError, StateDecodeError: an item of ``dictionary`` cannot be stored.
    """

    transactional = True

    def __init__(
        self,
        dictionary: Mapping[str, Any] | None = None,
        *,
        types: Iterable[type] = (),
        clock: Clock = system_clock,
    ) -> None:
        super().__init__(types=types)
        self._clock = clock
        self._items: dict[str, _Entry] = {}
        self._keys: list[str] = []  # sorted, so that a page costs no more than its length
        self._due: DueIndex | None = None  # made by the first `list_due`
        for key, item in (dictionary or {}).items():
            self._add(key, item)

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        found = {}
        for key in keys:
            check_key(key)
            entry = self._items.get(key)
            if entry is not None:
                found[key] = entry.item
        return found

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
        return self._put(key, data, metadata)

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        check_key(key)
        check_etag(etag)
        stored = self._items.get(key)
        if stored is None:
            return False
        check_condition(key, etag, stored.item.etag)
        self._delete(key)
        return True

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        check_writes(writes)
        stored = {w.key: self._items[w.key].item.etag for w in writes if w.key in self._items}
        check_conditions(writes, stored)
        etags = {}
        for write in writes:
            if write.data is not None:
                etags[write.key] = self._put(write.key, write.data, write.metadata)
            elif write.key in stored:
                self._delete(write.key)
        return etags

    def _put(self, key: str, data: bytes, metadata: Mapping[str, str] | None) -> str:
        if key not in self._items:
            bisect.insort(self._keys, key)
        item = StoredItem(bytes(data), new_etag(), frozen_metadata(metadata))
        self._items[key] = _Entry(item, self._clock())
        if self._due is not None:
            self._due.put(key, item.metadata)
        return item.etag

    def _delete(self, key: str) -> None:
        del self._items[key]
        del self._keys[bisect.bisect_left(self._keys, key)]
        if self._due is not None:
            self._due.remove(key)

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
        for page in due_pages(self._due.up_to(until), self._info):
            yield page

    def __repr__(self) -> str:
        return f"<MemoryStorage of {len(self._items)} items>"

    def _add(self, key: str, item: Any) -> None:
        check_key(key)
        etag = item.get("e_tag") if isinstance(item, dict) else getattr(item, "e_tag", None)
        etag = new_etag() if etag in (None, "", ANY) else str(etag)
        stored = StoredItem(to_bytes(key, item), etag, NO_METADATA)
        self._items[key] = _Entry(stored, self._clock())
        bisect.insort(self._keys, key)

    def _info(self, key: str) -> ItemInfo | None:
        """Return the listing's record of an item, or None if the item was deleted meanwhile."""
        entry = self._items.get(key)
        return None if entry is None else entry.info(key)

    def _keys_from(self, prefix: str, after: str | None) -> Iterator[str]:
        start = bisect.bisect_left(self._keys, prefix)
        if after is not None:
            start = max(start, bisect.bisect_right(self._keys, after))
        for index in range(start, len(self._keys)):
            if not self._keys[index].startswith(prefix):
                return
            yield self._keys[index]


class _Entry(Struct, frozen=True):
    item: StoredItem
    updated: datetime

    def info(self, key: str) -> ItemInfo:
        return ItemInfo(key, self.item.etag, len(self.item.data), self.updated, self.item.metadata)
