"""ListedScope: a scope's documents by page, and their tags."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

from ..documents import document_tags
from ..jsonpath import JsonPath
from ..listing.listing import PAGE, Listing, Shelf, with_data
from ..listing.records import DocumentPage, DocumentRecord
from .bot_state import DocumentBotState


class ListedScope(DocumentBotState):
    """Listings need a storage that lists: memory and Blob do; an upstream storage of another kind
    does not, and they raise `StateStorageError` there. Metadata tells all that a record says, so no
    document is read. One that upstream wrote has none: it is listed with what its key tells."""

    folder: ClassVar[str | None] = None
    """What follows the channel in the scope's keys, where they are upstream's."""

    async def list_documents(
        self,
        limit: int = PAGE,
        continuation_token: str | None = None,
        tags: Mapping[str, str] | None = None,
        *,
        channel_id: str | None = None,
    ) -> DocumentPage:
        """A page of the scope's documents, in the order of their keys, channel by channel.

        At most ``limit``, from after the page whose ``continuation_token`` is given. A token can be
        kept as long as you like, holds the last key, and works with this scope only. A document
        that is added or removed between two pages neither repeats nor hides another.

        ``tags``: only documents that have all of these. ``channel_id``: only those of this channel
        (user, conversation and private scope), which is cheaper than choosing among all.

        A document that has expired as a whole is left out, also before a sweep removes it.

        :raises ValueError: ``limit`` is not positive.
        :raises StateQueryError: the token is of another scope or channel, or was changed.
        :raises StateKeyError: the scope's documents are of no channel, or none is called so.
        :raises StateStorageError: the storage failed, or does not list.
        """
        return await self._listing(tags, channel_id).page(limit, continuation_token)

    async def scan(
        self,
        where: str | JsonPath | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        channel_id: str | None = None,
        data: bool = False,
    ) -> AsyncIterator[DocumentRecord]:
        """All documents of the scope, read by page as they are asked for.

        ``where``: only those in which this JSONPath finds something. With it, or with
        ``data=True``, documents are read, a hundred at a time, and each record's ``data`` holds the
        properties as plain JSON. One that cannot be read is logged and passed over.
        ``tags`` and ``channel_id``: as in `list_documents`, applied first, without reading.

        :raises StateQueryError: the path is not valid, or over a limit on some document.
        :raises StateKeyError, StateStorageError: as `list_documents`.
        """
        path = JsonPath(where) if isinstance(where, str) else where
        workspace = self._workspace
        async for page in self._listing(tags, channel_id).all():
            if path is None and not data:
                for record in page.items:
                    yield record
                continue
            for start in range(0, len(page.items), PAGE):
                batch = page.items[start : start + PAGE]
                found = with_data(workspace.storage, workspace.clock, batch, self.policies)
                async for record in found:
                    if path is None or path.find(record.data):
                        yield record

    async def tags(self, turn: Any) -> dict[str, str]:
        """The tags of this turn's document, as the turn sees them: a copy."""
        return (await self.document(turn)).tags

    async def set_tags(self, turn: Any, tags: Mapping[str, str]) -> None:
        """Give this turn's document these tags and no others, when the turn's state is saved.

        Tags are for finding documents in listings, and stored where those who may list can read
        them. Two who change different tags at once are merged; of the same tag the later save wins.

        :raises TypeError: they are no mapping of strings to strings.
        :raises StateTooLargeError: there are over 32, or names and values are over 4 KB in all. So
            the save may raise, if someone else added others meanwhile.
        """
        wanted = document_tags.checked(tags)
        (await self.document(turn)).tags = wanted

    def _listing(self, tags: Mapping[str, str] | None, channel_id: str | None) -> Listing:
        workspace = self._workspace
        return Listing(
            workspace.storage, workspace.clock, self._shelf(), channel_id=channel_id, tags=tags
        )

    def _shelf(self) -> Shelf:
        """Where this scope's documents are."""
        return Shelf(self.scope_name, f"{self.scope_name}/", self.folder)
