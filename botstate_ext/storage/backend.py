"""What the author of a storage backend needs beside :class:`botstate_ext.storage.StateStorage`.

- the rules of keys, metadata and ETags: `check_key`, `check_put`, `check_etag`
- conditional writes: `check_condition`, `conflict`, `new_etag`
- several writes in one step: `check_writes`, `check_conditions`, `conflict_of`
- pages of a listing: `page_size`, `page_of`, `prefix_end`, `folders_of`
- `frozen_metadata`, `OpenOnce`, and `StorageWrapper` for a storage around another
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from .base import ItemInfo, ItemPage
from .etags import check_condition, conflict, new_etag
from .keycheck import check_etag, check_key, check_put
from .waiting import whole
from .wrapper import StorageWrapper
from .writes import check_conditions, check_writes, conflict_of

__all__ = [
    "OpenOnce",
    "StorageWrapper",
    "check_condition",
    "check_conditions",
    "check_etag",
    "check_key",
    "check_put",
    "check_writes",
    "conflict",
    "conflict_of",
    "folders_of",
    "frozen_metadata",
    "new_etag",
    "page_of",
    "page_size",
    "prefix_end",
]

T = TypeVar("T")

PAGE_SIZE: Final = 5000
"""The largest page of a listing, in items: what Azure gives."""

NO_METADATA: Final[Mapping[str, str]] = MappingProxyType({})

_CLOSE_SECONDS: Final = 5.0
_LAST_BEFORE_SURROGATES: Final = "\ud7ff"
_FIRST_AFTER_SURROGATES: Final = "\ue000"
_LAST_CHARACTER: Final = "\U0010ffff"


def frozen_metadata(metadata: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return a read-only copy of an item's metadata; an empty one for None."""
    return MappingProxyType(dict(metadata)) if metadata else NO_METADATA


def page_size(limit: int | None) -> int:
    """Return how many items a page may have: ``limit``, at most 5,000; 5,000 for None.

    :raises ValueError: ``limit`` is not positive.
    """
    if limit is None:
        return PAGE_SIZE
    if limit < 1:
        raise ValueError("limit must be at least 1.")
    return min(limit, PAGE_SIZE)


def page_of(keys: Iterable[str], limit: int | None, info_of: Callable[[str], ItemInfo]) -> ItemPage:
    """Return the first ``limit`` of these sorted keys as a page; its token is its last key.

    :raises ValueError: ``limit`` is not positive.
    """
    size = page_size(limit)
    # One key more than the page holds tells if there is a next page.
    found = list(itertools.islice(keys, size + 1))
    token = found[size - 1] if len(found) > size else None
    return ItemPage(tuple(map(info_of, found[:size])), token)


def prefix_end(prefix: str) -> str | None:
    """Return the first text, by code points, after all texts that start with ``prefix``.

    ``prefix <= key < prefix_end(prefix)`` is a range that an index can search. None: there is no
    such text, as for the empty prefix.
    """
    shortened = prefix.rstrip(_LAST_CHARACTER)
    if not shortened:
        return None
    last = shortened[-1]
    # UTF-8 has no surrogates, so no database can compare with one.
    following = _FIRST_AFTER_SURROGATES if last == _LAST_BEFORE_SURROGATES else chr(ord(last) + 1)
    return shortened[:-1] + following


def folders_of(keys: Iterable[str]) -> frozenset[str]:
    """Return the parts before the first "/" of these keys; keys without "/" have none."""
    return frozenset(key.partition("/")[0] for key in keys if "/" in key)


class OpenOnce(Generic[T]):
    """Opens a connection, a pool or a file at its first use, once, however many ask at once::

        self._pool = OpenOnce(open_pool, close_pool)
        pool = await self._pool.get()

    After `aclose` the next `get` opens again. ``open`` is also the place to create a table.
    """

    def __init__(
        self, open_: Callable[[], Awaitable[T]], close: Callable[[T], Awaitable[object]]
    ) -> None:
        self._open, self._close = open_, close
        self._lock = asyncio.Lock()
        self._opened: list[T] = []  # one at most: T may be any type, None too
        self._failure: Exception | None = None
        self._failures = 0

    @property
    def is_open(self) -> bool:
        """Return True between the first `get` and `aclose`."""
        return bool(self._opened)

    async def get(self) -> T:
        """Return the result of ``open_``.

        If opening fails, the calls that waited for that attempt raise its error too; later calls
        try again. If the call that opens is cancelled, another one of those waiting opens.
        """
        if self._opened:
            return self._opened[0]
        failures = self._failures
        async with self._lock:
            if not self._opened:
                if self._failure is not None and self._failures != failures:
                    raise self._failure
                self._opened.append(await self._try_open())
            return self._opened[0]

    async def aclose(self) -> None:
        """Close what is open. Without anything open, do nothing.

        If it is cancelled, it closes all the same, within 5 s.
        """
        async with self._lock:
            while self._opened:
                await whole(self._close_one(self._opened.pop()), _CLOSE_SECONDS)

    async def _close_one(self, opened: T) -> None:
        await self._close(opened)

    async def _try_open(self) -> T:
        try:
            return await self._open()
        except Exception as error:
            self._failure = error
            self._failures += 1
            raise
