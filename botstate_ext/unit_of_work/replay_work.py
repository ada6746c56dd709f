"""StagedWork: the unit of work of one attempt of a turn that may run again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final

from ..clock import Clock
from ..documents.document import Document
from ..errors import StateConflictError
from ..storage.base import StateStorage, StoredItem
from .replay_storage import ETags, StagedStorage
from .replay_write import Overtaken
from .save_events import DocumentLocation, WriteEvent
from .work import NOTHING_KEPT, UnitOfWork

_NOT_REPEATABLE: Final = (
    "someone else wrote it while this turn ran, and the turn is not run again: it saved with "
    "force=True, as a bot does before it calls a skill, which would be called twice. With skills, "
    'use on_conflict="merge" and a lock that all instances share.'
)


class StagedWork(UnitOfWork):
    """Keeps everything that is saved in it, by any call, in a staged storage until the turn's
    end.

    A turn inside a turn takes part in the outer one: it sees what that one has saved so far, and is
    committed with it. Another task than the one that made it may close it.
    """

    def __init__(self, storage: StateStorage, clock: Clock, **options: Any) -> None:
        outer = _open_work()
        self._outer = outer if outer is not None and outer.takes_part(storage) else None
        self._staged: StagedStorage = (
            StagedStorage(storage) if self._outer is None else self._outer._staged
        )
        # Against a turn inside this one; everyone else is found out by the commit.
        super().__init__(self._staged, clock, **{**options, "on_conflict": "merge"})
        if self._outer is not None:
            self.events = self._outer.events
        self._is_open = True
        self._read_inside: set[str] = set()
        _current.set(self)

    def takes_part(self, storage: StateStorage) -> bool:
        """Return True if a turn over this storage that begins now is a part of this one."""
        return self._is_open and self._staged.storage is storage

    async def save(
        self, documents: Iterable[Document] | None = None, *, force: bool = False
    ) -> None:
        """Keep what changed in the staged storage. Raises the errors of `UnitOfWork.save`.

        ``force``: as a bot saves before it calls a skill. The turn does not run again then, so what
        it began with from the cache is compared with storage before.

        :raises Overtaken: with ``force``, the turn began with a stale item, and runs again.
        """
        await super().save(documents, force=force)
        if force:
            if self._outer is None:
                await self._staged.check_assumed(self._keys_read())
            self._staged.is_repeatable = False

    async def save_at_end(self) -> None:
        """Save everything, and commit it; inside another turn, leave the commit to that one.

        :raises Overtaken: someone else wrote what this attempt read or wrote; nothing of it is
            stored.
        :raises StateConflictError: the same, but the turn must not run again.
        """
        await self.save()
        if self._outer is not None:
            self._outer._read_inside |= self._keys_read()
            return
        try:
            await self._staged.commit(self._keys_read())
        except Overtaken as lost:
            if self._staged.is_repeatable:
                raise
            raise StateConflictError(_NOT_REPEATABLE, key=lost.key) from lost
        finally:
            self.counts.written = len(self._staged.stored)
            await self.events.handlers.emit(_as_stored(self.events.take(), self._staged.stored))

    async def fetch(
        self, keys: Collection[str], kept: Mapping[str, StoredItem | None] = NOTHING_KEPT
    ) -> None:
        await super().fetch(keys, self._staged.assume(kept))

    async def check_kept(self) -> None:
        """Compare the items from the cache that this turn has used so far with storage; inside
        another turn, leave that to its commit.

        :raises Overtaken: one of them is stale.
        :raises StateStorageError: storage could not be read.
        """
        if self._outer is None:
            await self._staged.check_assumed(self._keys_read())
        else:
            self._outer._read_inside |= self._keys_read()

    def _keys_read(self) -> set[str]:
        return self._read_inside.union(d.key for d in self.documents() if d.was_read)

    async def emit(self) -> None:
        """Call the handlers once the attempt is committed; nothing is stored before that."""
        if self._staged.is_committed:
            await super().emit()

    def close(self) -> None:
        """Note that the attempt is over, and discard everything that was not committed."""
        self._is_open = False
        if _current.get() is self:
            _current.set(self._outer)  # another task that entered the block still sees it: closed
        if self._outer is None:
            self.counts.read += self._staged.compared
            self._staged.give_up()


def _as_stored(staged: Iterable[WriteEvent], stored: Mapping[str, ETags]) -> list[WriteEvent]:
    """Return one event for each document that the attempt wrote, with the ETags of the storage."""
    whole: dict[DocumentLocation, WriteEvent] = {}
    for written in staged:
        before = whole.get(written.location)
        whole[written.location] = written if before is None else before.then(written)
    return [
        replace(written, etag_before=etags.before, etag=etags.after)
        for written in whole.values()
        if (etags := stored.get(written.location.key)) is not None
    ]


_current: Final[ContextVar[StagedWork | None]] = ContextVar("botstate_ext.staged", default=None)


def leave_outer_work() -> None:
    """Let a turn in this task be committed by itself, and not with the turn that started the
    task."""
    _current.set(None)


def _open_work() -> StagedWork | None:
    """Return the innermost unit of work that is open in this task."""
    work = _current.get()
    while work is not None and not work._is_open:
        work = work._outer
    return work
