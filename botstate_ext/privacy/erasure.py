"""Erasure: removes everything of one user, and reports what it could not remove."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Protocol

from ..documents.policy import UserHandler
from ..errors import StateConflictError, reason_of
from ..storage.base import StateStorage
from ..storage.waiting import call_handler
from ..unit_of_work.save_events import DocumentLocation, Origin, SaveHandlers, WriteEvent
from .user_documents import StateUser, UserDocument, UserDocuments

MAX_ATTEMPTS: Final = 10

_log: Final = logging.getLogger("botstate_ext.privacy")


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """The result of an erasure.

    - ``channel_id``, ``user_id``, ``dry_run``: as given.
    - ``removed``: the keys of the deleted documents, and of what the Agents SDK's sign-in kept of
      the user; in a dry run, of those that would be deleted.
    - ``ambiguous``: the keys of documents that may be the user's and were not deleted: the key can
      be read in several ways, several users wrote the document, or its metadata names another user
      than its key. Look at them by hand.
    - ``failed``: the reason of each failure, by key or by handler (``"shared.order"``). Run the
      erasure again.
    - ``handlers_run``: the number of ``on_erase`` handlers that succeeded.
    - ``seconds``: the duration of the erasure.
    """

    channel_id: str
    user_id: str
    dry_run: bool = False
    removed: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    handlers_run: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Return True if nothing failed and nothing is left to look at."""
        return not self.failed and not self.ambiguous


class Handlers(Protocol):
    """The app's handlers for one user. Implemented by ``states``, which imports this package."""

    def named(self) -> Iterable[tuple[str, UserHandler]]:
        """Return each handler with the name of its property: ``"shared.order"``."""
        ...

    def work(self) -> AbstractAsyncContextManager[Any]:
        """Return a unit of work of the user, to be saved when its handler has ended."""
        ...


class Erasure:
    """One erasure.

    Handlers run first, while the documents that they may read are still there. If one fails, no
    document is deleted, so that the erasure can be run again. Documents are deleted one by one, the
    user's own last. A document that cannot be deleted is logged and reported; the others are.
    """

    def __init__(
        self,
        storage: StateStorage,
        user: StateUser,
        documents: UserDocuments,
        handlers: Handlers,
        save_handlers: SaveHandlers,
        *,
        other_keys: AsyncIterator[str],
        dry_run: bool,
    ) -> None:
        self._storage, self._user, self._documents = storage, user, documents
        self._handlers, self._save_handlers, self._dry_run = handlers, save_handlers, dry_run
        self._other_keys = other_keys
        self._removed: list[str] = []
        self._ambiguous: list[str] = []
        self._failed: dict[str, str] = {}
        self._handlers_run = 0

    async def run(self) -> ErasureReport:
        """Delete the documents and return the report.

        :raises StateStorageError: the documents could not be looked for.
        """
        started = monotonic()
        if not self._dry_run:
            for name, handler in self._handlers.named():
                await self._handle(name, handler)
        if not self._failed:
            async for key in self._other_keys:
                await self._try_to_delete(key, self._outcome_of_other(key))
            async for found in self._documents.find():
                await self._try_to_delete(found.info.key, self._outcome(found))
            self._failed |= self._documents.failed
        return ErasureReport(
            channel_id=self._user.channel_id,
            user_id=self._user.user_id,
            dry_run=self._dry_run,
            removed=tuple(self._removed),
            ambiguous=tuple(self._ambiguous),
            failed=self._failed,
            handlers_run=self._handlers_run,
            seconds=monotonic() - started,
        )

    async def _handle(self, name: str, handler: UserHandler) -> None:
        try:
            async with self._handlers.work() as work:
                await call_handler(handler, work, self._user)
        except Exception as error:  # noqa: BLE001 - logged and reported, and nothing is removed
            _log.exception("The handler of %r for an erased user failed.", name)
            self._failed[name] = f"its handler raised {type(error).__name__}"
        else:
            self._handlers_run += 1

    async def _try_to_delete(self, key: str, deletion: Awaitable[list[str] | None]) -> None:
        try:
            outcome = await deletion
        except Exception as error:  # noqa: BLE001 - logged and reported; the others are deleted
            self._failed[key] = reason_of(error)
            _log.warning(
                "The document %r of an erased user could not be removed: %s",
                key,
                self._failed[key],
            )
            return
        if outcome is not None:
            outcome.append(key)

    async def _outcome_of_other(self, key: str) -> list[str] | None:
        """Delete an item that is no document, whatever it holds; see `_outcome`."""
        is_deleted = self._dry_run or await self._storage.delete_if(key)
        return self._removed if is_deleted else None

    async def _outcome(self, found: UserDocument | None) -> list[str] | None:
        """Delete a document. Return the list in which to report it; None if someone else deleted
        it."""
        for _ in range(MAX_ATTEMPTS):
            if found is None:
                return None
            if not found.is_theirs:
                return self._ambiguous
            key, etag = found.info.key, found.info.etag
            if self._dry_run:
                return self._removed
            try:
                # Under the ETag: a turn may be writing the document, or have deleted it.
                is_deleted = await self._storage.delete_if(key, etag=etag)
            except StateConflictError:
                found = await self._documents.find_again(key)
            else:
                if is_deleted:
                    await self._emit(found)
                return self._removed if is_deleted else None
        raise StateConflictError(f"others were faster {MAX_ATTEMPTS} times.", key=key)

    async def _emit(self, found: UserDocument) -> None:
        if self._save_handlers.has_listeners:
            location = DocumentLocation(found.scope, found.info.key)
            event = WriteEvent.removal(location, found.info.etag, Origin(self._documents.clock()))
            await self._save_handlers.emit([event])
