"""KeptItems: the items that a cache keeps, and when an answer may be kept. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from sys import getsizeof
from typing import Final, NamedTuple

from ..clock import Clock, end_of
from .base import StoredItem

_LONG_AGO: Final = datetime.min.replace(tzinfo=timezone.utc)
_OVERHEAD: Final = 600
"""Bytes that an item takes besides its texts: its objects, and its entry in the table."""
_MOST_WANTED: Final = 10_000


class Operation:
    """A read or a write of some keys, from its start to its answer.

    - ``since``: the time of its start.
    - ``keeps``: the keys of which the answer will be kept.
    """

    __slots__ = ("keeps", "keys", "since", "writes")

    def __init__(self, keys: Iterable[str], keeps: set[str], since: datetime, writes: bool) -> None:
        self.keys = tuple(dict.fromkeys(keys))
        self.keeps, self.since, self.writes = keeps, since, writes


class _Kept(NamedTuple):
    item: StoredItem | None
    since: datetime
    size: int


class KeptItems:
    """Keeps items by key, absent ones as absent, up to a size and an age.

    An answer is kept only if no write of its key was on its way at any time between the start and
    the end of its operation: otherwise nothing tells which of the two the storage did first. So no
    kept item is older than a write of this process that has ended. A write without a known outcome
    may arrive later, so its key is not kept for ``max_age``.

    Items of which the answer is oldest go first. The repr shows no key and no item.
    """

    def __init__(self, max_bytes: int, max_age: timedelta, clock: Clock) -> None:
        self._max_bytes, self._max_age, self._clock = max_bytes, max_age, clock
        self._items: dict[str, _Kept] = {}  # the oldest first
        self._bytes = 0
        self._wanted: set[str] = set()
        self._open: dict[str, set[Operation]] = {}
        self._uncertain: dict[str, datetime] = {}

    @property
    def size(self) -> int:
        """Return the bytes of all kept items, at most ``max_bytes``."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._items)

    def get(self, keys: Collection[str]) -> dict[str, StoredItem | None]:
        """Return the kept items of these keys; None for one that is absent from the storage. The
        others are kept from the next read of them on."""
        now = self._clock()
        self._drop_aged(now)
        found = {
            key: kept.item
            for key in keys
            if (kept := self._items.get(key)) is not None and self._is_young(kept, now)
        }
        if len(self._wanted) > _MOST_WANTED:
            self._wanted.clear()  # reads that never came, of turns that were cancelled
        self._wanted.update(key for key in keys if key not in found)
        return found

    def begin_read(self, keys: Collection[str]) -> Operation:
        """Note the start of a read. Only what is kept already, or wanted, will be kept."""
        keeps = {key for key in keys if key in self._items or key in self._wanted}
        self._wanted.difference_update(keys)
        keeps -= {key for key in keeps if any(op.writes for op in self._open.get(key, ()))}
        return self._begin(keys, keeps, writes=False)

    def begin_write(self, keys: Collection[str]) -> Operation:
        """Note the start of a write or deletion. Its keys are not kept until it has succeeded."""
        keeps = {key for key in keys if key in self._items}
        for key in keys:
            self._spoil(key)
            self._drop(key)
        return self._begin(keys, keeps, writes=True)

    def end(self, operation: Operation, answer: Mapping[str, StoredItem | None] | None) -> None:
        """Note the end of an operation. ``answer``: its items as they are stored now, without
        absent ones; None if it failed."""
        now = self._clock()
        for key in operation.keys:
            others = self._open[key]
            others.discard(operation)
            if not others:
                del self._open[key]
        if answer is not None:
            for key in operation.keys:
                if key in operation.keeps:
                    self._keep(key, answer.get(key), operation.since)
        self._drop_aged(now)

    def end_uncertain(self, operation: Operation) -> None:
        """Note the end of a write that may have been made, or may still be."""
        self.end(operation, None)
        now = self._clock()
        for key in operation.keys:
            self._uncertain.pop(key, None)
            self._uncertain[key] = end_of(now, self._max_age)
        while self._uncertain[first := next(iter(self._uncertain))] < now:
            del self._uncertain[first]

    def clear(self) -> None:
        """Forget everything, and keep no answer that is on its way."""
        self._items.clear()
        self._bytes = 0
        for key in self._open:
            self._spoil(key)

    def __repr__(self) -> str:
        return f"<KeptItems {len(self)}, {self.size} of {self._max_bytes} bytes>"

    def _begin(self, keys: Collection[str], keeps: set[str], *, writes: bool) -> Operation:
        operation = Operation(keys, keeps, self._clock(), writes)
        for key in operation.keys:
            self._open.setdefault(key, set()).add(operation)
        return operation

    def _spoil(self, key: str) -> None:
        for operation in self._open.get(key, ()):
            operation.keeps.discard(key)

    def _keep(self, key: str, item: StoredItem | None, since: datetime) -> None:
        self._drop(key)
        size = _size_of(key, item)
        if size > self._max_bytes or since <= self._uncertain.get(key, _LONG_AGO):
            return
        self._items[key] = _Kept(item, since, size)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._items)))

    def _drop(self, key: str) -> None:
        dropped = self._items.pop(key, None)
        if dropped is not None:
            self._bytes -= dropped.size

    def _drop_aged(self, now: datetime) -> None:
        while self._items and not self._is_young(self._items[key := next(iter(self._items))], now):
            self._drop(key)

    def _is_young(self, kept: _Kept, now: datetime) -> bool:
        # Where the clock was set back, nothing tells the age.
        return timedelta(0) <= now - kept.since <= self._max_age


def _size_of(key: str, item: StoredItem | None) -> int:
    texts = [key] if item is None else [key, item.etag, *item.metadata, *item.metadata.values()]
    data = 0 if item is None else getsizeof(item.data)
    return _OVERHEAD + data + sum(map(getsizeof, texts))
