"""Listing: the documents of one scope, page by page, without reading them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ..clock import Clock, is_expired
from ..documents.document import Document
from ..documents.plain_view import visible_properties
from ..documents.policy import Policies
from ..errors import StateDecodeError, StateKeyError, StateQueryError
from ..keys.build import is_own_key
from ..keys.parse import CONVERSATIONS
from ..storage.base import ItemInfo, StateStorage, StoredItem
from .continuation import Position, from_token, to_token
from .records import DocumentPage, DocumentRecord, record_of, scope_of

PAGE: Final = 100
_LARGE_PAGE: Final = 1000

_log: Final = logging.getLogger("botstate_ext")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the documents of a scope are.

    ``prefix``: of the keys that hold an id of our own, with no other "/".
    ``folder``: what follows the channel in a key of upstream's; None: the scope has no such keys.
    """

    scope: str
    prefix: str
    folder: str | None = None
    namespace: str = ""


class Listing:
    """The documents on one shelf that match: of this channel, with these tags."""

    def __init__(
        self,
        storage: StateStorage,
        clock: Clock,
        shelf: Shelf,
        *,
        channel_id: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        if channel_id is not None and (shelf.folder is None or not _is_channel(channel_id)):
            raise StateKeyError(
                f"The {shelf.scope} scope has no documents of a channel of this name: leave out "
                "channel_id, or give the channel's, which holds no '/'."
            )
        self._storage, self._clock, self._shelf = storage, clock, shelf
        self._channel_id, self._tags = channel_id, dict(tags or {})

    async def page(self, limit: int, token: str | None = None) -> DocumentPage:
        """At most ``limit`` documents from where the token says.

        :raises ValueError: ``limit`` is not positive.
        :raises StateQueryError: the token is not one of this scope, or of another channel.
        """
        if limit < 1:
            raise ValueError("limit must be at least 1.")
        position: Position | None = self._place(token)
        found: list[DocumentRecord] = []
        while position is not None and len(found) < limit:
            position = await self._take(position, limit, found)
        scope = self._shelf.scope
        return DocumentPage(tuple(found), None if position is None else to_token(scope, position))

    async def all(self) -> AsyncIterator[DocumentPage]:
        """Page after page."""
        token = None
        while True:
            page = await self.page(_LARGE_PAGE, token)
            yield page
            token = page.continuation_token
            if token is None:
                return

    async def _take(
        self, position: Position, limit: int, found: list[DocumentRecord]
    ) -> Position | None:
        """Add what matches on one page of the storage, up to the limit. Where to go on."""
        prefix, now = self._prefix(position), self._clock()
        page = await self._storage.list_page(
            prefix, limit=self._page_size(limit), continuation_token=position.marker
        )
        for info in page.items:
            if info.key <= position.after or not self._is_here(info, prefix):
                continue
            record = record_of(info, self._shelf.scope, self._shelf.namespace)
            if is_expired(record.expires, now) or not self._tags.items() <= record.tags.items():
                continue
            if len(found) == limit:
                return Position(position.channel, position.marker, found[-1].key)
            found.append(record)
        if page.continuation_token is not None:
            return Position(position.channel, page.continuation_token)
        return await self._next_channel(position.channel)

    def _page_size(self, limit: int) -> int:
        # Where most of what the storage lists may not match, fewer and larger pages are cheaper.
        matches_most = not self._tags and self._shelf.folder != CONVERSATIONS
        return limit if matches_most else max(limit, _LARGE_PAGE)

    def _is_here(self, info: ItemInfo, prefix: str) -> bool:
        shelf = self._shelf
        if prefix == shelf.prefix:
            return info.key.startswith(prefix) and is_own_key(info.key)
        return info.key.startswith(prefix) and scope_of(info, shelf.namespace) == shelf.scope

    def _prefix(self, position: Position) -> str:
        if position.channel is None:
            return self._shelf.prefix
        return f"{position.channel}/{self._shelf.folder}/"

    def _place(self, token: str | None) -> Position:
        if token is None:
            return Position(self._channel_id)
        position = from_token(self._shelf.scope, token)
        channel = position.channel
        fits = channel is None or (self._shelf.folder is not None and _is_channel(channel))
        if not fits or self._channel_id not in (None, channel):
            raise StateQueryError("This continuation token is of a listing of another channel.")
        return position

    async def _next_channel(self, channel: str | None) -> Position | None:
        """The first page of the channel after this one."""
        if self._shelf.folder is None or self._channel_id is not None:
            return None
        folders = await self._storage.list_folders()
        later = [each for each in folders if _is_channel(each) and each > (channel or "")]
        return Position(min(later)) if later else None


async def with_data(
    storage: StateStorage, clock: Clock, records: Iterable[DocumentRecord], policies: Policies
) -> AsyncIterator[DocumentRecord]:
    """The same records with their properties, read in one batch. What was removed meanwhile is
    left out; so is what cannot be read, with a warning."""
    records = tuple(records)
    items = await storage.get_many([record.key for record in records])
    for record in records:
        item = items.get(record.key)
        if item is None:
            continue
        try:
            yield opened(record, item, policies, clock())
        except StateDecodeError as error:
            _log.warning("A scan could not read a document, and went on: %s", error)


def opened(
    record: DocumentRecord, item: StoredItem, policies: Policies, now: datetime
) -> DocumentRecord:
    """The record with its properties.

    :raises StateDecodeError: the item is not a document.
    """
    document = Document(record.key, record.scope, policies)
    document.fill(item.data, item.etag, now)
    return replace(record, data=visible_properties(document))


def _is_channel(name: str) -> bool:
    return bool(name) and "/" not in name
