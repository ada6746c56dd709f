"""A storage that keeps items is the storage that it is around, and what it keeps is what a read
would have given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from botstate_ext import DocumentCache, StateConflictError, StateStorageError
from botstate_ext.storage import MemoryStorage, StateStorage, StoredItem, as_state_storage
from botstate_ext.storage.base import ANY, ItemWrite
from botstate_ext.storage.kept_items import KeptItems
from botstate_ext.storage.warm import WarmStorage, without_cache
from botstate_ext.storage.wrapper import Operation, StorageWrapper, T
from botstate_ext.testing import CountingStorage, FaultyStorage, ManualClock, StorageContract
from tests.backends import OWN, make_own
from tests.cancellation import CancelledAt
from tests.turns import UpstreamMemoryStorage

MINUTE = timedelta(minutes=1)
START = datetime(2024, 5, 6, tzinfo=timezone.utc)


def warm(storage: StateStorage) -> WarmStorage:
    return DocumentCache(max_bytes=10_000_000, max_age=MINUTE).around(storage, ManualClock(START))


class AnswersFromMemory(WarmStorage):
    """Answers from what is kept wherever it can, so that the contract is one of what is kept."""

    def __init__(self, storage: StateStorage) -> None:
        super().__init__(storage, KeptItems(10_000_000, MINUTE, ManualClock(START)))
        self.hits = 0

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        keys = tuple(keys)
        kept = self.kept(keys)
        self.hits += len(kept)
        missing = [key for key in keys if key not in kept]
        found: dict[str, StoredItem] = await super().get_many(missing) if missing else {}
        items = {key: kept[key] if key in kept else found.get(key) for key in keys}
        return {key: item for key, item in items.items() if item is not None}


class TestContract(StorageContract):
    @pytest.fixture(params=["memory", "sqlite", "upstream memory"])
    async def storage(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> AsyncIterator[StateStorage]:
        if request.param == "upstream memory":
            inner = as_state_storage(UpstreamMemoryStorage())
        else:
            inner = make_own(request.param, request, tmp_path)
        async with AnswersFromMemory(inner) as storage:
            yield storage


async def start(storage: WarmStorage, *keys: str) -> None:
    """Read these keys, as a turn's start does."""
    storage.kept(keys)
    await storage.get_many(keys)


