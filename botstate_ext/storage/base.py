"""StateStorage: what every backend does. A few primitives on bytes; the rest is derived."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar

from botbuilder.core import Storage

from . import upstream_face
from .etags import ANY

__all__ = ["ANY", "DueItems", "ItemInfo", "ItemPage", "StateStorage", "StoredItem"]

Self = TypeVar("Self", bound="StateStorage")


@dataclass(frozen=True, slots=True)
class StoredItem:
    """One item as the storage holds it. ``data`` is not shown: it is a user's state."""

    data: bytes = field(repr=False)
    etag: str
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ItemInfo:
    """What a listing tells of an item without reading its body. ``size`` is in bytes."""

    key: str
    etag: str
    size: int
    updated: datetime
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of a listing, by key. ``continuation_token`` is None on the last page."""

    items: tuple[ItemInfo, ...]
    continuation_token: str | None = None


@dataclass(frozen=True, slots=True)
class DueItems:
    """Some of the items that are due. ``seen``: how many were considered to find them."""

    items: tuple[ItemInfo, ...]
    seen: int


class StateStorage(Storage):
    """Base of every backend, and itself a ``botbuilder.core.Storage``.

    A backend implements the four primitives on bytes, and `aclose` if it holds anything open. It
    refuses the keys and metadata that :mod:`botstate_ext.storage.keycheck` refuses, so that what
    works on one backend works on all. ``botstate_ext.testing.StorageContract`` tests a backend.

    ``types``: classes that items may hold which the SDK itself reads and writes through `read` and
    `write`; the primitives take none.
    """

    conditional: bool = True
    """Conditions hold against every other writer, in this process or not; and every write, also
    one of equal bytes, makes a new ETag."""

    lists: bool = True
    """`list_page` works."""

    metadata: bool = True
    """Metadata is kept. Otherwise it reads as empty."""

    any_bytes: bool = True
    """Bodies may be any bytes, and come back byte for byte. Otherwise they must be JSON objects,
    and come back as equal JSON."""

    _types: tuple[type, ...] = ()

    def __init__(self, *, types: Iterable[type] = ()) -> None:
        super().__init__()
        self._types = tuple(types)

    @abstractmethod
    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        """The items of these keys, read in parallel. A key that is absent is left out.

        :raises StateKeyError: a key that no storage takes; nothing was read.
        :raises StateStorageError: a read failed; absent is not failed.
        """

    @abstractmethod
    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Write one item and return its new ETag.

        ``etag`` None creates (fails if the key exists), ``ANY`` overwrites, anything else must be
        the stored ETag. ``metadata`` replaces what was there.

        :raises StateConflictError: the condition does not hold (an absent key included). It may be
            this very write that came first, if its answer was lost: what is stored tells.
        :raises StateKeyError, StateTooLargeError: the key or the metadata is not acceptable.
        :raises StateStorageError: it failed; ``maybe_written`` tells whether it may be there.
        """

    @abstractmethod
    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        """Delete one item. False if it was absent already, whatever the ETag, as far as is known:
        it may have been this call whose answer was lost.

        :raises StateConflictError: it is there with another ETag.
        :raises StateStorageError: it failed.
        """

    @abstractmethod
    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        """One page of the items whose keys start with ``prefix``, in the order of their keys.

        At most ``limit`` items (None: 5,000), from after the page whose ``continuation_token`` is
        given. A page may be empty and still have a token. An item that is added or removed between
        two pages neither repeats nor hides another.

        :raises ValueError: ``limit`` is not positive, or the token is not one of this storage.
        """

    async def aclose(self) -> None:
        """Close what this storage opened. It may be called more than once, and a storage that is
        used again opens again."""

    async def get(self, key: str) -> StoredItem | None:
        """The item, or None if it is absent."""
        return (await self.get_many((key,))).get(key)

    async def list_items(self, prefix: str = "") -> AsyncIterator[ItemInfo]:
        """All items whose keys start with ``prefix``, in the order of their keys, page by page."""
        token = None
        while True:
            page = await self.list_page(prefix, continuation_token=token)
            for item in page.items:
                yield item
            token = page.continuation_token
            if token is None:
                return

    async def list_folders(self) -> frozenset[str]:
        """What comes before the first "/" of the keys, each once.

        Here by listing all. A backend that can do so asks for them alone.
        """
        return frozenset([i.key.partition("/")[0] async for i in self.list_items() if "/" in i.key])

    async def list_due(self, entry: str, until: str) -> AsyncIterator[DueItems]:
        """The items whose metadata has no such entry, or one whose text is not after ``until``.

        Here by listing all. A backend that keeps an index gives no less than those.
        """
        token = None
        while True:
            page = await self.list_page(continuation_token=token)
            due = tuple(item for item in page.items if item.metadata.get(entry, "") <= until)
            yield DueItems(due, len(page.items))
            token = page.continuation_token
            if token is None:
                return

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def read(self, keys: Iterable[str] | None) -> dict[str, Any]:
        """Upstream's read: the items as objects, each with its ``e_tag``; absent ones left out.

        :raises TypeError: ``keys`` is None.
        :raises StateDecodeError: an item is not what upstream stores, or holds a class that is not
            allowed.
        """
        return await upstream_face.read(self, keys, self._types)

    async def write(self, changes: Mapping[str, Any] | None) -> None:
        """Upstream's write. Each item gets its new ``e_tag`` in place.

        Without an ``e_tag`` an item overwrites what is stored. ``"*"`` does too, and stays. Any
        other must be that of the stored item; if nothing is stored, it creates the item, once.

        :raises TypeError: ``changes`` is None.
        :raises ValueError: an ``e_tag`` is empty.
        :raises StateEncodeError: an item cannot be stored; nothing was written.
        :raises StateConflictError: what is stored has another ``e_tag``. ``saved`` and
            ``not_saved`` tell which items of several were written.
        """
        await upstream_face.write(self, changes, self._types)

    async def delete(self, keys: Iterable[str] | None) -> None:
        """Upstream's delete. What is absent is passed over.

        :raises TypeError: ``keys`` is None.
        """
        await upstream_face.delete(self, keys)
