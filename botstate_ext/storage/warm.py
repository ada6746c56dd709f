"""WarmStorage: a storage around another, which keeps the documents that turns began with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeVar

from ..errors import StateError
from .base import ANY, ItemWrite, StateStorage, StoredItem
from .kept_items import KeptItems
from .wrapper import StorageWrapper

T = TypeVar("T")


class WarmStorage(StorageWrapper):
    """Reads and writes another storage, and keeps items in memory.

    Every read is made, and says what is stored now. Only `kept` answers from memory. All reads and
    writes of the process pass through here, so that a write is known before the next `kept`.
    """

    def __init__(self, storage: StateStorage, items: KeptItems) -> None:
        super().__init__(storage)
        self._items = items

    def kept(self, keys: Collection[str]) -> dict[str, StoredItem | None]:
        """Return the kept items of these keys, None for one that was absent. The others are kept
        from the next read of them on."""
        return self._items.get(keys)

    def forget(self) -> None:
        """Forget everything that is kept."""
        self._items.clear()

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        keys = tuple(keys)
        operation, found = self._items.begin_read(keys), None
        try:
            found = await self._storage.get_many(keys)
            return found
        finally:
            self._items.end(operation, found)

    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        async def put() -> tuple[str, dict[str, StoredItem]]:
            new = await self._storage.put_if(key, data, etag=etag, metadata=metadata)
            return new, {key: self._item(data, new, metadata)}

        return await self._written((key,), put)

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        async def delete() -> tuple[bool, dict[str, StoredItem]]:
            return await self._storage.delete_if(key, etag=etag), {}

        return await self._written((key,), delete)

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        async def write() -> tuple[dict[str, str], dict[str, StoredItem]]:
            etags = await self._storage.write_many(writes)
            return etags, {
                each.key: self._item(each.data, etags[each.key], each.metadata)
                for each in writes
                if each.data is not None
            }

        return await self._written([each.key for each in writes], write)

    async def aclose(self) -> None:
        self.forget()
        await super().aclose()

    async def _written(
        self, keys: Collection[str], write: Callable[[], Awaitable[tuple[T, dict[str, StoredItem]]]]
    ) -> T:
        """Return the result of ``write``, which also returns the items as they are stored then."""
        operation = self._items.begin_write(keys)
        try:
            result, items = await write()
        except BaseException as error:
            if isinstance(error, StateError) and not getattr(error, "maybe_written", False):
                self._items.end(operation, None)
            else:
                self._items.end_uncertain(operation)
            raise
        self._items.end(operation, items)
        return result

    def _item(self, data: bytes, etag: str, metadata: Mapping[str, str] | None) -> StoredItem:
        return StoredItem(bytes(data), etag, dict(metadata or {}) if self.metadata else {})


def without_cache(storage: T) -> T:
    """Return the storage that a `WarmStorage` is around; any other object as it is."""
    return storage._storage if isinstance(storage, WarmStorage) else storage
