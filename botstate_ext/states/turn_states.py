"""TurnStates: what the middleware asks of the scopes: one load at the start of a turn, one save at
its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from ..documents.document import Document
from ..documents.merge import OnConflict
from ..errors import StateKeyError
from ..scopes.scope import StateScope
from ..unit_of_work.work import UnitOfWork
from .scope_set import ScopeSet


class TurnStates(ScopeSet):
    """The scopes of a turn as one."""

    def has_work(self, turn: Any) -> bool:
        """True while this turn's unit of work is open."""
        return self._workspace.has_work(turn)

    async def save_early(self, turn: Any) -> None:
        """Write what was changed in this turn before its unit of work is opened, by a middleware
        that goes before ours. See `UnitOfWork.save` for what it raises."""
        work = self._workspace.early_work(turn)
        if work is not None:
            await work.save()

    def begin(self, turn: Any, on_conflict: OnConflict = "merge") -> UnitOfWork:
        """Open the unit of work of a turn, and let dialogs find the scopes of this turn."""
        for scope in (self.user, self.conversation, self.private):
            turn.turn_state.setdefault(type(scope).__name__, scope)
        return self._workspace.begin(turn, on_conflict)

    async def load(self, turn: Any) -> None:
        """Read the documents of all scopes that the activity names, in one batch.

        :raises StateStorageError: a read failed; nothing was loaded.
        """
        work = self._workspace.work_of(turn)
        scopes = (self.user, self.conversation, self.private, self.bot, *self._own.values())
        named = [key for scope in scopes if (key := _key_of(scope, turn)) is not None]
        await _all(work.fetch(named), *(added.load(turn) for added in self._added))

    async def save(self, turn: Any) -> None:
        """Write what changed, in one batch, and then what changed in the app's own states, so that
        they hold nothing of a turn that lost. See `UnitOfWork.save` for what it raises."""
        work = self._workspace.work_of(turn)
        if work.ending is not None:
            work.ending.discard_changes()
        await work.commit()
        if self._added:
            await asyncio.gather(*(added.save_changes(turn) for added in self._added))
        if work.ending is not None:
            await work.ending.run()

    def end(self, turn: Any) -> None:
        """Close the turn's unit of work; what was not saved is forgotten."""
        self._workspace.end(turn)

    async def load_documents(self, turn: Any, documents: Iterable[Document]) -> None:
        """Read those of these documents that this turn has not read yet, in one batch."""
        await self._workspace.work_of(turn).load(documents)


def _key_of(scope: StateScope, turn: Any) -> str | None:
    try:
        key: str = scope.get_storage_key(turn)
    except StateKeyError:
        return None  # raised again, with its advice, when the bot uses that scope
    return key


async def _all(first: Any, *others: Any) -> None:
    if not others:
        await first
        return
    for outcome in await asyncio.gather(first, *others, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
