"""BestEffortStorage: any other upstream Storage, as well as its three methods allow."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any
from weakref import WeakValueDictionary

from ..errors import StateConflictError, StateStorageError
from ..host.bases import Storage
from .base import ANY, ItemPage, StateStorage, StoredItem
from .etags import check_condition
from .keycheck import check_etag, check_key, check_put
from .upstream_items import to_bytes, to_item
from .verbatim import with_verbatim_tags

_CONFLICT_STATUS = (409, 412)


class BestEffortStorage(StateStorage):
    """Stores items in an upstream ``Storage`` of unknown kind: ``read``, ``write``, ``delete``.

    It cannot promise all that other storages do:

    - A condition holds against writers in this process. Against another process it holds only if
      the backend checks the ``e_tag`` of the items that it writes. If it does not, the stored item
      is compared just before the write, and a write in between is lost.
    - An item without an ``e_tag`` from the backend gets one that is made of its content. So a write
      of equal content is not a new version.
    - It keeps no metadata and lists nothing. Only an item with a known key is found.
    - It does not mend the backend. One that returns nothing when a read fails, or runs code that a
      stored item names, still does so.
    """

    conditional = False
    lists = False
    metadata = False
    any_bytes = False

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self._storage = storage
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        for key in keys:
            check_key(key)
        return await self._read(list(dict.fromkeys(keys)))

    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        check_put(key, etag, metadata)
        item = to_item(key, data)
        async with self._lock(key):
            if etag == ANY:
                await self._write(key, item)
            else:
                stored = (await self._read([key])).get(key)
                check_condition(key, etag, None if stored is None else stored.etag)
                if etag is not None and not _is_content_tag(etag):
                    item["e_tag"] = etag
                await self._write(key, item)
            return await self._new_etag(key, data)

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        check_key(key)
        check_etag(etag)
        async with self._lock(key):
            stored = (await self._read([key])).get(key)
            if stored is None:
                return False
            check_condition(key, etag, stored.etag)
            try:
                await self._storage.delete([key])
            except Exception as error:
                raise _failure("delete", key, error) from error
            return True

    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        """Refuse: this storage cannot list.

        :raises StateStorageError: always.
        """
        raise StateStorageError(
            "list",
            None,
            f"{type(self._storage).__name__} cannot list what it holds. Use MemoryStorage or "
            "BlobStorage, or write a StateStorage for your backend.",
        )

    def __repr__(self) -> str:
        return (
            f"<BestEffortStorage over {type(self._storage).__name__}: conditions hold in this "
            "process only, no listing, no metadata>"
        )

    async def _read(self, keys: list[str]) -> dict[str, StoredItem]:
        if not keys:
            return {}
        try:
            items = await self._storage.read(keys)
        except Exception as error:
            raise _failure("read", keys[0] if len(keys) == 1 else None, error) from error
        return {key: _stored(key, item) for key, item in items.items() if item is not None}

    async def _write(self, key: str, item: dict[str, Any]) -> None:
        try:
            await self._storage.write({key: with_verbatim_tags(item)})
        except Exception as error:
            raise _failure("put", key, error) from error

    async def _new_etag(self, key: str, data: bytes) -> str:
        ours = _stored(key, to_item(key, data))
        now = (await self._read([key])).get(key)
        # Another's write since ours must not lend us its ETag: our next write would overwrite it.
        return now.etag if now is not None and now.data == ours.data else ours.etag

    def _lock(self, key: str) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())


def _stored(key: str, item: Any) -> StoredItem:
    etag = item.get("e_tag") if isinstance(item, dict) else getattr(item, "e_tag", None)
    data = to_bytes(key, item)
    return StoredItem(data, str(etag) if etag else _content_tag(data))


def _content_tag(data: bytes) -> str:
    return "sha256-" + sha256(data).hexdigest()


def _is_content_tag(etag: str) -> bool:
    return etag.startswith("sha256-")


def _failure(operation: str, key: str | None, error: Exception) -> Exception:
    status = getattr(error, "status_code", None)
    if key is not None and (status in _CONFLICT_STATUS or "etag conflict" in str(error).lower()):
        return StateConflictError("it was changed or deleted since it was read", key=key)
    return StateStorageError(
        operation, key, type(error).__name__, status=status, maybe_written=operation != "read"
    )
