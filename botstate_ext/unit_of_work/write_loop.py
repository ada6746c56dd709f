"""The one loop in which documents are written: read them, decide, write under their ETags in one
step; again if someone else was faster. A step whose answer was lost is recognised, and never made
twice."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from msgspec import Struct

from ..documents.document import Document
from ..documents.pending_expiry import Expiring
from ..documents.pending_writes import Changes, Outcome, PendingWrite, Trace, joint_outcome
from ..documents.revision import Revision, build_revision, warn_of_limits
from ..errors import StateConflictError, StateError, StateStorageError
from ..storage.base import ANY, ItemWrite, StateStorage, StoredItem
from ..storage.waiting import BackOff, maybe_await
from .save_events import DocumentLocation, Origin, WriteEvent

if TYPE_CHECKING:
    from .work import UnitOfWork

_BACK_OFF: Final = BackOff(first=0.04, longest=0.5)

Pause: TypeAlias = Callable[[int], Awaitable[None]]
"""Waits before the next attempt. It is given the number of the failed one, from 1."""

Fill: TypeAlias = Callable[[Document, StoredItem | None, datetime], None]
"""Fills a document with what was read at this time; None: nothing is stored."""


class Plan(NamedTuple):
    """Says how a document is to be written.

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


class SentWrite(Struct):
    """A document's part of a step that was sent."""

    document: Document
    plan: Plan
    revision: Revision
    write: PendingWrite


class LostStep(NamedTuple):
    """A step, of one document or several, that lost a race or got no answer."""

    sent: list[SentWrite]
    error: StateConflictError | StateStorageError

    def beaten(self) -> list[SentWrite]:
        """Return the writes that lost a race, as the storage says; all, if it does not say."""
        if len(self.sent) == 1 or not isinstance(self.error, StateConflictError):
            return self.sent
        return [each for each in self.sent if each.document.key in self.error.keys] or self.sent


def fill(document: Document, item: StoredItem | None, now: datetime) -> None:
    """Fill a document with an item that was read at this time."""
    document.fill(None if item is None else item.data, None if item is None else item.etag, now)


async def write_until_stored(
    work: UnitOfWork,
    decisions: Mapping[Document, Decide],
    *,
    attempts: int,
    seconds: float = math.inf,
    holds_lock: bool = False,
    finish: Callable[[], Any] | None = None,
    fill: Fill = fill,
) -> bool:
    """Write the plan that each document's ``decide`` returns; all plans in one step, all or none.
    If someone was faster, read the documents that lost again, decide on them again, and try all
    again. Return False if there was nothing to write.

    ``holds_lock``: the caller holds the documents' lock; otherwise it is held for each write.
    ``finish``, which may be async, is called under that lock when all is stored.

    :raises StateConflictError: others were faster ``attempts`` times, or for ``seconds``.
    :raises StateStorageError: the storage failed. With ``maybe_written`` the step may be stored,
        and nothing tells any more if it is.
    """
    end, attempt = monotonic() + seconds, 0
    unread = [document for document in decisions if not document.is_loaded]
    if unread:
        await refresh(work, *unread, fill=fill)
    plans = await _decide(decisions, list(decisions), attempt=1)
    while True:
        attempt += 1
        async with nullcontext() if holds_lock else work.writing(*decisions):
            lost = await try_write(work, plans) if plans else None
            is_stored = lost is None
            if lost is not None and lost.error.maybe_written:
                # At once: the more others write, the less the documents tell.
                is_stored = await reconcile_lost_answer(work, lost, fill=fill)
            if lost is None or is_stored:
                work.counts.written += len(plans)
                if finish is not None:
                    await maybe_await(finish())
                return bool(plans)
        # Before the next look, not after it: what has aged by a pause is stale when it is written.
        await work.pause(attempt)
        async with nullcontext() if holds_lock else work.writing(*decisions):
            if await reconcile_lost_answer(work, lost, fill=fill):
                work.counts.written += len(plans)
                await maybe_await(None if finish is None else finish())
                return True
        if attempt >= attempts or monotonic() >= end:
            raise exhausted(lost, attempt)
        again = _to_decide_again(lost)
        work.counts.retries += 1
        work.counts.conflicts += len(again)
        plans = {each.document: each.plan for each in lost.sent if each.document not in again}
        plans |= await _decide(decisions, again, attempt=attempt + 1)


