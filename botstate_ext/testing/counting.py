"""CountingStorage: counts the operations of a storage."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta

from ..storage.base import ItemWrite, StateStorage, StoredItem
from ..storage.wrapper import Operation, StorageWrapper, T


class CountingStorage(StorageWrapper):
    """Passes operations to a real storage, and counts them since it was made or since `reset`.

    ``latency``: time added to each operation, like a round trip to a distant storage.

    - ``operations``: calls by kind: ``"get"`` (a batch is one), ``"put"``, ``"delete"``, ``"list"``
    - ``keys_read``: the number of reads of each key. ``keys_written``: of writes and deletions.
    - ``bodies``: items that were found and read whole. ``bytes_read``: their size.
    - ``round_trips``: operations that overlap in time count as one, as they take the time of one.
    """

    def __init__(self, storage: StateStorage, latency: timedelta = timedelta(0)) -> None:
        super().__init__(storage)
        self._seconds = latency.total_seconds()
        self._running = 0
        self.reset()

    def reset(self) -> None:
        """Set all counts to zero."""
        self.operations: Counter[str] = Counter()
        self.keys_read: Counter[str] = Counter()
        self.keys_written: Counter[str] = Counter()
        self.bodies: int = 0
        self.bytes_read: int = 0
        self.round_trips: int = 0

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        self.keys_read.update(keys)
        items = await super().get_many(keys)
        self.bodies += len(items)
        self.bytes_read += sum(len(item.data) for item in items.values())
        return items

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        if len(writes) > 1:  # of one, `_run` counts the key
            self.keys_written.update(write.key for write in writes)
        return await super().write_many(writes)

    async def _run(
        self, operation: Operation, key: str | None, call: Callable[[], Awaitable[T]]
    ) -> T:
        self.operations[operation] += 1
        if operation in ("put", "delete") and key is not None:
            self.keys_written[key] += 1
        if self._running == 0:
            self.round_trips += 1
        self._running += 1
        try:
            # Without latency too: those that start together must meet here.
            await asyncio.sleep(self._seconds)
            return await call()
        finally:
            self._running -= 1
