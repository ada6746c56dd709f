"""StagedWrite: writes one item of a replayed turn's commit, and takes it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..documents.metadata import parse_document
from ..documents.pending_writes import Outcome, PendingWrite
from ..errors import StateConflictError, StateDecodeError, StateError, StateStorageError
from ..storage.base import ANY, StateStorage, StoredItem
from .write_loop import unknown_outcome

OVERTAKEN: Final = "someone else wrote it while this turn ran."


class Overtaken(StateConflictError):
    """Raised when another writer wrote an item that this attempt read or wrote.

    Nothing of the attempt is stored.
    """


@dataclass(frozen=True, slots=True, eq=False)
class StagedWrite:
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
    try:
        return await _send(storage, write)
    except StateConflictError as lost:
        failed: StateConflictError | StateStorageError = lost
    except StateStorageError as error:
        if not error.maybe_written:
            raise
        failed = error
    try:
        now = await storage.get(write.key)
    except StateStorageError as again:
        raise _unseen(again, after=failed) from again
    outcome = _outcome(write, now)
    if outcome is Outcome.STORED:
        return None if now is None or now.data != _data(write.after) else now.etag
    has_failed = isinstance(failed, StateStorageError)
    # An ETag does not come back, but absence does: what creates an item may arrive whenever it is
    # deleted again.
    may_arrive = outcome is not Outcome.NOT_STORED or (has_failed and write.before is None)
    if failed.maybe_written and may_arrive:
        raise failed if has_failed else unknown_outcome(write.key) from failed
    raise Overtaken(OVERTAKEN, key=write.key) from failed


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


async def _send(storage: StateStorage, write: StagedWrite) -> str | None:
    before, after = write.before, write.after
    if after is None:
        # Gone already is gone: someone else's deletion and this one are the same.
        await storage.delete_if(write.key, etag=ANY if before is None else before.etag)
        return None
    return await storage.put_if(
        write.key, after.data, etag=etag_of(before), metadata=after.metadata
    )


def _outcome(write: StagedWrite, now: StoredItem | None) -> Outcome:
    """Return the outcome of a write, judged by the item that is stored now."""
    if write.after is not None and now is not None and now.data == write.after.data:
        return Outcome.STORED
    etag = etag_of(write.before)
    try:
        mine, before = _write_ids(write.after), _write_ids(write.before)
        anchor, write_id = before[-1] if before else None, mine[-1] if mine else ""
        pending = PendingWrite(write_id, etag, anchor, {}, removes=write.after is None)
        return pending.outcome(etag_of(now), _write_ids(now))
    except StateDecodeError:
        return Outcome.ON_ITS_WAY if etag == etag_of(now) else Outcome.UNKNOWN


def _write_ids(item: StoredItem | None) -> list[str]:
    """Return the ids of the last writes of a stored document."""
    return [] if item is None else parse_document(item.data).metadata.writes


def _unseen(again: StateStorageError, *, after: StateError) -> StateError:
    """Return the error of a write whose outcome could not be read."""
    if isinstance(after, StateStorageError):
        return after
    # A lost race may be the trace of our own write, which the driver had sent twice.
    again.maybe_written = True
    return again


def etag_of(item: StoredItem | None) -> str | None:
    """Return the ETag of an item; None if it is absent."""
    return None if item is None else item.etag


def _data(item: StoredItem | None) -> bytes | None:
    return None if item is None else item.data
