"""Listing: the documents of one scope, page by page, without reading them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ..clock import Clock, is_expired
from ..documents.document import Document
from ..documents.plain_view import visible_properties
from ..documents.policy import Policies
from ..errors import StateError, StateKeyError, StateQueryError
from ..jsonpath import JsonPath
from ..keys.parse import is_own_key
from ..keys.scopes import CONVERSATIONS, ScopeRow
from ..storage.base import ItemInfo, StateStorage, StoredItem
from ..storage.parallel import all_outcomes
from .attribution import attribute
from .continuation import ListingCursor, from_token, to_token
from .records import DocumentPage, DocumentRecord, record_of

PAGE: Final = 100
_LARGE_PAGE: Final = 1000

_log: Final = logging.getLogger("botstate_ext")


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Describes the keys of a scope's documents. ``namespace``: the private scope's."""

    row: ScopeRow
    namespace: str = ""

    def has_channel(self, channel_id: str) -> bool:
        """Return True if the scope can have documents of a channel of this name."""
        return self.row.folder is not None and _is_channel(channel_id)

    def record(self, info: ItemInfo, channel_id: str | None) -> DocumentRecord | None:
        """Return the record of an item of the channel; None if it is no document of the scope."""
        found = attribute(info, self.namespace)
        is_here = found.scope == self.row.name and found.channel == channel_id
        if not is_here or (channel_id is None and not is_own_key(info.key)):
            return None
        return record_of(info, found, self.row.name)


class Listing:
    """The documents of one scope, as far as they are of this channel, have these tags, and have
    keys that start with ``key_prefix``."""

    def __init__(
        self,
        storage: StateStorage,
        clock: Clock,
        keys: KeyRange,
        *,
        channel_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        key_prefix: str = "",
    ) -> None:
        if channel_id is not None and not keys.has_channel(channel_id):
            raise StateKeyError(
                f"The {keys.row.name} scope has no documents of a channel of this name: leave out "
                "channel_id, or give the channel's, which holds no '/'."
            )
        self._storage, self._clock, self._keys = storage, clock, keys
        self._channel_id, self._tags = channel_id, dict(tags or {})
        self._key_prefix = key_prefix

    async def page(self, limit: int, token: str | None = None) -> DocumentPage:
        """Return at most ``limit`` documents from where the token says.

        :raises ValueError: ``limit`` is not positive.
        :raises StateQueryError: the token is another scope's or another channel's.
        """
        return await self._documents(limit, token, all_steps=True)

    async def step(self, limit: int, token: str | None = None) -> DocumentPage:
        """Do as `page`, but look at ``limit`` items of the storage only, for a caller with little
        time.

        The result may have fewer documents, or none, and still a continuation token.
        """
        return await self._documents(limit, token, all_steps=False)

    async def all(self) -> AsyncIterator[DocumentPage]:
        """Yield page after page."""
        token = None
        while True:
            page = await self.page(_LARGE_PAGE, token)
            yield page
            token = page.continuation_token
            if token is None:
                return

    async def _documents(self, limit: int, token: str | None, *, all_steps: bool) -> DocumentPage:
        if limit < 1:
            raise ValueError("limit must be at least 1.")
        found: list[DocumentRecord] = []
        size = self._page_size(limit) if all_steps else limit
        cursor = await self._add(self._cursor(token), limit, size, found)
        while all_steps and cursor is not None and len(found) < limit:
            cursor = await self._add(cursor, limit, size, found)
        scope = self._keys.row.name
        return DocumentPage(tuple(found), None if cursor is None else to_token(scope, cursor))

    async def _add(
        self, cursor: ListingCursor, limit: int, size: int, found: list[DocumentRecord]
    ) -> ListingCursor | None:
        """Add the matches on one page of the storage, up to the limit. Return where to go on."""
        row, channel = self._keys.row, cursor.channel
        prefix = self._narrowed(row.prefix if channel is None else row.channel_prefix(channel))
        if prefix is None:
            return await self._next_channel(channel)
        page = await self._storage.list_page(prefix, limit=size, continuation_token=cursor.marker)
        for info in page.items:
            if info.key <= cursor.after or not info.key.startswith(prefix):
                continue
            record = self._match(info, channel)
            if record is None:
                continue
            if len(found) == limit:
                return ListingCursor(channel, cursor.marker, found[-1].key)
            found.append(record)
        if page.continuation_token is not None:
            return ListingCursor(channel, page.continuation_token)
        return await self._next_channel(channel)

    def _narrowed(self, prefix: str | None) -> str | None:
        """Return the prefix of the keys to list: the longer of this one and the caller's; None if
        no key has both."""
        if prefix is None or prefix.startswith(self._key_prefix):
            return prefix
        return self._key_prefix if self._key_prefix.startswith(prefix) else None

    def _match(self, info: ItemInfo, channel_id: str | None) -> DocumentRecord | None:
        try:
            record = self._keys.record(info, channel_id)
        except Exception as error:  # noqa: BLE001 - logged; one item ends no listing
            kind = type(error).__name__
            _log.warning("A listing passed over %r: its metadata raised %s.", info.key, kind)
            return None
        if record is None or is_expired(record.expires, self._clock()):
            return None
        return record if self._tags.items() <= record.tags.items() else None

    def _page_size(self, limit: int) -> int:
        # Where most items that the storage lists may not match, fewer and larger pages are cheaper.
        matches_most = not self._tags and self._keys.row.folder != CONVERSATIONS
        return limit if matches_most else max(limit, _LARGE_PAGE)

    def _cursor(self, token: str | None) -> ListingCursor:
        if token is None:
            return ListingCursor(self._channel_id)
        cursor = from_token(self._keys.row.name, token)
        fits = cursor.channel is None or self._keys.has_channel(cursor.channel)
        if not fits or self._channel_id not in (None, cursor.channel):
            raise StateQueryError("This continuation token is of a listing of another channel.")
        return cursor

    async def _next_channel(self, channel: str | None) -> ListingCursor | None:
        """Return the start of the channel after this one; None after the last."""
        if self._keys.row.folder is None or self._channel_id is not None:
            return None
        folders = await self._storage.list_folders()
        later = [each for each in folders if _is_channel(each) and each > (channel or "")]
        return ListingCursor(min(later)) if later else None


