"""StateStorage: the base of every backend. Four primitives on bytes; the rest is derived."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Final, TypeVar

from ..host.bases import Storage
from . import upstream_face
from .etags import ANY
from .writes import ItemWrite

__all__ = ["ANY", "DueItems", "ItemInfo", "ItemPage", "ItemWrite", "StateStorage", "StoredItem"]

Self = TypeVar("Self", bound="StateStorage")

FLAGS: Final = ("conditional", "lists", "metadata", "any_bytes", "transactional")
"""The attributes of a storage by which it says what it can do."""


@dataclass(frozen=True, slots=True)
class StoredItem:
    """One stored item. The repr does not show ``data``, which is a user's state."""

    data: bytes = field(repr=False)
    etag: str
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ItemInfo:
    """An item of a listing, without its body. ``size`` is in bytes."""

    key: str
    etag: str
    size: int
    updated: datetime
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of a listing, sorted by key. ``continuation_token`` is None on the last page."""

    items: tuple[ItemInfo, ...]
    continuation_token: str | None = None


@dataclass(frozen=True, slots=True)
class DueItems:
    """A page of due items, and the number of items that were looked at to find them: due ones only
    where an index finds them, all of a page of the listing elsewhere."""

    items: tuple[ItemInfo, ...]
    seen: int


class StateStorage(Storage):
    """Base of every backend, and itself a ``botbuilder.core.Storage``.

    A backend implements the four primitives on bytes, and `aclose` if it holds anything open. It
    checks keys and metadata with :mod:`botstate_ext.storage.backend`, so that a key that works on
    one backend works on all. ``botstate_ext.testing.StorageContract`` tests a backend.

    ``types``: classes allowed in items that the SDK itself reads and writes, through `read` and
    `write`. The primitives know bytes only.
    """

    conditional: bool = True
    """True if conditions hold against every other writer, also in other processes, and every write
    makes a new ETag, even one of equal bytes."""

    lists: bool = True
    """True if `list_page` works."""

    metadata: bool = True
    """True if metadata is kept. Otherwise it reads as empty."""

    any_bytes: bool = True
    """True if bodies may be any bytes, and come back byte for byte. Otherwise they must be JSON
    objects, and come back as equal JSON."""

    transactional: bool = False
    """True if `write_many` writes several items in one step, all or none."""

    _types: tuple[type, ...] = ()

    def __init__(self, *, types: Iterable[type] = ()) -> None:
        super().__init__()
        self._types = tuple(types)

    @abstractmethod
    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        """Return the items of these keys, read in parallel. Missing items are left out.

        :raises StateKeyError: no storage takes one of the keys; nothing was read.
        :raises StateStorageError: a read failed. A missing item is not an error.
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

        :raises StateConflictError: the condition does not hold; also if the item is absent.
            ``maybe_written`` is True if this very write may have been made already, because the
            answer to an earlier attempt was lost: compare what is stored.
        :raises StateKeyError, StateTooLargeError: the key or the metadata is not acceptable.
        :raises StateStorageError: the write failed; ``maybe_written`` is True if it may have been
            made all the same.
        """

    @abstractmethod
    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        """Delete one item. Return False if there was none, whatever the ETag.

        True as well if an earlier attempt of this call may have deleted it.

        :raises StateConflictError: the item has another ETag.
        :raises StateStorageError: the deletion failed.
        """

    @abstractmethod
    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        """Return a page of the items whose keys start with ``prefix``, sorted by key.

        It has at most ``limit`` items (None: 5,000), and starts after the page that gave
        ``continuation_token``. A page may be empty and still have a token. Adding or removing an
        item between two pages neither repeats nor hides another.

        :raises ValueError: ``limit`` is not positive, or the token is not one of this storage.
        """

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        """Write and delete several items in one step, all or none.

        Return the new ETags by key, without those of deleted items. Whoever reads several items
        with one `get_many` sees all of these writes or none.

        :raises StateConflictError: some conditions do not hold; ``keys`` names all of them.
        :raises StateKeyError, StateTooLargeError: a key or metadata is not acceptable.
        :raises StateStorageError: it failed; ``maybe_written`` tells whether all may be there.
        :raises ValueError: a key is there twice, or a deletion has no ETag.
        :raises NotImplementedError: the storage is not ``transactional``.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot write several items in one step.")

    def transactional_for(self, keys: Collection[str]) -> bool:
        """Return True if `write_many` writes the items of these keys in one step. Where several
        storages act as one, this depends on the keys; elsewhere it is ``transactional``."""
        return self.transactional

    async def aclose(self) -> None:
        """Close every connection that this storage opened. Closing twice is no error, and a storage
        that is used again opens again."""

    async def get(self, key: str) -> StoredItem | None:
        """Return the item, or None if it is absent."""
        return (await self.get_many((key,))).get(key)

    async def list_items(self, prefix: str = "") -> AsyncIterator[ItemInfo]:
        """Yield all items whose keys start with ``prefix``, sorted by key, reading page by page."""
        token = None
        while True:
            page = await self.list_page(prefix, continuation_token=token)
            for item in page.items:
                yield item
            token = page.continuation_token
            if token is None:
                return

    async def list_folders(self) -> frozenset[str]:
        """Return the parts before the first "/" of all keys.

        The base lists all items. A backend may override it with a cheaper request.
        """
        return frozenset([i.key.partition("/")[0] async for i in self.list_items() if "/" in i.key])

    async def list_due(self, entry: str, until: str) -> AsyncIterator[DueItems]:
        """Yield the items whose metadata lacks ``entry``, or has a text not after ``until`` there.

        The base lists all items. A backend with an index overrides it, and yields all of these in
        a time that does not grow with the other items.
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
        """Return items as objects with their ``e_tag``, as the SDK does. Missing ones are left out.

        :raises TypeError: ``keys`` is None.
        :raises StateDecodeError: an item is not in the SDK's format, or holds a class that is not
            allowed.
        """
        return await upstream_face.read(self, keys, self._types)

    async def write(self, changes: Mapping[str, Any] | None) -> None:
        """Write items as the SDK writes them. Each gets its new ``e_tag`` in place.

        Without an ``e_tag`` an item overwrites what is stored. ``"*"`` does too, and stays. Any
        other must be that of the stored item; if nothing is stored, it creates the item, once.

        :raises TypeError: ``changes`` is None.
        :raises ValueError: an ``e_tag`` is empty.
        :raises StateEncodeError: an item cannot be stored; nothing was written.
        :raises StateConflictError: a stored item has another ``e_tag``. ``saved`` and
            ``not_saved`` name the items that were and were not written.
        """
        await upstream_face.write(self, changes, self._types)

    async def delete(self, keys: Iterable[str] | None) -> None:
        """Delete items as the SDK deletes them. Missing ones are passed over.

        :raises TypeError: ``keys`` is None.
        """
        await upstream_face.delete(self, keys)
