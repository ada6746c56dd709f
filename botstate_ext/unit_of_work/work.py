"""UnitOfWork: loads the documents of one turn, notes its changes and writes them."""

from __future__ import annotations

import asyncio
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Hashable,
    Iterable,
    Mapping,
    Sequence,
)
from datetime import datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from ..clock import Clock
from ..documents.document import Document
from ..documents.merge import OnConflict
from ..documents.pending_writes import Changes
from ..documents.policy import Policies
from ..documents.reference import Reference, no_reference
from ..documents.revision import apply_changes, check_limits
from ..errors import StateError
from ..storage.base import ANY, StateStorage, StoredItem
from .partial_delete import Undecodable, delete_decodable
from .save_events import DocumentLocation, Origin, PendingEvents, SaveHandlers, WriteEvent
from .work_counts import WorkCounts
from .write_changes import write_changes
from .write_loop import Pause, back_off, fill

_Plan: TypeAlias = tuple[Document, Changes]
NOTHING_KEPT: Final[Mapping[str, StoredItem | None]] = MappingProxyType({})
_NOT_TRIED: Final = object()


class Ending(Protocol):
    """Removes documents when a turn is over. Its class is in a package above this one."""

    def discard_changes(self) -> None:
        """Discard the turn's changes to the documents that `run` will remove; before the save."""

    async def run(self) -> None:
        """Remove the documents; after the save."""


