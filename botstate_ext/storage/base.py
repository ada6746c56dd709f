"""StateStorage: what every backend does. A few primitives on bytes; the rest is derived."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from botbuilder.core import Storage

ANY: Final = "*"
"""The ETag that matches whatever is stored: an unconditional write or delete."""


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


class StateStorage(Storage):
    @abstractmethod
    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        """The items of these keys, read in parallel. A key that is absent is left out."""

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

        :raises StateConflictError: the condition does not hold (an absent key included).
        """

    @abstractmethod
    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        """Delete one item. False if it was absent already, whatever the ETag.

        :raises StateConflictError: it is there with another ETag.
        """

    @abstractmethod
    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        """One page of the items whose keys start with ``prefix``, in the order of their keys."""

    async def aclose(self) -> None:
        """Close what this storage opened. It may be called more than once."""
