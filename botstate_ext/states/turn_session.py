"""TurnSession: the state of one turn, from its load to its save."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from datetime import timedelta
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..documents.merge import OnConflict
from ..errors import StateKeyError
from ..host.activity import channel_id_of, conversation_id_of, user_id_of
from ..unit_of_work.work import NOTHING_KEPT
from ..unit_of_work.work_counts import WorkCounts
from .turn_meter import TurnMeter

if TYPE_CHECKING:
    from ..scopes.scope import StateScope
    from .state_scopes import StateScopes

_log: Final = logging.getLogger("botstate_ext.privacy")


class TurnSession:
    """The state of all scopes in one turn, or in a unit of work outside a turn.

        async with TurnSession(states, turn) as session:
            await session.load()
            ...                                 # the bot
            await session.save()

    Leaving the block closes the turn's unit of work and discards unsaved changes.
    """

    def __init__(
        self,
        states: StateScopes,
        turn: Any,
        on_conflict: OnConflict = "merge",
        meter: TurnMeter | None = None,
    ) -> None:
        self._states, self._turn, self._on_conflict = states, turn, on_conflict
        self._meter = TurnMeter(["load", 0.0], WorkCounts()) if meter is None else meter
        self._workspace = states._workspace

    @staticmethod
    def is_open(states: StateScopes, turn: Any) -> bool:
        """Return True while a session of these scopes is open in this turn."""
        work = states._workspace.open_work(turn)
        return work is not None and work.is_saved_at_its_end

    async def __aenter__(self) -> TurnSession:
        turn = self._turn
        self._workspace.host.expose(turn, self._states._for_dialogs)
        self._work = self._workspace.begin(turn, self._on_conflict, self._meter.counts)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._meter.end(exc)
        self._workspace.end(self._turn, has_failed=exc is not None)

    async def load(self, *, warm: bool = False) -> None:
        """Read the documents that the activity names, in one batch: user, conversation, and each
        other scope that this process uses. Load the app's own states beside them.

        ``warm``: this is a turn, which may begin with documents from the cache in place of a read.
        One that runs again reads all of them.

        :raises StateStorageError: a read failed; nothing was loaded.
        """
        self._meter.marks += "load", perf_counter()
        states, turn, storage = self._states, self._turn, self._workspace.warm
        keys, of_cache = [], []
        for scope in states:
            if scope._is_used and scope.row.loaded != "never":
                try:
                    key = scope._key_of(scope._id_in(turn), turn)
                except StateKeyError:
                    continue  # raised again, with its advice, when the bot uses that scope
                if key is not None:
                    keys.append(key)
                    if storage is not None and self._may_be_kept(scope):
                        of_cache.append(key)
        kept = NOTHING_KEPT
        if warm and storage is not None:
            found = storage.kept(of_cache)
            # A turn that runs again, and so loads again, reads what is stored now.
            kept = found if self._meter.marks.count("load") == 1 else NOTHING_KEPT
        fetch = self._work.fetch(keys, kept)
        if not states._added:
            await fetch
        else:
            await _all([fetch, *(added.load(turn) for added in states._added)])
        self._meter.marks += "logic", perf_counter()

    def _may_be_kept(self, scope: StateScope) -> bool:
        """Return True if a turn may begin with documents of this scope from the cache: it compares
        them with storage at its end, or they are served by this process only."""
        cache = self._workspace.cache
        if cache is None:
            return False
        if self._on_conflict == "replay" or cache.sticky == "all":
            return True
        if scope._key is not None:
            return False  # the app may lead several conversations, or users, to one document
        owner = scope.row.owner
        return "conversation" in owner or (cache.sticky == "user" and "user" in owner)

    async def check_kept(self) -> None:
        """Compare the documents that the turn began with from the cache, and has used, with
        storage, if the turn can run again.

        :raises Overtaken: one of them is stale.
        :raises StateStorageError: storage could not be read.
        """
        await self._work.check_kept()

    async def save(self) -> None:
        """Write the changed documents in one batch; then save the app's own states, so that they
        hold nothing of a turn that lost; then remove an ended conversation.

        :raises StateError: see `UnitOfWork.save`.
        """
        self._meter.marks += "save", perf_counter()
        work = self._work
        if work.ending is not None:
            work.ending.discard_changes()
        await work.save_at_end()
        if self._states._added:
            await _all([added.save_changes(self._turn) for added in self._states._added])
        if work.ending is not None:
            await work.ending.run()
        self._meter.marks += "saved", perf_counter()

    def give_up(self) -> None:
        """Note that the save failed, and that the turn ends with the bot's own error."""
        self._meter.marks += "logic", perf_counter()

    def is_handled(self, mark: str) -> bool:
        """Return True if a finished turn left this mark on the conversation."""
        return self._states.conversation._unloaded_document(self._turn).is_handled(mark)

    def mark_handled(self, mark: str, keep: timedelta) -> None:
        """Leave this mark on the conversation, when the turn is saved, for so long."""
        self._states.conversation._unloaded_document(self._turn).marks[mark] = keep

    def discard_user_changes(self) -> None:
        """Discard this turn's unsaved changes to the documents that `erase_user` will delete."""
        for scope in self._states:
            if "user" in scope.row.owner:
                with suppress(StateKeyError):  # this turn has no document of it
                    scope._unloaded_document(self._turn).forget()

    async def erase_user(self) -> None:
        """Erase the user of this turn, as `StateScopes.erase_user`. Logs what could not be removed.

        :raises StateStorageError: documents could not be looked for.
        """
        from ..privacy.user_documents import StateUser  # few turns need it

        states, activity = self._states, self._turn.activity
        channel_id = channel_id_of(states._workspace.host.key_activity(activity)) or ""
        user = StateUser(channel_id, user_id_of(activity) or "")
        conversation_ids: Iterable[str] | None = None
        if not states.storage.lists:
            conversation_id = conversation_id_of(activity)
            conversation_ids = [] if conversation_id is None else [conversation_id]
            _log.warning(
                "A user is gone, and their private state in other conversations stays: %r cannot "
                "list what it holds.",
                states.storage,
            )
        documents = states._documents_of(user, self._turn, conversation_ids, None)
        report = await states._erase(user, documents, dry_run=False)
        if not report.complete:
            _log.error(
                "A user is gone, and not everything of theirs could be removed: failed %s, "
                "ambiguous %s. Call erase_user again.",
                report.failed,
                report.ambiguous,
            )


class OpenSession(Protocol):
    """Makes the session of a turn, not opened yet: `TurnSession`, or one that is traced."""

    def __call__(
        self,
        states: StateScopes,
        turn: Any,
        on_conflict: OnConflict,
        meter: TurnMeter | None = None,
    ) -> TurnSession: ...


async def _all(awaitables: list[Awaitable[None]]) -> None:
    """Wait for all of them, also when one fails, and raise the first error."""
    if len(awaitables) == 1:
        await awaitables[0]
        return
    for outcome in await asyncio.gather(*awaitables, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
