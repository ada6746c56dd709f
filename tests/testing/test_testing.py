"""The tools for tests do what tests rely on."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from botstate_ext.errors import StateStorageError
from botstate_ext.storage import ANY, MemoryStorage, as_state_storage
from botstate_ext.testing import CountingStorage, FaultyStorage, ManualClock


class TestManualClock:
    def test_it_stands_still_until_moved(self) -> None:
        clock = ManualClock(datetime(2024, 1, 1, tzinfo=timezone.utc))
        assert clock() == clock.now() == datetime(2024, 1, 1, tzinfo=timezone.utc)
        assert clock.advance(timedelta(days=1, seconds=1)) == clock()
        clock.advance(-timedelta(days=2))
        assert clock() == datetime(2023, 12, 31, 0, 0, 1, tzinfo=timezone.utc)

    def test_it_is_in_utc(self) -> None:
        there = timezone(timedelta(hours=2))
        clock = ManualClock(datetime(2024, 1, 1, 2, tzinfo=there))
        assert clock().utcoffset() == timedelta(0)
        assert clock() == datetime(2024, 1, 1, tzinfo=timezone.utc)

    def test_a_naive_start_is_refused(self) -> None:
        with pytest.raises(ValueError, match="aware"):
            ManualClock(datetime(2024, 1, 1))  # noqa: DTZ001 - the point of the test


class TestFaultyStorage:
    @pytest.fixture
    def storage(self) -> FaultyStorage:
        return FaultyStorage(MemoryStorage())

    async def test_the_nth_operation_of_a_kind_fails(self, storage: FaultyStorage) -> None:
        storage.fail("put", at=2, times=2)
        await storage.put_if("a", b"{}", etag=None)
        for _ in range(2):
            with pytest.raises(StateStorageError) as caught:
                await storage.put_if("b", b"{}", etag=None)
            assert (caught.value.operation, caught.value.key) == ("put", "b")
            assert not caught.value.maybe_written
        assert await storage.get("b") is None
        await storage.put_if("b", b"{}", etag=None)

    async def test_any_kind_may_fail_with_any_error(self, storage: FaultyStorage) -> None:
        storage.fail(at=2, error=ConnectionError())
        await storage.get("a")
        with pytest.raises(ConnectionError):
            await storage.list_page()

    async def test_an_answer_may_be_lost(self, storage: FaultyStorage) -> None:
        storage.lose_answer("put")
        with pytest.raises(StateStorageError) as caught:
            await storage.put_if("a", b"{}", etag=None)
        assert caught.value.maybe_written
        assert await storage.get("a") is not None

    async def test_an_operation_may_be_held(self, storage: FaultyStorage) -> None:
        held = storage.hold("put")
        writing = asyncio.ensure_future(storage.put_if("a", b"{}", etag=None))
        await held.reached()
        assert await storage.get("a") is None
        held.release()
        await writing
        assert await storage.get("a") is not None

    async def test_closing_closes_what_it_is_around(self) -> None:
        class Closing(MemoryStorage):
            closed = 0

            async def aclose(self) -> None:
                self.closed += 1

        inner = Closing()
        async with CountingStorage(FaultyStorage(inner)):
            pass
        assert inner.closed == 1

    def test_it_is_a_state_storage_and_says_around_what(self, storage: FaultyStorage) -> None:
        assert as_state_storage(storage) is storage
        assert repr(storage) == "<FaultyStorage around <MemoryStorage of 0 items>>"


class TestCountingStorage:
    async def test_it_counts(self) -> None:
        storage = CountingStorage(MemoryStorage())
        await storage.put_if("a", b"12345", etag=None)
        await storage.get_many(["a", "b"])
        await storage.get("a")
        await storage.delete_if("a")
        await storage.list_page()
        assert storage.operations == {"put": 1, "get": 2, "delete": 1, "list": 1}
        assert storage.keys_read == {"a": 2, "b": 1}
        assert storage.keys_written == {"a": 2}
        assert (storage.bodies, storage.bytes_read, storage.round_trips) == (2, 10, 5)
        storage.reset()
        assert not storage.operations
        assert (storage.bodies, storage.bytes_read, storage.round_trips) == (0, 0, 0)

    async def test_operations_at_once_are_one_round_trip(self) -> None:
        storage = CountingStorage(MemoryStorage())
        await asyncio.gather(
            *(storage.put_if(f"{number}", b"{}", etag=ANY) for number in range(5)),
            storage.get("0"),
        )
        assert storage.round_trips == 1
        await storage.get("0")
        await storage.get("0")
        assert storage.round_trips == 3

    async def test_a_failed_operation_ends_its_round_trip(self) -> None:
        storage = CountingStorage(FaultyStorage(MemoryStorage()))
        inner = storage._storage
        assert isinstance(inner, FaultyStorage)
        inner.fail()
        with pytest.raises(StateStorageError):
            await storage.get("a")
        await storage.get("a")
        assert storage.round_trips == 2
