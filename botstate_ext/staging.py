"""StagedStorage: what one attempt of a turn reads and writes, until all of it is committed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from .errors import StateConflictError, StateDecodeError, StateError, StateStorageError
from .metadata import parse_document
from .storage.base import ANY, ItemPage, StateStorage, StoredItem
from .storage.etags import check_condition, new_etag
from .storage.keycheck import check_etag, check_key, check_put
from .storage.parallel import all_outcomes

_OVERTAKEN: Final = "someone else wrote it while this turn ran."


class Overtaken(StateConflictError):
    """Someone else wrote what this attempt read or wrote; nothing of it is stored."""


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """One item of a commit, as it was and as it is to be; None is absent."""

    key: str
    before: StoredItem | None
    after: StoredItem | None


class ETags(NamedTuple):
    """Of an item that was committed. ``after``: None if it was deleted, or if someone else has
    written on top of it."""

    before: str | None
    after: str | None


class StagedStorage(StateStorage):
    """A storage around another. Each item is read once, and stays what it was at that moment;
    writes and deletions stay here until `commit`. Listings show what is committed.

    After a commit everything passes through, for a task that outlived the turn; what is asked of it
    when the attempt was given up raises `StateConflictError`.
    """

    def __init__(self, storage: StateStorage) -> None:
        super().__init__(types=storage._types)
        self.conditional, self.lists = storage.conditional, storage.lists
        self.metadata, self.any_bytes = storage.metadata, storage.any_bytes
        self.storage = storage
        self._read: dict[str, StoredItem | None] = {}
        self._now: dict[str, StoredItem | None] = {}
        self.stored: dict[str, ETags] = {}
        """What `commit` has left in the storage, also when it failed."""
        self._phase: Literal["open", "committed", "given up"] = "open"

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        if self._is_passing():
            return await self.storage.get_many(keys)
        wanted = [key for key in keys if key not in self._now]
        if wanted:
            found = await self.storage.get_many(wanted)
            for key in wanted:
                # Of two reads at once the first counts, for both.
                item = self._read.setdefault(key, found.get(key))
                self._now.setdefault(key, item)
        items = {key: self._now[key] for key in keys}
        return {key: item for key, item in items.items() if item is not None}

    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        if self._is_passing():
            return await self.storage.put_if(key, data, etag=etag, metadata=metadata)
        check_put(key, etag, metadata)
        stored = await self.get(key)
        check_condition(key, etag, None if stored is None else stored.etag)
        item = StoredItem(bytes(data), new_etag(), dict(metadata or {}))
        self._now[key] = item
        return item.etag

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        if self._is_passing():
            return await self.storage.delete_if(key, etag=etag)
        check_key(key)
        check_etag(etag)
        stored = await self.get(key)
        if stored is None:
            return False
        check_condition(key, etag, stored.etag)
        self._now[key] = None
        return True

    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        return await self.storage.list_page(
            prefix, limit=limit, continuation_token=continuation_token
        )

    @property
    def is_committed(self) -> bool:
        """True when everything passes through."""
        return self._phase == "committed"

    def give_up(self) -> None:
        """Forget what was not committed."""
        if self._phase == "open":
            self._phase = "given up"

    async def commit(self, read: Iterable[str]) -> None:
        """Write all that changed, if nobody wrote to any of it since it was read, nor to the keys
        that were ``read``. If nothing changed, nothing is asked.

        Everyone writes the first of several items in the order of their keys, so that of two who
        write the same ones the slower has written nothing when it finds out. Deletions come last:
        one is never taken back, as nothing tells whether someone else wants it to stay.

        :raises Overtaken: someone else was faster; what had been written is taken back.
        :raises StateConflictError: the same, but it could not be taken back; ``saved`` names it.
        :raises StateStorageError: the storage failed; so too.
        """
        writes = [
            Write(key, self._read[key], item)
            for key, item in sorted(self._now.items())
            if item is not self._read[key]
        ]
        if writes:
            await self._check(self._read.keys() & {*read, *(write.key for write in writes)})
            written: dict[Write, str | None] = {}
            for batch in _batches(writes):
                await self._write_batch(batch, written, writes)
            self.stored = {w.key: ETags(_etag(w.before), etag) for w, etag in written.items()}
        self._phase = "committed"

    async def _check(self, keys: set[str]) -> None:
        if len(keys) == 1:
            return  # the write itself finds out
        found = await self.storage.get_many(sorted(keys))
        for key in sorted(keys):
            if _etag(found.get(key)) != _etag(self._read[key]):
                raise Overtaken(_OVERTAKEN, key=key)

    async def _write_batch(
        self, batch: list[Write], written: dict[Write, str | None], all_: list[Write]
    ) -> None:
        outcomes = await all_outcomes(write_one(self.storage, write) for write in batch)
        failures = []
        for write, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                failures.append(outcome)
            else:
                written[write] = outcome
        if failures:
            raise await self._taken_back(failures, written, all_)

    async def _taken_back(
        self, failures: list[Exception], written: dict[Write, str | None], all_: list[Write]
    ) -> Exception:
        """The error to raise, after what was written has been put back as it was."""
        outcomes = await all_outcomes(
            take_back(self.storage, write, etag) for write, etag in written.items()
        )
        kept = {w.key: o for w, o in zip(written, outcomes, strict=True) if o is not None}
        self.stored = {
            w.key: ETags(_etag(w.before), etag) for w, etag in written.items() if w.key in kept
        }
        error = max((*failures, *kept.values()), key=_weight)
        if kept and isinstance(error, Overtaken):
            error = StateConflictError(
                "someone else wrote it while this turn was being saved, and what had been saved by "
                "then cannot be taken back.",
                key=error.key,
            )
        if isinstance(error, StateError):
            error.saved = tuple(kept)
            error.not_saved = tuple(write.key for write in all_ if write.key not in kept)
        return error

    def _is_passing(self) -> bool:
        if self._phase == "given up":
            raise StateConflictError(
                "this attempt of the turn was given up. Await every task within the turn."
            )
        return self._phase == "committed"


def _batches(writes: list[Write]) -> Iterator[list[Write]]:
    for kind in (
        [write for write in writes if write.after is not None],
        [write for write in writes if write.after is None],
    ):
        yield from (kind[:1], kind[1:])


async def write_one(storage: StateStorage, write: Write) -> str | None:
    """Write one item and return its new ETag; None where it is deleted, or someone has written on
    top of it.

    :raises Overtaken: someone else wrote it since it was read.
    :raises StateStorageError: the storage failed.
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
    if _is_written(write, now):
        return None if now is None or now.data != _data(write.after) else now.etag
    # A write that is still on its way arrives only if the item is what it was. An ETag does not
    # come back, but absence does: what creates an item may arrive whenever it is deleted again.
    may_arrive = write.before is None or _etag(now) == write.before.etag
    if isinstance(failed, StateStorageError) and may_arrive:
        raise failed
    raise Overtaken(_OVERTAKEN, key=write.key) from failed


