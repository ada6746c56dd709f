"""Erasure: everything of one user is removed, and what could not be is reported."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ..documents.policy import UserHandler
from ..errors import StateConflictError, StateError
from ..keys.build import scope_of_key
from ..storage.base import StateStorage
from ..storage.waiting import call_handler
from ..unit_of_work.save_events import Place, SaveHandlers, Written
from .user_documents import Found, StateUser, UserDocuments

MAX_ATTEMPTS: Final = 10

_log: Final = logging.getLogger("botstate_ext.privacy")


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What an erasure did.

    - ``channel_id``, ``user_id``, ``dry_run``: as asked.
    - ``removed``: the keys of the documents that are gone; in a dry run, that would be.
    - ``ambiguous``: the keys of documents that may be the user's, and were left: they read two
      ways, or hold what several wrote. Look at them by hand.
    - ``failed``: what went wrong, by key or by handler (``"shared.order"``). Run it again.
    - ``handlers_run``: how many handlers of ``on_erase`` ran to their end.
    """

    channel_id: str
    user_id: str
    dry_run: bool = False
    removed: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    handlers_run: int = 0

    @property
    def complete(self) -> bool:
        """True when nothing failed and nothing is left to look at."""
        return not self.failed and not self.ambiguous


class Handlers(Protocol):
    """The app's handlers for one user, and the work that each is given."""

    def named(self) -> Iterable[tuple[str, UserHandler]]: ...
    def work(self) -> AbstractAsyncContextManager[Any]: ...


class Erasure:
    """One erasure. Handlers go first, while what they may need is still there; if one fails, the
    documents stay, so that running it again is not too late for it. Documents go one after another,
    the user's own last."""

    def __init__(
        self,
        storage: StateStorage,
        user: StateUser,
        documents: UserDocuments,
        handlers: Handlers,
        told: SaveHandlers,
        *,
        dry_run: bool,
    ) -> None:
        self._storage, self._user, self._documents = storage, user, documents
        self._handlers, self._told, self._dry_run = handlers, told, dry_run
        self._removed: list[str] = []
        self._ambiguous: list[str] = []
        self._failed: dict[str, str] = {}
        self._handlers_run = 0

    async def run(self) -> ErasureReport:
        """:raises StateStorageError: the documents could not be found."""
        if not self._dry_run:
            for name, handler in self._handlers.named():
                await self._handle(name, handler)
        if not self._failed:
            async for found in self._documents.find():
                await self._one(found)
        return ErasureReport(
            channel_id=self._user.channel_id,
            user_id=self._user.user_id,
            dry_run=self._dry_run,
            removed=tuple(self._removed),
            ambiguous=tuple(self._ambiguous),
            failed=self._failed,
            handlers_run=self._handlers_run,
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

    async def _one(self, found: Found) -> None:
        key = found.info.key
        try:
            outcome = await self._outcome(found)
        except StateError as error:
            _log.warning("A document of an erased user could not be removed: %s", error)
            self._failed[key] = str(error)
            return
        if outcome is not None:
            outcome.append(key)

    async def _outcome(self, found: Found | None) -> list[str] | None:
        """The list that the document's key belongs to; None if someone else removed it."""
        for _ in range(MAX_ATTEMPTS):
            if found is None:
                return None
            if not found.is_theirs:
                return self._ambiguous
            info = found.info
            if self._dry_run:
                return self._removed
            try:
                # Only as it was looked at: a turn may be writing it, or have removed it.
                gone = await self._storage.delete_if(info.key, etag=info.etag)
            except StateConflictError:
                found = await self._documents.again(info.key)
            else:
                if gone:
                    await self._tell(found)
                return self._removed if gone else None
        raise StateConflictError(f"others were faster {MAX_ATTEMPTS} times.", key=info.key)

    async def _tell(self, found: Found) -> None:
        if self._told.listen:
            place = Place(scope_of_key(found.info.key) or "private", found.info.key)
            written = Written(place, {}, etag_before=found.info.etag, etag=None, is_removed=True)
            await self._told.tell([written])
