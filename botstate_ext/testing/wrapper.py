"""A StateStorage around another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Literal, TypeAlias, TypeVar

from ..storage.base import ANY, ItemPage, StateStorage, StoredItem

T = TypeVar("T")
Operation: TypeAlias = Literal["get", "put", "delete", "list"]


class StorageWrapper(StateStorage):
    """Hands every operation on to the storage it is around, by way of `_run`."""

    def __init__(self, storage: StateStorage) -> None:
        super().__init__(types=storage._types)
        self._storage = storage
        self.conditional, self.lists = storage.conditional, storage.lists
        self.metadata, self.any_bytes = storage.metadata, storage.any_bytes

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        keys = tuple(keys)
        key = keys[0] if len(keys) == 1 else None
        return await self._run("get", key, lambda: self._storage.get_many(keys))

    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        return await self._run(
            "put", key, lambda: self._storage.put_if(key, data, etag=etag, metadata=metadata)
        )

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        return await self._run("delete", key, lambda: self._storage.delete_if(key, etag=etag))

    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        return await self._run(
            "list",
            None,
            lambda: self._storage.list_page(
                prefix, limit=limit, continuation_token=continuation_token
            ),
        )

    async def list_folders(self) -> frozenset[str]:
        return await self._run("list", None, self._storage.list_folders)

    async def aclose(self) -> None:
        await self._storage.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} around {self._storage!r}>"

    async def _run(
        self, operation: Operation, key: str | None, call: Callable[[], Awaitable[T]]
    ) -> T:
        """Do it. ``key`` is None when there is none, or several."""
        return await call()
