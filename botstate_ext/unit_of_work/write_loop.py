"""The one loop in which a document is written: read it, decide, write under its ETag; again if
someone else was faster. A write whose answer was lost is recognised, and never made twice."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable, Iterable
from contextlib import nullcontext
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ..documents.document import Document
from ..documents.pending_expiry import Expiring
from ..documents.pending_writes import Changes, Outcome, PendingWrite
from ..documents.revision import Revision, build_revision, warn_of_limits
from ..errors import StateConflictError, StateError, StateStorageError
from ..storage.base import ANY, StateStorage, StoredItem
from ..storage.waiting import BackOff, maybe_await
from .save_events import DocumentLocation, WriteEvent

if TYPE_CHECKING:
    from .work import UnitOfWork

_BACK_OFF: Final = BackOff(first=0.04, longest=0.5)

Pause: TypeAlias = Callable[[int], Awaitable[None]]
"""Waits before the next attempt. It is given the number of the failed one, from 1."""

Fill: TypeAlias = Callable[[Document, StoredItem | None, datetime], None]
"""Fills a document with what was read at this time; None: nothing is stored."""


class Plan(NamedTuple):
    """What to write of a document.

    - ``stored``: the text of each property. ``changes``: those that the bot changed.
    - ``expiring``: the entries that wait for their handlers; None: those of the document.
    - ``disposes``: remove the document if nothing is left of it, even if nothing has expired.
    """

    stored: dict[str, bytes]
    changes: Changes
    expiring: list[Expiring] | None = None
    disposes: bool = False


Decide: TypeAlias = Callable[[Document, int], "Plan | Awaitable[Plan | None] | None"]
"""Returns what to write of a document as it is stored now; None: nothing. It is given the number
of the attempt, from 1, and may be async."""


class LostWrite(NamedTuple):
    """A write that lost a race, or got no answer."""

    write: PendingWrite
    error: StateConflictError | StateStorageError


def fill(document: Document, item: StoredItem | None, now: datetime) -> None:
    """Fill a document with what was read at this time."""
    document.fill(None if item is None else item.data, None if item is None else item.etag, now)


async def write_until_stored(
    work: UnitOfWork,
    document: Document,
    decide: Decide,
    *,
    attempts: int,
    seconds: float = math.inf,
    holds_lock: bool = False,
    finish: Callable[[], Any] | None = None,
    fill: Fill = fill,
) -> bool:
    """Write what ``decide`` returns; if someone was faster, read the document again and decide
    again. Return False if there was nothing to write.

    ``holds_lock``: the caller holds the document's lock; otherwise it is held for each write.
    ``finish``, which may be async, is called under that lock when all is stored.

    :raises StateConflictError: others were faster ``attempts`` times, or for ``seconds``.
    :raises StateStorageError: the storage failed. With ``maybe_written`` the write may be stored,
        and nothing tells any more if it is.
    """
    end, attempt = monotonic() + seconds, 0
    if not document.is_loaded:
        await refresh(work, document, fill=fill)
    while True:
        attempt += 1
        plan = await maybe_await(decide(document, attempt))
        async with nullcontext() if holds_lock else work.writing(document):
            lost = None if plan is None else await try_write(work, document, plan)
            is_stored = lost is None
            if lost is not None and lost.error.maybe_written:
                # At once: the more others write, the less the document tells.
                is_stored = await reconcile_lost_answer(work, document, lost, fill=fill)
            if lost is None or is_stored:
                if finish is not None:
                    await maybe_await(finish())
                return plan is not None
        # Before the next look, not after it: what has aged by a pause is stale when it is written.
        await work.pause(attempt)
        async with nullcontext() if holds_lock else work.writing(document):
            if await reconcile_lost_answer(work, document, lost, fill=fill):
                await maybe_await(None if finish is None else finish())
                return True
        if attempt >= attempts or monotonic() >= end:
            raise exhausted(document, plan.changes if plan else {}, attempt)


async def try_write(work: UnitOfWork, document: Document, plan: Plan) -> LostWrite | None:
    """Write a document under its ETag, once. Return None if it is written; otherwise the write that
    lost a race, or got no answer.

    :raises StateStorageError: the storage failed, and nothing was written.
    """
    write_id = secrets.token_urlsafe(9)
    revision = build_revision(
        document,
        plan.stored,
        plan.changes,
        write_id,
        work.stamp(),
        reference=_reference(work, document, plan.changes),
        expiring=plan.expiring,
        disposes=plan.disposes,
    )
    write = document.add_pending_write(write_id, plan.changes, removes=revision.removes)
    try:
        etag = await _send(work.storage, document, revision)
    except StateError as error:
        if not getattr(error, "maybe_written", False):
            document.refuse_pending_write(write)
        if isinstance(error, StateConflictError):
            return LostWrite(write, error)
        if isinstance(error, StateStorageError) and error.maybe_written:
            return LostWrite(write, error)
        raise
    before = document.stored
    if work.events.handlers.has_listeners:
        work.events.add(_event(document, revision, etag))
    document.record_write(revision.stored, revision.metadata, etag, plan.changes)
    if document.policies.has_limits:
        warn_of_limits(before, document, plan.changes)
    return None


async def reconcile_lost_answer(
    work: UnitOfWork, document: Document, lost: LostWrite, *, fill: Fill = fill
) -> bool:
    """Read the document again and return True if the lost write is stored after all.

    :raises StateStorageError: the write may be stored or may still arrive; or the read failed.
    """
    await refresh(work, document, after=lost.error, fill=fill)
    stored = confirm_pending_writes(work, document)
    if any(write.write_id == lost.write.write_id for write in stored):
        return True
    failed = isinstance(lost.error, StateStorageError)
    outcome = lost.write.outcome(document.etag, document.metadata.writes)
    # An ETag does not come back, but absence does: a write that creates the document arrives
    # whenever that is deleted again.
    may_arrive = outcome is Outcome.ON_ITS_WAY or (failed and lost.write.etag is None)
    if lost.error.maybe_written and may_arrive:
        raise lost.error if failed else unknown_outcome(document.key) from lost.error
    return False


def confirm_pending_writes(work: UnitOfWork, document: Document) -> list[PendingWrite]:
    """Return the pending writes that are stored, and emit their events.

    :raises StateStorageError: one of the others may have been stored: nothing tells any more.
    """
    found = document.confirm_pending_writes()
    if found[Outcome.STORED] and work.events.handlers.has_listeners:
        location, writes = DocumentLocation(document.scope, document.key), document.metadata.writes
        last = writes[-1] if writes else None
        work.events.add(
            *(WriteEvent.late(location, w, document.etag, last) for w in found[Outcome.STORED])
        )
    if found[Outcome.UNKNOWN]:
        raise unknown_outcome(document.key)
    return found[Outcome.STORED]


async def refresh(
    work: UnitOfWork, document: Document, *, after: Exception | None = None, fill: Fill = fill
) -> None:
    """Read what is stored now.

    :raises StateStorageError: the read failed. If it follows a write without an answer, that
        write's error is raised.
    """
    try:
        item = await work.storage.get(document.key)
    except StateStorageError as again:
        if isinstance(after, StateStorageError):
            raise after from again
        # A lost race may be the trace of our own write, which the driver had sent twice.
        again.maybe_written = after is not None
        raise
    fill(document, item, work.clock())


def unknown_outcome(key: str) -> StateStorageError:
    """Return the error of a write that may be stored: too much has happened since."""
    return StateStorageError(
        "put",
        key,
        "its answer was lost, and so much was written since that nothing tells if it was made. "
        "Read what is stored before you repeat the change.",
        maybe_written=True,
    )


def conflict(
    document: Document, changes: Iterable[str], attempts: int, reason: str
) -> StateConflictError:
    """Return the error of a lost race, with its place."""
    return StateConflictError(
        reason,
        key=document.key,
        scope=document.scope,
        properties=tuple(changes),
        attempts=attempts,
    )


def exhausted(document: Document, changes: Iterable[str], attempts: int) -> StateConflictError:
    """Return the error of a race that was lost each time."""
    return conflict(document, changes, attempts, f"others were faster {attempts} times.")


async def back_off(attempt: int) -> None:
    """Wait for a random time that grows with the attempts, so that writers spread out."""
    await asyncio.sleep(_BACK_OFF.seconds(attempt))


def _event(document: Document, revision: Revision, etag: str | None) -> WriteEvent:
    expired = {name: each.text for name, each in document.expired.items()}
    return WriteEvent.of(
        DocumentLocation(document.scope, document.key),
        {**expired, **document.stored},
        revision.stored,
        etag_before=document.etag,
        etag=etag,
        is_removed=revision.removes,
    )


def _reference(work: UnitOfWork, document: Document, changes: Changes) -> dict[str, Any] | None:
    for name in changes:
        if document.policies.of(name).keep_reference:
            return work.reference()
    return None


async def _send(storage: StateStorage, document: Document, revision: Revision) -> str | None:
    if revision.removes:
        await storage.delete_if(document.key, etag=document.etag or ANY)
        return None
    return await storage.put_if(
        document.key, revision.text, etag=document.etag, metadata=revision.item_metadata
    )