class UnitOfWork:
    """One turn's view of its documents. Two units of work never share a live value.

    A turn has one; so has work outside any turn. Documents are loaded once, in as few batches as
    they are asked for, and only those that changed are written.
    """

    def __init__(
        self,
        storage: StateStorage,
        clock: Clock,
        *,
        on_conflict: OnConflict = "merge",
        pause: Pause = back_off,
        stamp: Clock | None = None,
        reference: Reference = no_reference,
        handlers: SaveHandlers | None = None,
        undecodable: Undecodable | None = None,
        counts: WorkCounts | None = None,
        activity_id: str | None = None,
    ) -> None:
        self.storage, self.clock, self.on_conflict = storage, clock, on_conflict
        self.pause = pause
        self.stamp = clock if stamp is None else stamp
        self.reference = reference
        self._activity_id = activity_id
        self.counts = WorkCounts() if counts is None else counts
        self.is_saved_at_its_end = False
        self.ending: Ending | None = None
        self.chosen: dict[Hashable, Document] = {}
        """The document that each choice of ids led to: its key is not built for each use."""
        self._undecodable: Undecodable = {} if undecodable is None else undecodable
        self._is_of_error_handler = undecodable is not None
        self._documents: dict[str, Document] = {}
        self._fetched: dict[str, tuple[StoredItem | None, datetime]] = {}
        self._batch: _Batch | None = None
        self.events = PendingEvents(SaveHandlers() if handlers is None else handlers)
        self._writing: dict[str, asyncio.Lock] = {}

    def document(self, key: str, scope: str, policies: Policies) -> Document:
        """Return the document of this key, the same one each time. It may not be loaded yet."""
        document = self._documents.get(key)
        if document is None:
            document = self._documents[key] = Document(key, scope, policies)
            document.undecodable.update(self._undecodable.get(key, {}))
            if key in self._fetched:
                item, now = self._fetched.pop(key)
                if item is None:
                    document.fill(None, None, now)
                else:
                    document.fill(item.data, item.etag, now)
        return document

    def documents(self, scope: str | None = None) -> list[Document]:
        """Return the documents that were asked for so far, of one scope or of all."""
        return [d for d in self._documents.values() if scope is None or d.scope == scope]

    async def fetch(
        self, keys: Collection[str], kept: Mapping[str, StoredItem | None] = NOTHING_KEPT
    ) -> None:
        """Read the items of these keys in one batch. An item is parsed when its document is used.

        ``kept``: items from the cache, None for an absent one; these keys are not read.

        :raises StateStorageError: a read failed; nothing was read then.
        """
        missing = [key for key in keys if key not in kept] if kept else keys
        self.counts.read += len(missing)
        self.counts.cached += len(kept)
        found = await self.storage.get_many(missing) if missing else {}
        items = {**kept, **found} if kept else found
        now = self.clock()
        for key in keys:
            document = self._documents.get(key)
            if document is None:
                self._fetched[key] = items.get(key), now
            elif not document.is_loaded:
                fill(document, items.get(key), now)

    async def load(self, documents: Iterable[Document], *, force: bool = False) -> None:
        """Read these documents in one batch. ``force`` reads those that are loaded already too, and
        discards their unsaved changes.

        :raises StateStorageError: a read failed; none of them is loaded then.
        """
        wanted = {d.key: d for d in documents if force or not d.is_loaded}
        if not wanted:
            return
        self.counts.read += len(wanted)
        items = await self.storage.get_many(tuple(wanted))
        now = self.clock()
        for key, document in wanted.items():
            # Another task of the turn may have loaded it meanwhile, and changed it since.
            if force or not document.is_loaded:
                document.forget()
                fill(document, items.get(key), now)

    async def load_together(self, document: Document) -> None:
        """Read one document, in one batch with those that other tasks ask for at the same time."""
        if document.is_loaded:
            return
        if self._batch is None or self._batch.is_given_up:
            self._batch = _Batch(self._load_batch)
        await self._batch.read(document)

    async def _load_batch(self, documents: Iterable[Document]) -> None:
        self._batch = None  # from here on it takes no more; the next document opens another
        await self.load(documents)

    async def save(
        self, documents: Iterable[Document] | None = None, *, force: bool = False
    ) -> None:
        """Write the documents that changed, each under its ETag: in one step, all or none, if the
        storage is transactional for them, and in parallel otherwise.

        Everything is encoded before anything is written. In parallel, the document that notes the
        turn's activity as handled is written after the others, so that a turn that failed is not
        noted.

        :raises StateEncodeError: a value cannot be stored; nothing was written.
        :raises StateTooLargeError: a change goes over a limit; nothing was written. Only where it
            is merged with what someone else wrote, other documents may have been, in parallel.
        :raises StateConflictError: a change could not be merged with what someone else wrote.
        :raises StateStorageError: the storage failed.
            ``saved`` and ``not_saved`` of the error tell which documents were written.
        """
        chosen = self._documents.values() if documents is None else documents
        plans: list[_Plan] = []
        for document in chosen:
            if document.is_loaded:
                changes = document.changes()
                if force or changes or document.needs_rewrite():
                    plans.append((document, changes))
        for document, changes in plans:
            if document.policies.has_limits:
                check_limits(document, apply_changes(document, changes), changes)
        if not plans:
            return
        if len(plans) == 1 or self.storage.transactional_for([d.key for d, _ in plans]):
            await write_changes(self, dict(plans), force=force)
        else:
            marked = [plan for plan in plans if plan[0].marks]
            others = [plan for plan in plans if not plan[0].marks]
            outcomes = await self._write_each(others, force=force)
            if any(outcomes):
                outcomes += [_NOT_TRIED] * len(marked)
            else:
                outcomes += await self._write_each(marked, force=force)
            _raise_first([document.key for document, _ in (*others, *marked)], outcomes)

    async def _write_each(self, plans: list[_Plan], *, force: bool) -> list[Any]:
        """Write each document on its own. Return the outcome of each: None, or its error."""
        writes = (write_changes(self, dict([plan]), force=force) for plan in plans)
        return list(await asyncio.gather(*writes, return_exceptions=True))

    async def check_kept(self) -> None:
        """Do nothing: only a turn that can run again compares items from the cache with storage."""

    async def save_at_end(self) -> None:
        """Save everything at the turn's end. Raises the errors of `save`."""
        await self.save()

    def close(self) -> None:
        """Note that the turn is over."""

    async def delete(self, document: Document) -> None:
        """Remove a document from storage at once, whatever is stored, and discard its changes.

        In a turn that could not decode all of it, the values that cannot be decoded are kept, moved
        to quarantine: an error handler that deletes a conversation must not destroy them. Nor does
        it destroy those that are in quarantine already.

        :raises StateDecodeError: this turn found that the stored text is not a document.
        """
        async with self.writing(document):
            document.forget()
            is_careful = self._is_of_error_handler or document.undecodable
            if is_careful and await delete_decodable(self, document):
                return
            etag = document.etag
            was_there = await self.storage.delete_if(document.key, etag=ANY)
            self.counts.written += was_there
            document.fill(None, None, self.clock())
            if was_there and self.events.handlers.has_listeners:
                location = DocumentLocation(document.scope, document.key)
                self.events.add(WriteEvent.removal(location, etag, self.origin()))

    def writing(self, *documents: Document) -> Writing:
        """Return the lock of these documents, to be held while they are written and the answer is
        noted.

        Without it, tasks of one turn could note their answers in another order than the storage
        gave them. Events are emitted after the lock is released, so that a handler may write the
        documents."""
        # Everyone takes several locks in the same order, so that no two wait for each other.
        locks = []
        for document in sorted(documents, key=attrgetter("key")):
            locks.append(self._writing.setdefault(document.key, asyncio.Lock()))  # noqa: PERF401
        return Writing(locks, self)

    def origin(self) -> Origin:
        """Return when and by which activity an event of now was caused."""
        return Origin(self.stamp(), self._activity_id)

    async def emit(self) -> None:
        """Call the handlers of ``on_saved`` with the events of the writes so far."""
        await self.events.emit()

    @property
    def undecodable(self) -> dict[str, dict[str | None, str]]:
        """Return the `Document.undecodable` of each document that has some, by key."""
        found = {key: document.undecodable for key, document in self._documents.items()}
        return {key: reasons for key, reasons in found.items() if reasons}

    def discard(self) -> None:
        """Discard all unsaved changes."""
        for document in self._documents.values():
            document.forget()