@pytest.mark.parametrize("kind", OWN)
async def test_what_is_kept_is_what_a_read_gives(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with make_own(kind, request, tmp_path) as inner:
        storage, keys = warm(inner), ("test/a", "test/b")

        async def check() -> None:
            kept = storage.kept(keys)
            stored = await inner.get_many(keys)
            assert kept == {key: stored.get(key) for key in keys}

        await start(storage, *keys)
        await check()
        etag = await storage.put_if(keys[0], b'{"n": 1}', etag=None, metadata={"scope": "user"})
        await check()
        await storage.put_if(keys[0], b'{"n": 2}', etag=etag)
        await check()
        await storage.delete_if(keys[0])
        await check()
        if inner.transactional_for(keys):
            await storage.write_many([ItemWrite(key, b"{}", None, {"n": "1"}) for key in keys])
            await check()
            await storage.write_many(
                [ItemWrite(keys[0], None, ANY), ItemWrite(keys[1], b'{"n": 3}', ANY)]
            )
            await check()


async def test_a_read_is_always_made() -> None:
    counting = CountingStorage(MemoryStorage())
    storage = warm(counting)
    await start(storage, "test/a")
    await storage.get("test/a")
    assert counting.keys_read == {"test/a": 2}


async def test_a_read_renews_what_is_kept() -> None:
    memory = MemoryStorage()
    storage = warm(memory)
    await start(storage, "test/a")
    await memory.put_if("test/a", b"{}", etag=None)
    assert storage.kept(["test/a"]) == {"test/a": None}
    item = await storage.get("test/a")
    assert storage.kept(["test/a"]) == {"test/a": item}


async def test_a_write_that_lost_a_race_or_failed_leaves_nothing() -> None:
    memory = MemoryStorage()
    faulty = FaultyStorage(memory)
    storage = warm(faulty)
    await start(storage, "test/a", "test/b")
    await memory.put_if("test/a", b"{}", etag=None)
    with pytest.raises(StateConflictError):
        await storage.put_if("test/a", b"{}", etag=None)
    faulty.fail("put")
    with pytest.raises(StateStorageError):
        await storage.put_if("test/b", b"{}", etag=None)
    assert storage.kept(["test/a", "test/b"]) == {}
    await storage.get_many(["test/a", "test/b"])
    assert set(storage.kept(["test/a", "test/b"])) == {"test/a", "test/b"}


async def test_a_write_without_an_answer_is_not_kept_for_a_while() -> None:
    faulty, clock = FaultyStorage(MemoryStorage()), ManualClock(START)
    storage = DocumentCache(max_bytes=10_000, max_age=MINUTE).around(faulty, clock)
    await start(storage, "test/a")
    faulty.lose_answer("put")
    with pytest.raises(StateStorageError):
        await storage.put_if("test/a", b"{}", etag=None)
    await start(storage, "test/a")
    assert storage.kept(["test/a"]) == {}
    clock.advance(2 * MINUTE)
    await start(storage, "test/a")
    assert "test/a" in storage.kept(["test/a"])


class Slow(StorageWrapper):
    """Lets others run before and after each operation."""

    async def _run(
        self, operation: Operation, key: str | None, call: Callable[[], Awaitable[T]]
    ) -> T:
        await asyncio.sleep(0)
        result = await call()
        await asyncio.sleep(0)
        return result


Write = Callable[[WarmStorage], Awaitable[Any]]
WRITES: dict[str, Write] = {
    "put": lambda storage: storage.put_if("test/a", b'{"n": 2}', etag=ANY),
    "delete": lambda storage: storage.delete_if("test/a"),
    "write_many": lambda storage: storage.write_many([ItemWrite("test/a", b'{"n": 3}', ANY)]),
    "get": lambda storage: storage.get("test/a"),
}


@pytest.mark.parametrize("name", WRITES)
async def test_an_operation_that_is_cancelled_at_each_await(name: str) -> None:
    memory, at = MemoryStorage(), 0
    while True:
        at += 1
        storage = warm(Slow(memory))
        await memory.put_if("test/a", b'{"n": 1}', etag=ANY)
        await start(storage, "test/a")
        steps = CancelledAt(WRITES[name](storage), at)  # type: ignore[arg-type]
        task = await steps.ended()
        for _ in range(3):
            await asyncio.sleep(0)
        stored = await memory.get("test/a")
        kept = storage.kept(["test/a"])
        assert kept in ({}, {"test/a": stored})
        assert not storage._items._open
        if task.cancelled() and name != "get":
            assert kept == {}
        if steps.awaits < at:
            assert kept == {"test/a": stored}
            break
    assert at == 3


async def test_closing_forgets() -> None:
    storage = warm(MemoryStorage())
    await start(storage, "test/a")
    await storage.aclose()
    assert storage.kept(["test/a"]) == {}


def test_a_storage_has_one_cache_for_all_who_share_it() -> None:
    memory, cache = MemoryStorage(), DocumentCache(max_bytes=1, max_age=MINUTE)
    clock = ManualClock(START)
    assert cache.around(memory, clock) is cache.around(memory, clock)
    assert cache.around(memory, clock) is not cache.around(MemoryStorage(), clock)


def test_the_storage_without_its_cache() -> None:
    memory = MemoryStorage()
    assert without_cache(warm(memory)) is memory
    assert without_cache(memory) is memory


class Unconditional(MemoryStorage):
    """Checks no ETag of another process."""

    conditional = False


def test_a_storage_that_checks_no_etag_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ETags.*MemoryStorage.*leave out cache="):
        warm(Unconditional())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_bytes": 0, "max_age": MINUTE}, ValueError),
        ({"max_bytes": 1, "max_age": timedelta(0)}, ValueError),
        ({"max_bytes": 1, "max_age": MINUTE, "sticky": "bot"}, ValueError),
        ({"max_bytes": "1", "max_age": MINUTE}, TypeError),
        ({"max_bytes": True, "max_age": MINUTE}, TypeError),
        ({"max_bytes": 1, "max_age": 60}, TypeError),
    ],
    ids=str,
)
def test_limits_that_are_none(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        DocumentCache(**options)


def test_the_repr_says_the_limits() -> None:
    cache = DocumentCache(max_bytes=5_000, max_age=MINUTE, sticky="all")
    assert repr(cache) == "<DocumentCache max_bytes=5000, max_age=0:01:00, sticky='all'>"
