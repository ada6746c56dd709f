"""A copy of a storage: whole, resumable, and never over what the target has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from botstate_ext import StateStorageError, StateTooLargeError
from botstate_ext.maintenance import storage_copy
from botstate_ext.maintenance.storage_copy import CopyOptions, CopyReport, StorageCopy
from botstate_ext.storage import ANY, MemoryStorage, StateStorage, as_state_storage
from botstate_ext.storage.wrapper import StorageWrapper
from botstate_ext.testing import FaultyStorage
from tests.maintenance.world import World
from tests.storage.plain import PlainStorage
from tests.turns import StateScopes

HOUR = timedelta(hours=1)


async def copied(source: StateStorage, target: StateStorage, **options: Any) -> CopyReport:
    return await StorageCopy(source, target, CopyOptions(**options)).run()


async def content(storage: StateStorage) -> dict[str, tuple[bytes, dict[str, str]]]:
    keys = [info.key async for info in storage.list_items()]
    items = await storage.get_many(keys)
    return {key: (item.data, dict(item.metadata)) for key, item in items.items()}


async def filled(count: int = 3) -> MemoryStorage:
    storage = MemoryStorage()
    for number in range(count):
        body, metadata = b'{"n":%d}' % number, {"n": str(number)}
        await storage.put_if(f"k{number:04}", body, etag=None, metadata=metadata)
    return storage


async def test_everything_is_there_with_its_metadata_and_the_source_as_it_was() -> None:
    source, target = await filled(), MemoryStorage()
    await source.put_if("transcripts/1", b"\x00\xff", etag=None)
    before = await content(source)
    report = await copied(source, target)
    assert (report.seen, report.copied, report.unchanged, report.failed) == (4, 4, 0, 0)
    assert report.bytes == sum(len(body) for body, _ in before.values())
    assert await content(target) == before == await content(source)


async def test_what_expires_expires_there() -> None:
    world, target = World(), MemoryStorage()
    order = world.states.shared.create_property("order", expires_after=HOUR)
    await world.write(order.at("1"), 1)
    await copied(world.memory, target)
    states = StateScopes(target, clock=world.clock)
    assert (await states.sweep()).removed == 0
    world.clock.advance(HOUR)
    assert (await states.sweep()).removed == 1


async def test_once_more_finds_everything_there() -> None:
    source, target = await filled(), MemoryStorage()
    await copied(source, target)
    etags = {key: item.etag for key, item in (await target.get_many(["k0000"])).items()}
    report = await copied(source, target)
    assert (report.copied, report.unchanged, report.bytes) == (0, 3, 0)
    assert (await target.get_many(["k0000"]))["k0000"].etag == etags["k0000"]


async def test_a_dry_run_counts_and_writes_nothing() -> None:
    source, target = await filled(), MemoryStorage()
    await target.put_if("k0001", b'{"n":1}', etag=None, metadata={"n": "1"})
    await target.put_if("k0002", b"[]", etag=None)
    report = await copied(source, target, dry_run=True)
    assert (report.seen, report.copied, report.unchanged, report.failed) == (3, 1, 1, 1)
    assert report.bytes == len(b'{"n":0}')
    assert len(await content(target)) == 2


@pytest.mark.parametrize("other", [(b'{"n":9}', {"n": "1"}), (b'{"n":1}', {"n": "9"})])
async def test_what_the_target_has_otherwise_stays(
    other: tuple[bytes, Mapping[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    source, target = await filled(), MemoryStorage()
    await target.put_if("k0001", other[0], etag=None, metadata=other[1])
    with caplog.at_level(logging.WARNING, "botstate_ext.copy"):
        report = await copied(source, target)
    [problem] = report.problems
    assert problem.key == "k0001"
    assert "another item of this key" in problem.reason
    assert "k0001" in caplog.text
    assert (report.copied, report.failed) == (2, 1)
    assert (await content(target))["k0001"] == other

    report = await copied(source, target, overwrite=True)
    assert (report.copied, report.unchanged, report.failed) == (1, 2, 0)
    assert await content(target) == await content(source)


class Racing(StorageWrapper):
    """Someone else writes an item just before it is written here."""

    async def put_if(self, key: str, data: bytes, *, etag: str | None, **more: Any) -> str:
        if key == "k0001" and (await self._storage.get(key)) is None:
            await self._storage.put_if(key, b'{"a turn": 1}', etag=None)
        return await super().put_if(key, data, etag=etag, **more)


async def test_what_a_turn_writes_to_the_target_meanwhile_stays() -> None:
    source, target = await filled(), MemoryStorage()
    report = await copied(source, Racing(target))
    assert [problem.key for problem in report.problems] == ["k0001"]
    assert (await content(target))["k0001"][0] == b'{"a turn": 1}'


async def test_an_item_deleted_meanwhile_is_gone() -> None:
    source, target = await filled(), MemoryStorage()

    async def delete(report: CopyReport) -> None:
        await source.delete_if("k0002")

    tasks = []
    report = await copied(
        source,
        target,
        parallel=1,
        on_progress=lambda report: tasks.append(asyncio.ensure_future(delete(report))),
    )
    await asyncio.gather(*tasks)
    assert (report.seen, report.copied + report.gone, report.failed) == (3, 3, 0)


class Refusing(StorageWrapper):
    """Takes no item of one key, for each of several reasons."""

    errors: Mapping[str, Exception] = {
        "k0001": StateTooLargeError("The item", size=2, limit=1, key="k0001"),
        "k0003": StateStorageError("put", "k0003", "it failed."),
        "k0005": LookupError("s3cret"),
    }

    async def put_if(self, key: str, data: bytes, **more: Any) -> str:
        if key in self.errors:
            raise self.errors[key]
        return await super().put_if(key, data, **more)


async def test_what_cannot_be_written_stops_nothing() -> None:
    source, target = await filled(8), MemoryStorage()
    report = await copied(source, Refusing(target))
    assert {problem.key for problem in report.problems} == set(Refusing.errors)
    assert (report.seen, report.copied) == (8, 5)
    assert "s3cret" not in str([*report.problems])
    report = await copied(source, target)
    assert (report.copied, report.unchanged) == (3, 5)


async def test_what_cannot_be_read_stops_nothing() -> None:
    source, target = await filled(4), MemoryStorage()
    faulty = FaultyStorage(source)
    faulty.fail("get", at=2, error=StateStorageError("get", "x", "it failed."))
    report = await copied(faulty, target, parallel=1)
    assert (report.copied, report.failed) == (3, 1)


async def test_a_lost_answer_is_no_other_item() -> None:
    source, target = await filled(1), MemoryStorage()

    class LosingAnswers(StorageWrapper):
        async def put_if(self, key: str, data: bytes, **more: Any) -> str:
            etag = await super().put_if(key, data, **more)
            if more["etag"] is None:
                return await super().put_if(key, data, **more)  # as a driver that sends again
            return etag

    report = await copied(source, LosingAnswers(target))
    assert (report.copied + report.unchanged, report.failed) == (1, 0)


class Stop(Exception):
    """As a KeyboardInterrupt, which would end the tests too."""


async def test_interrupted_and_resumed_nothing_is_missing_or_done_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage_copy, "PAGE", 4)
    source, target = await filled(20), MemoryStorage()
    latest = CopyReport()

    def stop(report: CopyReport) -> None:
        nonlocal latest
        latest = report
        if report.seen == 10:
            raise Stop

    with pytest.raises(Stop):
        await StorageCopy(source, target, CopyOptions(parallel=1, on_progress=stop)).run()
    assert latest.resume == "k0007"
    report = await copied(source, target, resume=latest.resume)
    assert report.seen == 12, "the last page, and the rest"
    assert report.unchanged == 2
    assert await content(target) == await content(source)


async def test_a_target_that_cannot_be_reached_fails_at_once() -> None:
    faulty = FaultyStorage(MemoryStorage())
    faulty.fail("list", error=StateStorageError("list", None, "it is down."))
    with pytest.raises(StateStorageError, match="down"):
        await copied(await filled(), faulty)


class NoBytes(MemoryStorage):
    """Keeps JSON, in its own spelling, as Cosmos DB does."""

    any_bytes = False

    async def put_if(self, key: str, data: bytes, **more: Any) -> str:
        return await super().put_if(key, data.replace(b":", b": "), **more)


async def test_equal_json_is_the_same_where_bytes_are_not_kept() -> None:
    source, target = await filled(), NoBytes()
    assert (await copied(source, target)).copied == 3
    assert (await copied(source, target)).unchanged == 3
    await target.put_if("k0001", b'{"n":7}', etag=ANY, metadata={"n": "1"})
    assert (await copied(source, target)).failed == 1


async def test_a_source_that_does_not_list_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot list"):
        await copied(as_state_storage(PlainStorage()), MemoryStorage())
    with pytest.raises(ValueError, match="parallel"):
        await copied(MemoryStorage(), MemoryStorage(), parallel=0)
