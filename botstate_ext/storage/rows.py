"""Parts of the engines that keep an item in a row: its metadata as text, and the items that are
due, found by an index. Pure, but for the reads that it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from .backend import frozen_metadata
from .base import DueItems, ItemInfo
from .due_index import DUE_PAGE, NEXT_EXPIRY

ReadDue: TypeAlias = Callable[[Any, int], Awaitable[Sequence[tuple[Any, "ItemInfo | None"]]]]
"""``(last, limit)`` -> so many due items that follow ``last`` in the index, each with its place
there. ``last`` None: from the beginning. An item is None if it is due no more."""


def metadata_text(metadata: Mapping[str, str] | None) -> str:
    """Return metadata as the text of a column."""
    return msgspec.json.encode(dict(metadata or {})).decode()


def metadata_from(text: str | bytes) -> Mapping[str, str]:
    """Return the metadata that `metadata_text` wrote, read-only."""
    return frozen_metadata(msgspec.json.decode(text))


def due_text(metadata: Mapping[str, str] | None) -> str:
    """Return the text by which an item is in the index of due items. Empty: it is always due."""
    return (metadata or {}).get(NEXT_EXPIRY, "")


async def due_pages_read(read: ReadDue) -> AsyncIterator[DueItems]:
    """Yield the due items by page, each read after the last item of the page before it."""
    last = None
    while True:
        found = await read(last, DUE_PAGE)
        yield DueItems(tuple(info for _, info in found if info is not None), len(found))
        if len(found) < DUE_PAGE:
            return
        last = found[-1][0]