async def _decide(
    decisions: Mapping[Document, Decide], documents: Collection[Document], *, attempt: int
) -> dict[Document, Plan]:
    """Return the plan of each document that has something to write.

    :raises StateConflictError: a decision refused; ``keys`` names all documents of which one did.
    """
    plans: dict[Document, Plan] = {}
    refused: list[StateConflictError] = []
    for document in documents:
        try:
            plan = await maybe_await(decisions[document](document, attempt))
        except StateConflictError as error:  # noqa: PERF203 - each is asked, to name all
            refused.append(error)
        else:
            if plan is not None:
                plans[document] = plan
    if refused:
        raise _joined(refused) if len(refused) > 1 else refused[0]
    return plans


def _to_decide_again(lost: LostStep) -> list[Document]:
    """Return the documents that are not as they were when the step was decided on, in order."""
    is_race = isinstance(lost.error, StateConflictError)
    beaten = {each.document for each in lost.beaten()} if is_race else set()
    return [
        each.document
        for each in lost.sent
        if each.document in beaten or each.document.etag != each.write.etag
    ]


async def try_write(work: UnitOfWork, plans: Mapping[Document, Plan]) -> LostStep | None:
    """Write documents under their ETags, once, in one step. Return None if they are written;
    otherwise the step that lost a race, or got no answer.

    :raises StateStorageError: the storage failed, and nothing was written.
    """
    sent = _prepared(work, plans)
    try:
        etags = await send(work.storage, list(map(_item_write, sent)))
    except StateError as error:
        if not getattr(error, "maybe_written", False):
            _settle(sent, Outcome.NOT_STORED)
        if isinstance(error, StateConflictError):
            return LostStep(sent, error)
        if isinstance(error, StateStorageError) and error.maybe_written:
            return LostStep(sent, error)
        raise
    for each in sent:
        document, plan, revision = each.document, each.plan, each.revision
        etag, before = etags.get(document.key), document.stored
        if work.events.handlers.has_listeners:
            work.events.add(_event(document, revision, etag, work.origin()))
        document.record_write(revision.stored, revision.metadata, etag, plan.changes)
        if document.policies.has_limits:
            warn_of_limits(before, document, plan.changes)
    return None


def _prepared(work: UnitOfWork, plans: Mapping[Document, Plan]) -> list[SentWrite]:
    """Return the write of each plan, ready to be sent and noted as pending.

    :raises StateTooLargeError: a change takes a document over a limit; nothing is noted.
    """
    ready = []
    for document, plan in plans.items():
        write_id = secrets.token_urlsafe(9)
        revision = build_revision(
            document,
            plan.stored,
            plan.changes,
            write_id,
            work.stamp(),
            reference=work.reference,
            expiring=plan.expiring,
            disposes=plan.disposes,
        )
        ready.append((document, plan, revision, write_id))
    sent = []
    for document, plan, revision, write_id in ready:
        write = document.add_pending_write(write_id, plan.changes, removes=revision.removes)
        sent.append(SentWrite(document, plan, revision, write))
    return sent


async def reconcile_lost_answer(work: UnitOfWork, lost: LostStep, *, fill: Fill = fill) -> bool:
    """Read the documents that lost again and return True if the step is stored after all.

    :raises StateStorageError: the step may be stored or may still arrive; or the read failed.
    """
    seen = lost.beaten() if not lost.error.maybe_written else lost.sent
    await refresh(work, *(each.document for each in seen), after=lost.error, fill=fill)
    if len(seen) < len(lost.sent) and _outcome_of(seen) is Outcome.STORED:
        # The trace of our own step was taken for someone else's write: all of it is stored.
        seen = lost.sent
        await refresh(work, *(each.document for each in seen), after=lost.error, fill=fill)
    outcome = _outcome_of(seen)
    is_alone = len(lost.sent) == 1
    may_hold = all(
        each.write.may_hold_again(each.document.etag, is_alone=is_alone) for each in seen
    )
    if outcome is Outcome.NOT_STORED and may_hold and isinstance(lost.error, StateStorageError):
        # A later save of this unit of work still has to look for it.
        _settle(seen, Outcome.ON_ITS_WAY)
    elif outcome in (Outcome.STORED, Outcome.NOT_STORED):
        _settle(seen, outcome)
    for each in seen:
        confirm_pending_writes(work, each.document)
    if outcome is Outcome.STORED:
        return True
    check_cannot_arrive(lost.error, outcome, seen[0].document.key, may_hold_again=may_hold)
    return False