class Writing:
    """The lock of one document or several. Events are emitted when it is released."""

    __slots__ = ("_held", "_locks", "_work")

    def __init__(self, locks: Sequence[asyncio.Lock], work: UnitOfWork) -> None:
        self._locks, self._work = locks, work
        self._held: list[asyncio.Lock] = []

    async def __aenter__(self) -> None:
        try:
            for lock in self._locks:
                await lock.acquire()
                self._held.append(lock)
        except BaseException:
            self._release()
            raise

    async def __aexit__(self, *raised: object) -> None:
        self._release()
        await self._work.emit()

    def _release(self) -> None:
        while self._held:
            self._held.pop().release()


class _Batch:
    """Documents that are read together, and the task that reads them.

    - ``is_given_up``: everyone who waited for it was cancelled.
    """

    def __init__(self, load: Callable[[Iterable[Document]], Awaitable[None]]) -> None:
        self._load = load
        self._documents: list[Document] = []
        self._readers = 0
        self.is_given_up = False
        self._task = asyncio.ensure_future(self._run())

    async def read(self, document: Document) -> None:
        self._documents.append(document)
        self._readers += 1
        try:
            # Shielded: others wait for the same batch, and one of them may be cancelled.
            await asyncio.shield(self._task)
        finally:
            self._readers -= 1
            if not self._readers and not self._task.done():
                await self._give_up()

    async def _give_up(self) -> None:
        self.is_given_up = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        await asyncio.sleep(0)  # let every task that is ready now add its document
        await self._load(self._documents)


def _raise_first(keys: Sequence[str], outcomes: Sequence[Any]) -> None:
    failures = [o for o in outcomes if isinstance(o, BaseException)]
    if not failures:
        return
    # Of several, the one after which something may be stored that is not known to be.
    worst = max(failures, key=lambda f: getattr(f, "maybe_written", False))
    first = next((f for f in failures if not isinstance(f, StateError)), worst)
    if isinstance(first, StateError):
        first.saved = tuple(k for k, o in zip(keys, outcomes, strict=True) if o is None)
        first.not_saved = tuple(k for k, o in zip(keys, outcomes, strict=True) if o is not None)
    raise first