async def take_back(storage: StateStorage, write: Write, etag: str | None) -> StateError | None:
    """Put one item back as it was; the error, if that is not possible.

    ``etag``: what `write_one` returned.
    """
    before = write.before
    if etag is None:
        return StateConflictError(_OVERTAKEN, key=write.key)
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
        return error if _is_written(write, now) else None
    return None


async def _send(storage: StateStorage, write: Write) -> str | None:
    before, after = write.before, write.after
    if after is None:
        # Gone already is gone: someone else's deletion and this one are the same.
        await storage.delete_if(write.key, etag=ANY if before is None else before.etag)
        return None
    return await storage.put_if(write.key, after.data, etag=_etag(before), metadata=after.metadata)


def _is_written(write: Write, now: StoredItem | None) -> bool:
    """True when the stored item is this write, or was made from it."""
    if write.after is None or now is None:
        return write.after is now
    if now.data == write.after.data:
        return True
    try:
        mine, stored = parse_document(write.after.data), parse_document(now.data)
    except StateDecodeError:
        return False
    return bool(mine.metadata.writes) and mine.metadata.writes[-1] in stored.metadata.writes


def _unseen(again: StateStorageError, *, after: StateError) -> StateError:
    """The error of a write of which nobody could see what became."""
    if isinstance(after, StateStorageError):
        return after
    # A lost race may be the trace of our own write, which the driver had sent twice.
    again.maybe_written = True
    return again


def _weight(error: Exception) -> int:
    """Which of several errors to raise: one after which something may yet be written says most,
    and a lost race least."""
    if isinstance(error, StateStorageError):
        return 2 + error.maybe_written
    return 0 if isinstance(error, StateConflictError) else 1


def _etag(item: StoredItem | None) -> str | None:
    return None if item is None else item.etag


def _data(item: StoredItem | None) -> bytes | None:
    return None if item is None else item.data
