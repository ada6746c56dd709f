"""How one document is written: under its ETag; merged after a lost race, recognised after a lost
answer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias

from ..clock import Clock
from ..documents.document import Document
from ..documents.merge import OnConflict, differ
from ..documents.pending_expiry import Expiring
from ..documents.pending_writes import Changes
from ..documents.revision import (
    ConflictingProperties,
    Revision,
    build_revision,
    merge_changes,
    warn_of_limits,
)
from ..errors import StateConflictError, StateStorageError
from ..host.reference import Reference
from ..storage.base import ANY, StateStorage, StoredItem
from ..storage.waiting import BackOff
from .save_events import Notes, Place, Written

# By measurement: of 64 who write one document at once, all are through after 16 attempts.
MAX_ATTEMPTS: Final = 30
_BACK_OFF: Final = BackOff(first=0.04, longest=0.5)

Pause: TypeAlias = Callable[[int], Awaitable[None]]


class Work(Protocol):
    """What a commit needs of a unit of work."""

    storage: StateStorage
    clock: Clock
    stamp: Clock
    reference: Reference
    on_conflict: OnConflict
    pause: Pause
    notes: Notes

    def writing(self, document: Document) -> AbstractAsyncContextManager[None]: ...


async def commit(work: Work, document: Document, changes: Changes, *, force: bool = False) -> None:
    """Write these changes of a document, merged with what others wrote since it was read.

    :raises StateConflictError: they cannot be merged, or others were faster each time.
    :raises StateStorageError: the storage failed, and the write is not known to have arrived.
    """
    async with work.writing(document):
        await _commit(work, document, changes, force=force)


async def _commit(work: Work, document: Document, changes: Changes, *, force: bool) -> None:
    for attempt in range(1, MAX_ATTEMPTS + 1):
        _check_not_handled(document, changes, attempt)
        stored = _merged(work, document, changes, attempt)
        if not force and not document.needs_rewrite() and stored == document.stored:
            document.acknowledge(changes)
            return
        lost = await put(work, document, stored, changes)
        if lost is None:
            return
        was_there = document.etag is not None
        # Before the next look, not after it: what has aged by a pause is stale when it is written.
        await work.pause(attempt)
        if await arrived(work, document, lost):
            changes = {
                n: text for n, text in changes.items() if differ(document.base_text(n), text)
            }
            if not changes and not document.has_metadata_changes:
                return
        if not changes and not document.has_metadata_changes and document.etag is None:
            return  # it was only used, and is gone
        _check_again_allowed(work, document, changes, attempt, was_there=was_there)
    raise beaten(document, changes, MAX_ATTEMPTS)


async def put(
    work: Work,
    document: Document,
    stored: dict[str, bytes],
    changes: Changes,
    *,
    expiring: list[Expiring] | None = None,
    disposes: bool = False,
) -> StateConflictError | StateStorageError | None:
    """Write these texts under the document's ETag, once. None when they were written; otherwise the
    error of a race lost, or of an answer that never came. Options: see `build_revision`.

    :raises StateStorageError: the storage failed, and nothing was written.
    """
    write_id = secrets.token_urlsafe(9)
    revision = build_revision(
        document,
        stored,
        changes,
        write_id,
        work.stamp(),
        reference=_reference(work, document, changes),
        expiring=expiring,
        disposes=disposes,
    )
    document.add_pending_write(write_id, changes, removes=revision.removes)
    try:
        etag = await _write(work.storage, document, revision)
    except StateConflictError as lost:
        return lost
    except StateStorageError as failed:
        if not failed.maybe_written:
            raise
        return failed
    before = document.stored
    if work.notes.handlers.listen:
        work.notes.add(_written(document, revision, etag))
    document.record_write(revision.stored, revision.metadata, etag, changes)
    warn_of_limits(before, document, changes)
    return None


async def arrived(
    work: Work, document: Document, lost: StateConflictError | StateStorageError | None
) -> bool:
    """Whether what `put` wrote, which gave this, is stored. After an error it looks again: True if
    it is found all the same; False after a race that was lost.

    :raises StateStorageError: there was no answer, and it is not found; or nobody can look.
    """
    if lost is None:
        return True
    await refresh(work, document, after=lost)
    found = document.confirm_pending_writes()
    if not found and isinstance(lost, StateStorageError):
        raise lost
    if found and work.notes.handlers.listen:
        place, writes = Place(document.scope, document.key), document.metadata.writes
        last = writes[-1] if writes else None
        work.notes.add(*(Written.late(place, each, document.etag, last) for each in found))
    return bool(found)


def _written(document: Document, revision: Revision, etag: str | None) -> Written:
    ended = {name: each.text for name, each in document.expired.items()}
    return Written.of(
        Place(document.scope, document.key),
        {**ended, **document.stored},
        revision.stored,
        etag_before=document.etag,
        etag=etag,
        is_removed=revision.removes,
    )


def _reference(work: Work, document: Document, changes: Changes) -> dict[str, Any] | None:
    kept = any(document.policies.of(name).keep_reference for name in changes)
    return work.reference() if kept else None


async def _write(storage: StateStorage, document: Document, revision: Revision) -> str | None:
    if revision.removes:
        await storage.delete_if(document.key, etag=document.etag or ANY)
        return None
    return await storage.put_if(
        document.key, revision.text, etag=document.etag, metadata=revision.item_metadata
    )


async def refresh(work: Work, document: Document, *, after: Exception | None = None) -> None:
    """Read what is stored now. If that fails after a write without an answer, that is the error."""
    try:
        item = await work.storage.get(document.key)
    except StateStorageError as again:
        if isinstance(after, StateStorageError):
            raise after from again
        # A lost race may be the trace of our own write, which the driver had sent twice.
        again.maybe_written = after is not None
        raise
    fill(document, item, work.clock())


def fill(document: Document, item: StoredItem | None, now: datetime) -> None:
    """Let a document hold what storage gave."""
    document.fill(None if item is None else item.data, None if item is None else item.etag, now)


def conflict(
    document: Document, changes: Changes, attempts: int, reason: str
) -> StateConflictError:
    """The error of a lost race, with its place."""
    return StateConflictError(
        reason,
        key=document.key,
        scope=document.scope,
        properties=tuple(changes),
        attempts=attempts,
    )


def beaten(document: Document, changes: Changes, attempts: int) -> StateConflictError:
    """The error of one who lost the race each time."""
    return conflict(document, changes, attempts, f"others were faster {attempts} times.")


async def full_jitter(attempt: int) -> None:
    """Wait for a random time that grows with the attempts, so that writers spread out."""
    await asyncio.sleep(_BACK_OFF.seconds(attempt))


def _merged(work: Work, document: Document, changes: Changes, attempt: int) -> dict[str, bytes]:
    try:
        return merge_changes(document, changes, work.on_conflict)
    except ConflictingProperties as found:
        raise conflict(
            document,
            dict.fromkeys(found.names),
            attempt,
            "this turn changed it, and so did someone else since it was read. Give the property a "
            'merge="fields", "append" or a function, or change it with update().',
        ) from None


def _check_not_handled(document: Document, changes: Changes, attempt: int) -> None:
    if any(document.is_handled(mark) for mark in document.marks):
        raise conflict(
            document,
            changes,
            attempt,
            "another delivery of this turn's activity was handled since it was read.",
        )


def _check_again_allowed(
    work: Work, document: Document, changes: Changes, attempt: int, *, was_there: bool
) -> None:
    if not changes and not document.tag_changes:
        return  # only upkeep, which nobody can be in conflict with
    if work.on_conflict in ("raise", "replay"):
        raise conflict(document, changes, attempt, "someone else wrote it since it was read.")
    if was_there and document.etag is None and not document.expired_since_loaded():
        raise conflict(
            document,
            changes,
            attempt,
            "it was deleted since it was read, and what this turn changed is not brought back.",
        )
