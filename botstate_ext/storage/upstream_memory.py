"""SharedMemoryStorage: works on the items of an SDK MemoryStorage that others may use directly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from ..clock import Clock, system_clock
from .backend import NO_METADATA, folders_of, frozen_metadata, page_of
from .base import ANY, DueItems, ItemInfo, ItemPage, StateStorage, StoredItem
from .due_index import due_pages
from .etags import check_condition, new_etag
from .keycheck import check_etag, check_key, check_put
from .upstream_items import fingerprint, to_bytes, to_item


class SharedMemoryStorage(StateStorage):
    """Stores items in the dictionary of an upstream ``MemoryStorage``.

    Keeps ETags and metadata beside it. Items stay plain dictionaries for other users of that
    storage, and get no ``e_tag``. A change by other code, in place or by ``write``, is noticed at
    the next read here: the item then has a new ETag and no metadata. Reads and writes copy.

    Bodies must be JSON objects. An item with live objects reads as JSON with jsonpickle's tags.
    """

    any_bytes = False

    def __init__(self, memory: dict[str, Any], *, clock: Clock = system_clock) -> None:
        super().__init__()
        self._memory = memory
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        for key in keys:
            check_key(key)
        looked = {key: self._look(key) for key in keys}
        return {key: seen.item for key, seen in looked.items() if seen is not None}

    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        check_put(key, etag, metadata)
        if etag != ANY:
            self._check_condition(key, etag)
        item = to_item(key, data)
        # The SDK would take an e_tag in the item for its own; ours is kept beside the item.
        item.pop("e_tag", None)
        stored = StoredItem(bytes(data), new_etag(), frozen_metadata(metadata))
        self._memory[key] = item
        self._seen[key] = _Seen(stored, _mark(key, item), self._clock())
        return stored.etag

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        check_key(key)
        check_etag(etag)
        if key not in self._memory:
            return False
        if etag != ANY:
            self._check_condition(key, etag)
        del self._memory[key]
        self._seen.pop(key, None)
        return True

    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        after = continuation_token
        keys = (
            key for key in self._memory if key.startswith(prefix) and (after is None or key > after)
        )
        return page_of(sorted(keys), limit, self._info)

    async def list_folders(self) -> frozenset[str]:
        return folders_of(self._memory)

    async def list_due(self, entry: str, until: str) -> AsyncIterator[DueItems]:
        # The metadata beside an item answers for it, so items that are not due are not encoded.
        seen = ((key, self._seen.get(key)) for key in list(self._memory))
        due = [k for k, s in seen if s is None or s.item.metadata.get(entry, "") <= until]
        for page in due_pages(due, self._info_if_there):
            yield page

    def __repr__(self) -> str:
        return f"<SharedMemoryStorage of {len(self._memory)} items>"

    def _look(self, key: str) -> _Seen | None:
        """Return the item as it is now. If other code changed it, it is a new version."""
        if key not in self._memory:
            self._seen.pop(key, None)
            return None
        item, seen = self._memory[key], self._seen.get(key)
        mark = _mark(key, item)
        if seen is None or mark != seen.mark:
            stored = StoredItem(to_bytes(key, item), new_etag(), NO_METADATA)
            seen = self._seen[key] = _Seen(stored, mark, self._clock())
        return seen

    def _check_condition(self, key: str, etag: str | None) -> None:
        seen = self._look(key)
        check_condition(key, etag, None if seen is None else seen.item.etag)

    def _info_if_there(self, key: str) -> ItemInfo | None:
        return self._info(key) if key in self._memory else None

    def _info(self, key: str) -> ItemInfo:
        seen = self._look(key)
        assert seen is not None, "no await since its key was found"
        item = seen.item
        return ItemInfo(key, item.etag, len(item.data), seen.updated, item.metadata)


class _Seen(Struct, frozen=True):
    """Holds an item as it was last read here. ``mark`` changes when its content does."""

    item: StoredItem
    mark: bytes
    updated: datetime


def _mark(key: str, item: Any) -> bytes:
    return fingerprint(item) or to_bytes(key, item)
