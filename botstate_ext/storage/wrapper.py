"""StorageWrapper: a storage around another, which forwards every operation."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from typing import Literal, TypeAlias, TypeVar, cast

from .base import ANY, FLAGS, DueItems, ItemPage, ItemWrite, StateStorage, StoredItem

T = TypeVar("T")
Operation: TypeAlias = Literal["get", "put", "delete", "list"]


class StorageWrapper(StateStorage):
    """Forwards every operation to the storage that it is around, each through `_run`.

    It has that storage's flags and types. A subclass overrides `_run` to count, delay or refuse
    operations, or one of the primitives to change that operation.
    """

    def __init__(self, storage: StateStorage) -> None:
        super().__init__(types=storage._types)
        self._storage = storage
        for flag in FLAGS:
            setattr(self, flag, getattr(storage, flag))

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

    async def list_due(self, entry: str, until: str) -> AsyncIterator[DueItems]:
        # Every backend's is an async generator; the iterator's type does not say so.
        pages = cast("AsyncGenerator[DueItems, None]", self._storage.list_due(entry, until))
        async with aclosing(pages):
            page = await self._run("list", None, lambda: anext(pages, None))
            while page is not None:
                yield page
                following = await anext(pages, None)
                # The end is no operation: only a further page goes through `_run`.
                page = following and await self._run("list", None, _returning(following))

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        key = writes[0].key if len(writes) == 1 else None
        return await self._run("put", key, lambda: self._storage.write_many(writes))

    def transactional_for(self, keys: Collection[str]) -> bool:
        return self._storage.transactional_for(keys)

    async def aclose(self) -> None:
        await self._storage.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} around {self._storage!r}>"

    async def _run(
        self, operation: Operation, key: str | None, call: Callable[[], Awaitable[T]]
    ) -> T:
        """Call ``call``, which does the operation. ``key`` is None if it has no key, or several."""
        return await call()


def _returning(page: DueItems) -> Callable[[], Awaitable[DueItems]]:
    async def call() -> DueItems:
        return page

    return call
