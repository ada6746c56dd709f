"""StagedWrite: writes an item of a replayed turn's commit, alone or with the others in one step,
and takes it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ..documents.metadata import parse_document
from ..documents.pending_writes import Outcome, PendingWrite, Trace, joint_outcome
from ..errors import StateConflictError, StateDecodeError, StateError, StateStorageError
from ..storage.base import ANY, ItemWrite, StateStorage, StoredItem
from .write_loop import check_cannot_arrive, send, unknown_outcome

OVERTAKEN: Final = "someone else wrote it while this turn ran."


class Overtaken(StateConflictError):
    """Raised when another writer wrote an item that this attempt read or wrote.

    Nothing of the attempt is stored.
    """


class StagedWrite(Struct, frozen=True, eq=False):
    """Holds one item as it was read and as it will be written; None for an absent item."""

    key: str
    before: StoredItem | None
    after: StoredItem | None


async def write_one(storage: StateStorage, write: StagedWrite) -> str | None:
    """Write one item and return its new ETag.

    None if the item is deleted, or if another writer has written it again since.

    :raises Overtaken: another writer wrote the item after it was read.
    :raises StateStorageError: the storage failed. With ``maybe_written`` the item may be written.
    """
    etags = await _write(storage, [write])
    return etags[write]


async def write_together(
    storage: StateStorage, writes: Sequence[StagedWrite]
) -> dict[StagedWrite, str | None]:
    """Write several items in one step, all or none. Return the new ETag of each, as `write_one`.

    :raises Overtaken: someone else wrote some of them since they were read; nothing was written.
    :raises StateStorageError: the storage failed. With ``maybe_written`` all may be written.
        ``not_saved`` names all of them.
    """
    try:
        return await _write(storage, writes)
    except StateError as error:
        error.not_saved = tuple(write.key for write in writes)
        raise


async def _write(
    storage: StateStorage, writes: Sequence[StagedWrite]
) -> dict[StagedWrite, str | None]:
    try:
        etags = await send(storage, [_item_write(write) for write in writes])
    except StateConflictError as lost:
        return await _etags_if_stored(storage, writes, lost)
    except StateStorageError as error:
        if not error.maybe_written:
            raise
        return await _etags_if_stored(storage, writes, error)
    return {write: etags.get(write.key) for write in writes}


async def _etags_if_stored(
    storage: StateStorage,
    writes: Sequence[StagedWrite],
    failed: StateConflictError | StateStorageError,
) -> dict[StagedWrite, str | None]:
    """Read the items of a step that lost a race, or got no answer. Return the ETag of each if the
    step is stored after all.

    :raises Overtaken, StateStorageError: it is not, or may be.
    """
    try:
        now = await storage.get_many([write.key for write in writes])
    except StateStorageError as again:
        raise _unseen(again, after=failed) from again
    traces = [Trace(_outcome(write, now.get(write.key)), write.key in now) for write in writes]
    outcome = joint_outcome(traces)
    if outcome is Outcome.STORED:
        return {write: _etag_if_last(write, now.get(write.key)) for write in writes}
    pending = ((_pending(write), etag_of(now.get(write.key))) for write in writes)
    is_alone = len(writes) == 1
    may_hold = all(write.may_hold_again(etag, is_alone=is_alone) for write, etag in pending)
    check_cannot_arrive(failed, outcome, writes[0].key, may_hold_again=may_hold)
    keys = failed.keys if isinstance(failed, StateConflictError) else ()
    raise Overtaken(OVERTAKEN, key=keys[0] if keys else writes[0].key, keys=keys) from failed


async def take_back(
    storage: StateStorage, write: StagedWrite, etag: str | None
) -> StateError | None:
    """Restore one item to its state before the write.

    Return the error if this fails or its outcome is not known, else None.
    ``etag``: the result of `write_one`.
    """
    before = write.before
    if etag is None:
        return StateConflictError(OVERTAKEN, key=write.key)
    try:
        if before is None:
            await storage.delete_if(write.key, etag=etag)
        else:
            await storage.put_if(write.key, before.data, etag=etag, metadata=before.metadata)
    except StateError as error:
        try:
            now = await storage.get(write.key)
        except StateStorageError as again:
            return _unseen(again, after=error)
        outcome = _outcome(write, now)
        if outcome is Outcome.UNKNOWN and now is not None:
            return unknown_outcome(write.key)
        return error if outcome is Outcome.STORED else None
    return None


def _item_write(write: StagedWrite) -> ItemWrite:
    etag, after = etag_of(write.before), write.after
    if after is None:
        # Gone already is gone: someone else's deletion and this one are the same.
        return ItemWrite(write.key, None, etag or ANY)
    return ItemWrite(write.key, after.data, etag, after.metadata)


def _outcome(write: StagedWrite, now: StoredItem | None) -> Outcome:
    """Return the outcome of a write, judged by the item that is stored now."""
    if write.after is not None and now is not None and now.data == write.after.data:
        return Outcome.STORED
    try:
        return _pending(write, _write_ids(write.before), _write_ids(write.after)).outcome(
            etag_of(now), _write_ids(now)
        )
    except StateDecodeError:
        is_same = etag_of(write.before) == etag_of(now)
        return Outcome.ON_ITS_WAY if is_same else Outcome.UNKNOWN


def _pending(
    write: StagedWrite, before: Sequence[str] = (), mine: Sequence[str] = ()
) -> PendingWrite:
    """Return a staged write as a pending one, by the ids of the item's writes before and after."""
    return PendingWrite(
        mine[-1] if mine else "",
        etag_of(write.before),
        before[-1] if before else None,
        {},
        removes=write.after is None,
    )


def _write_ids(item: StoredItem | None) -> list[str]:
    """Return the ids of the last writes of a stored document."""
    return [] if item is None else parse_document(item.data).metadata.writes


def _unseen(again: StateStorageError, *, after: StateError) -> StateError:
    """Return the error of a write if its outcome could not be read."""
    if isinstance(after, StateStorageError):
        return after
    # A lost race may be the trace of our own write, which the driver had sent twice.
    again.maybe_written = True
    return again


def etag_of(item: StoredItem | None) -> str | None:
    """Return the ETag of an item; None if it is absent."""
    return None if item is None else item.etag


def _etag_if_last(write: StagedWrite, now: StoredItem | None) -> str | None:
    """Return the ETag of an item that is stored; None if it is deleted, or written again since."""
    is_last = now is not None and write.after is not None and now.data == write.after.data
    return etag_of(now) if is_last else None