def check_cannot_arrive(
    error: StateConflictError | StateStorageError,
    outcome: Outcome,
    key: str,
    *,
    may_hold_again: bool,
) -> None:
    """Return if a step that lost a race, or got no answer, can no longer arrive: it may be tried
    again. ``outcome``: as the documents show it; the step is not known to be stored.
    ``may_hold_again``: True if the storage would take the step now, or later.

    :raises StateStorageError: it may be stored, or may still arrive.
    """
    if not error.maybe_written:
        return
    has_failed = isinstance(error, StateStorageError)
    # An ETag does not come back, but absence does: a step that only creates documents, and is still
    # on its way, arrives whenever those are deleted again.
    if outcome is Outcome.NOT_STORED and not (has_failed and may_hold_again):
        return
    if has_failed:
        raise error
    raise unknown_outcome(key) from error


def _outcome_of(sent: Sequence[SentWrite]) -> Outcome:
    """Return the outcome of a step, by its documents as they were just read."""
    traces = []
    for each in sent:
        document, write = each.document, each.write
        if len(sent) > 1:
            write = write._replace(is_repeatable=False)  # true, but tells nothing of the others
        outcome = write.outcome(document.etag, document.metadata.writes)
        traces.append(Trace(outcome, document.etag is not None))
    joint = joint_outcome(traces)
    if joint is Outcome.UNKNOWN and all(each.write.is_repeatable for each in sent):
        return Outcome.NOT_STORED
    return joint


def _settle(sent: Iterable[SentWrite], outcome: Outcome) -> None:
    for each in sent:
        each.write = each.document.settle_pending_write(each.write, outcome)


def confirm_pending_writes(work: UnitOfWork, document: Document) -> list[PendingWrite]:
    """Return the pending writes that are stored, and emit their events.

    :raises StateStorageError: one of the others may have been stored: nothing tells any more.
    """
    found = document.confirm_pending_writes()
    if found[Outcome.STORED] and work.events.handlers.has_listeners:
        location, writes = DocumentLocation(document.scope, document.key), document.metadata.writes
        last, origin = writes[-1] if writes else None, work.origin()
        stored = found[Outcome.STORED]
        work.events.add(
            *(WriteEvent.late(location, w, document.etag, last, origin) for w in stored)
        )
    if found[Outcome.UNKNOWN]:
        raise unknown_outcome(document.key)
    return found[Outcome.STORED]


async def refresh(
    work: UnitOfWork, *documents: Document, after: Exception | None = None, fill: Fill = fill
) -> None:
    """Read these documents again, in one batch.

    :raises StateStorageError: the read failed. If it follows a write without an answer, that
        write's error is raised.
    """
    work.counts.read += len(documents)
    try:
        items = await work.storage.get_many([document.key for document in documents])
    except StateStorageError as again:
        if isinstance(after, StateStorageError):
            raise after from again
        # A lost race may be the trace of our own write, which the driver had sent twice.
        again.maybe_written = after is not None
        raise
    now = work.clock()
    for document in documents:
        fill(document, items.get(document.key), now)


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


def exhausted(lost: LostStep, attempts: int) -> StateConflictError:
    """Return the error of a race that was lost each time."""
    reason = f"others were faster {attempts} times."
    return _joined(
        [conflict(each.document, each.plan.changes, attempts, reason) for each in lost.beaten()]
    )


def _joined(errors: Sequence[StateConflictError]) -> StateConflictError:
    """Return the first of these errors, with the keys of all."""
    first = errors[0]
    return StateConflictError(
        first.reason,
        key=first.key,
        keys=[key for error in errors for key in error.keys],
        scope=first.scope,
        properties=first.properties,
        attempts=first.attempts,
    )


async def back_off(attempt: int) -> None:
    """Wait for a random time that grows with the attempts, so that writers spread out."""
    await asyncio.sleep(_BACK_OFF.seconds(attempt))


def _event(document: Document, revision: Revision, etag: str | None, origin: Origin) -> WriteEvent:
    expired = {name: each.text for name, each in document.expired.items()}
    return WriteEvent.of(
        DocumentLocation(document.scope, document.key),
        {**expired, **document.stored},
        revision.stored,
        etag_before=document.etag,
        etag=etag,
        is_removed=revision.removes,
        origin=origin,
    )


async def send(storage: StateStorage, writes: Sequence[ItemWrite]) -> dict[str, str]:
    """Write all, and return the new ETags by key, without those of removed items."""
    if len(writes) > 1:
        return await storage.write_many(writes)
    item = writes[0]
    if item.data is None:
        await storage.delete_if(item.key, etag=item.etag or ANY)
        return {}
    etag = await storage.put_if(item.key, item.data, etag=item.etag, metadata=item.metadata)
    return {item.key: etag}


def _item_write(sent: SentWrite) -> ItemWrite:
    document, revision = sent.document, sent.revision
    if revision.removes:
        return ItemWrite(document.key, None, document.etag or ANY)
    return ItemWrite(document.key, revision.text, document.etag, revision.item_metadata)