async def with_data(
    storage: StateStorage,
    clock: Clock,
    records: Iterable[DocumentRecord],
    policies: Policies,
    where: JsonPath | None = None,
) -> AsyncIterator[DocumentRecord]:
    """Yield the records with their properties, read in one batch.

    ``where``: only those in which this path finds something. A document that was removed meanwhile
    is left out; so is one that cannot be read or searched, with a warning.

    :raises StateError: no document of the batch could be read.
    """
    records = tuple(records)
    items = await read_each(storage, [record.key for record in records])
    for record in records:
        item = items.get(record.key)
        if item is None:
            continue
        try:
            if isinstance(item, Exception):
                raise item
            found = opened(record, item, policies, clock())
            if where is not None and not where.find(found.data):
                continue
        except Exception as error:  # noqa: BLE001 - logged; one document ends no scan
            # Of our own errors the text shows no value; of any other it may.
            reason = error if isinstance(error, StateError) else f"{type(error).__name__}."
            _log.warning("A scan passed over %r, which raised: %s", record.key, reason)
        else:
            yield found


async def read_each(
    storage: StateStorage, keys: Sequence[str]
) -> Mapping[str, StoredItem | Exception]:
    """Read documents in one batch; if that fails, one by one, so that the others are read.

    Absent ones are left out. For a document that cannot be read, the mapping holds the error.

    :raises StateStorageError: no document of the batch can be read.
    """
    try:
        return await storage.get_many(keys)
    except Exception:
        if len(keys) == 1:
            raise
        outcomes = dict(zip(keys, await all_outcomes(map(storage.get, keys)), strict=True))
        if all(isinstance(outcome, Exception) for outcome in outcomes.values()):
            raise
        return {key: outcome for key, outcome in outcomes.items() if outcome is not None}


def opened(
    record: DocumentRecord, item: StoredItem, policies: Policies, now: datetime
) -> DocumentRecord:
    """Return the record with its properties.

    :raises StateDecodeError: the item is not a document.
    """
    document = Document(record.key, record.scope, policies)
    document.fill(item.data, item.etag, now)
    return replace(record, data=visible_properties(document))


def _is_channel(name: str) -> bool:
    return bool(name) and "/" not in name
