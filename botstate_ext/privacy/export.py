"""Export: everything of one user as JSON, and a list of what could not be read."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ..clock import Clock
from ..documents.document import Document
from ..documents.plain_view import plain_properties
from ..documents.policy import Policies, UserHandler
from ..errors import reason_of
from ..listing.listing import read_each
from ..listing.records import record_of
from ..storage.base import StateStorage, StoredItem
from ..storage.waiting import call_handler
from .erasure import Handlers
from .user_documents import StateUser, UserDocument, UserDocuments

_BATCH: Final = 100

_log: Final = logging.getLogger("botstate_ext.privacy")


class Export:
    """One export. ``policies``: those of the user and private scopes, by name.

    A document or a handler that fails is logged and listed in the result under ``failed``; the
    others are exported.
    """

    def __init__(
        self,
        storage: StateStorage,
        clock: Clock,
        user: StateUser,
        documents: UserDocuments,
        handlers: Handlers,
        *,
        policies: Mapping[str, Policies],
        dry_run: bool,
    ) -> None:
        self._storage, self._clock, self._user = storage, clock, user
        self._documents, self._handlers = documents, handlers
        self._policies, self._dry_run = policies, dry_run
        self._failed: dict[str, str] = {}

    async def run(self) -> dict[str, Any]:
        """Return the user's data.

        :raises StateStorageError: the documents could not be looked for, or none could be read.
        """
        theirs: list[UserDocument] = []
        ambiguous: list[str] = []
        async for found in self._documents.find():
            if found.is_theirs:
                theirs.append(found)
            else:
                ambiguous.append(found.info.key)
        documents: list[dict[str, Any]] = []
        for start in range(0, len(theirs), _BATCH):
            documents += await self._read(theirs[start : start + _BATCH])
        exported = {} if self._dry_run else await self._from_handlers()
        return {
            "channel_id": self._user.channel_id,
            "user_id": self._user.user_id,
            "documents": documents,
            "exported": exported,
            "ambiguous": ambiguous,
            "failed": {**self._documents.failed, **self._failed},
        }

    async def _read(self, batch: Sequence[UserDocument]) -> list[dict[str, Any]]:
        if self._dry_run:
            return [_entry(found) for found in batch]
        items = await read_each(self._storage, [found.info.key for found in batch])
        entries = []
        for found in batch:
            item = items.get(found.info.key)
            if item is None:
                continue  # removed meanwhile
            try:
                entries.append(self._entry_with_properties(found, item))
            except Exception as error:  # noqa: BLE001 - logged and reported; the others are exported
                self._failed[found.info.key] = reason_of(error)
                _log.warning(
                    "A document could not be exported, and is listed as failed: %r (%s).",
                    found.info.key,
                    type(error).__name__,
                )
        return entries

    def _entry_with_properties(
        self, found: UserDocument, item: StoredItem | Exception
    ) -> dict[str, Any]:
        if isinstance(item, Exception):
            raise item
        document = Document(found.info.key, found.scope, self._policies[found.scope])
        document.fill(item.data, item.etag, self._clock())
        return {**_entry(found), "properties": plain_properties(document)}

    async def _from_handlers(self) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        for name, handler in self._handlers.named():
            await self._ask(name, handler, answers)
        return answers

    async def _ask(self, name: str, handler: UserHandler, answers: dict[str, Any]) -> None:
        """Add the answer of a handler, or the reason why there is none."""
        try:
            async with self._handlers.work() as work:
                answer = await call_handler(handler, work, self._user)
        except Exception as error:  # noqa: BLE001 - logged and reported; the others are asked
            _log.exception("The handler of %r for an exported user failed.", name)
            self._failed[name] = f"its handler raised {type(error).__name__}"
            return
        try:
            answers[name] = msgspec.to_builtins(answer)
        except (TypeError, ValueError, RecursionError):  # their texts may show a value
            self._failed[name] = "its handler's answer is no JSON"
            _log.error("The handler of %r for an exported user returned no JSON.", name)


def _entry(found: UserDocument) -> dict[str, Any]:
    record = record_of(found.info, found.attribution, found.scope)
    return {
        "scope": found.scope,
        "key": record.key,
        "conversation_id": record.conversation_id,
        "created": None if record.created is None else record.created.isoformat(),
        "updated": record.updated.isoformat(),
        "tags": dict(record.tags),
    }
