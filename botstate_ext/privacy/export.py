"""Export: everything of one user as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..clock import Clock
from ..documents.document import Document
from ..documents.plain_view import plain_properties
from ..documents.policy import Policies
from ..errors import StateEncodeError
from ..listing.records import record_of
from ..storage.base import ItemInfo, StateStorage
from ..storage.waiting import call_handler
from .erasure import Handlers
from .user_documents import StateUser, UserDocuments

_BATCH: Final = 100


class Export:
    """One export. ``policies``: those of the user and private scopes, by name."""

    def __init__(
        self,
        storage: StateStorage,
        clock: Clock,
        user: StateUser,
        documents: UserDocuments,
        handlers: Handlers,
        *,
        policies: Mapping[str, Policies],
        namespace: str,
        dry_run: bool,
    ) -> None:
        self._storage, self._clock, self._user = storage, clock, user
        self._documents, self._handlers = documents, handlers
        self._policies, self._namespace, self._dry_run = policies, namespace, dry_run

    async def run(self) -> dict[str, Any]:
        """:raises StateStorageError: a document could not be found or read.
        :raises StateDecodeError: a document could not be understood.
        :raises StateEncodeError: what a handler returned is no JSON.
        """
        theirs: list[ItemInfo] = []
        ambiguous: list[ItemInfo] = []
        async for found in self._documents.find():
            (theirs if found.is_theirs else ambiguous).append(found.info)
        documents: list[dict[str, Any]] = []
        for start in range(0, len(theirs), _BATCH):
            documents += await self._read(theirs[start : start + _BATCH])
        exported = {} if self._dry_run else await self._from_handlers()
        return {
            "channel_id": self._user.channel_id,
            "user_id": self._user.user_id,
            "documents": documents,
            "exported": exported,
            "ambiguous": [info.key for info in ambiguous],
        }

    async def _read(self, infos: list[ItemInfo]) -> list[dict[str, Any]]:
        if self._dry_run:
            return [self._entry(info) for info in infos]
        items = await self._storage.get_many([info.key for info in infos])
        entries = []
        for info in infos:
            item = items.get(info.key)
            if item is None:
                continue  # removed meanwhile
            entry = self._entry(info)
            document = Document(info.key, entry["scope"], self._policies[entry["scope"]])
            document.fill(item.data, item.etag, self._clock())
            entries.append({**entry, "properties": plain_properties(document)})
        return entries

    def _entry(self, info: ItemInfo) -> dict[str, Any]:
        scope = "private" if "/conversations/" in info.key else "user"
        record = record_of(info, scope, self._namespace)
        return {
            "scope": scope,
            "key": record.key,
            "conversation_id": record.conversation_id,
            "created": None if record.created is None else record.created.isoformat(),
            "updated": record.updated.isoformat(),
            "tags": dict(record.tags),
        }

    async def _from_handlers(self) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        for name, handler in self._handlers.named():
            async with self._handlers.work() as work:
                value = await call_handler(handler, work, self._user)
            try:
                answers[name] = msgspec.to_builtins(value)
            except (TypeError, ValueError, RecursionError):
                reason = f"what the on_export handler of {name!r} returned is no JSON"
            else:
                continue
            raise StateEncodeError(reason)  # outside of the handler: what led to it may show it
        return answers
