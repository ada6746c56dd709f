"""StagedStorage: keeps the reads and writes of one attempt of a turn until they are committed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from ..errors import StateConflictError, StateError, StateStorageError
from ..storage.base import ANY, ItemPage, ItemWrite, StateStorage, StoredItem
from ..storage.etags import check_condition, new_etag
from ..storage.keycheck import check_etag, check_key, check_put
from ..storage.parallel import all_outcomes
from ..storage.writes import check_conditions, check_writes
from .replay_write import (
    OVERTAKEN,
    Overtaken,
    StagedWrite,
    etag_of,
    take_back,
    write_one,
    write_together,
)


class ETags(NamedTuple):
    """The ETags of a committed item. ``after``: None if it was deleted, or if someone else has
    written it again."""

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
        self.transactional = storage.transactional
        self.storage = storage
        self.is_repeatable = True
        """False: the attempt has done something that must not be done twice."""
        self._read: dict[str, StoredItem | None] = {}
        self._assumed: set[str] = set()
        self._now: dict[str, StoredItem | None] = {}
        self.compared = 0
        """How many items were read to compare them with what the attempt had read."""
        self.stored: dict[str, ETags] = {}
        """The ETags of the items that `commit` wrote and did not take back, by key; also if it
        failed."""
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

    def assume(self, kept: Mapping[str, StoredItem | None]) -> dict[str, StoredItem | None]:
        """Take items from the cache as if they had been read. Return them as they are here: what
        was read or written here before stays."""
        for key, item in kept.items():
            if key not in self._now:
                self._read[key] = self._now[key] = item
                self._assumed.add(key)
        return {key: self._now[key] for key in kept}

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

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        if self._is_passing():
            return await self.storage.write_many(writes)
        check_writes(writes)
        stored = await self.get_many([write.key for write in writes])
        check_conditions(writes, {key: item.etag for key, item in stored.items()})
        etags = {}
        for write in writes:
            item = None
            if write.data is not None:
                item = StoredItem(bytes(write.data), new_etag(), dict(write.metadata or {}))
                etags[write.key] = item.etag
            self._now[write.key] = item
        return etags

    def transactional_for(self, keys: Collection[str]) -> bool:
        return self.storage.transactional_for(keys)

    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        return await self.storage.list_page(
            prefix, limit=limit, continuation_token=continuation_token
        )

    @property
    def is_committed(self) -> bool:
        """Return True after a commit: everything passes through."""
        return self._phase == "committed"

    def give_up(self) -> None:
        """Discard everything that was not committed."""
        if self._phase == "open":
            self._phase = "given up"

    async def commit(self, read: Iterable[str]) -> None:
        """Write all items that changed, if nobody else wrote any of them, or any of the keys in
        ``read``, since they were read. Without a change, only those of ``read`` that came from the
        cache are compared with storage; without these, no request is made.

        If the storage is transactional for them, they are written in one step. Otherwise everyone
        writes the first of several items alone, in the order of their keys: of two turns
        that write the same items, the slower one finds out before it has written anything.
        Deletions come last. A deletion is never taken back: someone else may want it by then.

        :raises Overtaken: someone else was faster; what had been written is taken back.
        :raises StateConflictError: the same, but it could not be taken back; ``saved`` names it.
        :raises StateStorageError: the storage failed; ``saved`` names what could not be taken back.
        """
        writes = [
            StagedWrite(key, self._read[key], item)
            for key, item in sorted(self._now.items())
            if item is not self._read[key]
        ]
        if not writes:
            await self.check_assumed(read)
        else:
            keys = {write.key for write in writes}
            to_check = self._read.keys() & {*read, *keys}
            in_one_step = len(writes) > 1 and self.storage.transactional_for(keys)
            if not self._write_finds_out(writes, to_check, in_one_step=in_one_step):
                await self._check(to_check)
            written: dict[StagedWrite, str | None] = {}
            if in_one_step:
                written = await write_together(self.storage, writes)
            else:
                for batch in _batches(writes):
                    await self._write_batch(batch, written, writes)
            self.stored = {w.key: ETags(etag_of(w.before), etag) for w, etag in written.items()}
        self._phase = "committed"

    async def check_assumed(self, read: Iterable[str]) -> None:
        """Compare items from the cache with storage, if the turn read or wrote them.

        ``read``: the keys that the turn read.

        :raises Overtaken: one of them is stale.
        :raises StateStorageError: storage could not be read.
        """
        if not self._assumed or self.is_committed:
            return
        written = {key for key, item in self._now.items() if item is not self._read[key]}
        used = self._assumed & {*read, *written}
        if used:
            await self._check(used)
            self._assumed -= used

    def _write_finds_out(
        self, writes: list[StagedWrite], to_check: set[str], *, in_one_step: bool
    ) -> bool:
        """Return True if the write fails when one of these keys was written by someone else."""
        if any(write.after is None and write.key in self._assumed for write in writes):
            return False  # what is gone already can be deleted, and the item may be long gone
        return len(to_check) == 1 or (in_one_step and to_check <= {w.key for w in writes})

    async def _check(self, keys: set[str]) -> None:
        self.compared += len(keys)
        found = await self.storage.get_many(sorted(keys))
        for key in sorted(keys):
            if etag_of(found.get(key)) != etag_of(self._read[key]):
                raise Overtaken(OVERTAKEN, key=key)

    async def _write_batch(
        self,
        batch: list[StagedWrite],
        written: dict[StagedWrite, str | None],
        all_: list[StagedWrite],
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
        self,
        failures: list[Exception],
        written: dict[StagedWrite, str | None],
        all_: list[StagedWrite],
    ) -> Exception:
        """Put the written items back as they were, and return the error to raise."""
        outcomes = await all_outcomes(
            take_back(self.storage, write, etag) for write, etag in written.items()
        )
        kept = {w.key: o for w, o in zip(written, outcomes, strict=True) if o is not None}
        self.stored = {
            w.key: ETags(etag_of(w.before), etag) for w, etag in written.items() if w.key in kept
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


def _batches(writes: list[StagedWrite]) -> Iterator[list[StagedWrite]]:
    for kind in (
        [write for write in writes if write.after is not None],
        [write for write in writes if write.after is None],
    ):
        yield from (kind[:1], kind[1:])


def _weight(error: Exception) -> int:
    """Return the weight of an error; of several, the heaviest is raised. A write that may still be
    stored weighs most, a lost race least."""
    if isinstance(error, StateStorageError):
        return 2 + error.maybe_written
    return 0 if isinstance(error, StateConflictError) else 1
