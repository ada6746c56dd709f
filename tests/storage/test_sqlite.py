"""SQLiteStorage: processes, crashes, and files that cannot be used."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from botstate_ext import StateScopes
from botstate_ext.documents import metadata
from botstate_ext.errors import StateConflictError, StateStorageError
from botstate_ext.storage import ANY, ItemWrite, SQLiteStorage, due_index, rows, sqlite_file
from botstate_ext.testing import ManualClock
from tests.storage.writers import TURN, acknowledged_until_killed, updates_at_once

NOON = datetime(2024, 1, 2, 12, tzinfo=timezone.utc)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


async def test_four_processes_update_one_number_exactly_once(path: Path) -> None:
    """They also make the file at the same moment."""
    assert await updates_at_once("sqlite", str(path), processes=4, count=50) == [50] * 4
    async with StateScopes(SQLiteStorage(path)) as states, states.unit_of_work() as work:
        assert await states.shared.create_property("total").at("1").get(work) == 200


@pytest.mark.parametrize("lines", [1, 150, 400])
async def test_what_was_acknowledged_outlives_a_killed_process(path: Path, lines: int) -> None:
    acknowledged = await acknowledged_until_killed("sqlite", str(path), "put", lines)
    assert len(acknowledged) >= lines
    async with SQLiteStorage(path) as storage:
        stored = {info.key async for info in storage.list_items()}
        assert {f"item-{number}" for number in acknowledged} <= stored
        await storage.put_if("after", b"{}", etag=None)


@pytest.mark.parametrize("lines", [1, 130])
async def test_a_killed_process_leaves_whole_turns(path: Path, lines: int) -> None:
    acknowledged = await acknowledged_until_killed("sqlite", str(path), "turn", lines)
    async with SQLiteStorage(path) as storage:
        [body] = {item.data for item in (await storage.get_many(TURN)).values()}
    assert json.loads(body)["n"] >= max(acknowledged)


async def test_it_remembers_and_tells_when(path: Path) -> None:
    clock = ManualClock(NOON)
    async with SQLiteStorage(path, clock=clock) as storage:
        etag = await storage.put_if("key", b"\x00\xff", etag=None, metadata={"n": "1"})
    clock.advance(timedelta(hours=1))
    async with SQLiteStorage(str(path), clock=clock) as storage:
        item = await storage.get("key")
        assert item is not None
        assert (item.data, item.etag, item.metadata) == (b"\x00\xff", etag, {"n": "1"})
        [info] = (await storage.list_page()).items
        assert info.updated == NOON
        await storage.put_if("key", b"", etag=etag)
        [info] = (await storage.list_page()).items
        assert (info.updated, info.size) == (NOON + timedelta(hours=1), 0)


async def test_a_closed_file_is_one_file(path: Path) -> None:
    async with SQLiteStorage(path) as storage:
        await storage.put_if("key", b"{}", etag=None)
    assert files_of(path) == ["bot.db"]


async def test_closing_waits_for_what_is_under_way(path: Path) -> None:
    storage = SQLiteStorage(path)
    puts = [asyncio.ensure_future(storage.put_if(f"k{n}", b"{}", etag=None)) for n in range(50)]
    await asyncio.sleep(0)  # they have begun
    await storage.aclose()
    assert all(put.done() for put in puts)
    assert len({*await asyncio.gather(*puts)}) == 50
    assert files_of(path) == ["bot.db"]


async def test_a_cancelled_write_is_whole_or_absent_and_the_next_works(path: Path) -> None:
    async with SQLiteStorage(path) as storage:
        writes = [ItemWrite(key, b"{}", None) for key in TURN]
        writing = asyncio.ensure_future(storage.write_many(writes))
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await storage.put_if("next", b"{}", etag=None)
        assert len(await storage.get_many(TURN)) in (0, 3)


async def test_writes_that_wait_are_committed_together(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = []

    class Counting(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "COMMIT":
                commits.append(sql)
            return super().execute(sql, *values)

    connect_as(Counting, monkeypatch)
    async with SQLiteStorage(path) as storage:
        await storage.put_if("key", b"{}", etag=None)
        held = threading.Event()
        file = storage._open()
        waiting = file._writer.submit(held.wait)  # as long as a disk takes
        puts = [asyncio.ensure_future(storage.put_if(f"k{n}", b"{}", etag=None)) for n in range(30)]
        lost = asyncio.ensure_future(storage.put_if("key", b"{}", etag="stale"))
        await asyncio.sleep(0)
        before = len(commits)
        held.set()
        assert len({*await asyncio.gather(*puts)}) == 30
        with pytest.raises(StateConflictError):
            await lost
        assert waiting.result() is True
    assert len(commits) - before == 1


async def test_of_writes_together_one_that_fails_does_not_fail_the_others(path: Path) -> None:
    async with SQLiteStorage(path) as storage:
        await storage.put_if("key", b"{}", etag=None)
        file = storage._open()

        def fail(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM botstate_items")
            raise sqlite3.OperationalError("database or disk is full")

        held = threading.Event()
        waiting = file._writer.submit(held.wait)
        good = asyncio.ensure_future(storage.put_if("a", b"{}", etag=None))
        bad = asyncio.ensure_future(file.write("put", "b", fail))
        other = asyncio.ensure_future(storage.put_if("c", b"{}", etag=None))
        await asyncio.sleep(0)
        held.set()
        assert await good != await other
        with pytest.raises(StateStorageError, match="disk is full") as caught:
            await bad
        assert not caught.value.maybe_written
        assert waiting.result() is True
        assert set(await storage.get_many(["key", "a", "c"])) == {"key", "a", "c"}


async def test_a_commit_that_fails_may_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "COMMIT":
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *values)

    connect_as(Failing, monkeypatch)
    async with SQLiteStorage(path) as storage:
        with pytest.raises(StateStorageError, match="the disk failed") as caught:
            await storage.put_if("key", b"{}", etag=None)
        assert caught.value.maybe_written
        assert caught.value.key == "key"


async def test_reads_do_not_wait_for_a_process_that_writes(path: Path) -> None:
    async with SQLiteStorage(path, busy_timeout=timedelta(milliseconds=50)) as storage:
        await storage.put_if("key", b"{}", etag=None)
        with other_writer(path) as other:
            assert await storage.get("key") is not None
            with pytest.raises(StateStorageError, match="another process"):
                await storage.put_if("key", b"[]", etag=ANY)
            assert await storage.get("key") is not None
            other.rollback()
        await storage.put_if("key", b"[]", etag=ANY)


async def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Small(sqlite3.Connection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.execute("PRAGMA max_page_count = 40")

    with monkeypatch.context() as patch:
        connect_as(Small, patch)
        async with SQLiteStorage(path) as storage:
            acknowledged: list[str] = []
            with pytest.raises(StateStorageError, match="disk is full") as caught:
                await fill(storage, acknowledged)
            assert not caught.value.maybe_written
            assert len(acknowledged) > 10
            assert set(await storage.get_many(acknowledged)) == set(acknowledged)
            await storage.delete_if(acknowledged[0])
            await storage.put_if("small", b"{}", etag=None)
    async with SQLiteStorage(path) as storage:
        await storage.put_if("large", b"x" * 400_000, etag=None)


async def test_a_file_that_is_no_database(path: Path) -> None:
    text = b"s3cret " * 1000
    await asyncio.to_thread(path.write_bytes, text)
    storage = SQLiteStorage(path)
    for operation in (storage.get("key"), storage.put_if("key", b"{}", etag=None)):
        with pytest.raises(StateStorageError, match="no SQLite database") as caught:
            await operation
        assert "s3cret" not in str(caught.value)
    assert await asyncio.to_thread(path.read_bytes) == text
    await asyncio.to_thread(path.unlink)
    await storage.put_if("key", b"{}", etag=None)  # once it is put right, it works
    await storage.aclose()


async def test_a_damaged_file(path: Path) -> None:
    async with SQLiteStorage(path) as storage:
        for number in range(200):
            await storage.put_if(f"k{number}", b"x" * 500, etag=None)
    damage(path)
    async with SQLiteStorage(path) as storage:
        with pytest.raises(StateStorageError, match="damaged"):
            await storage.get("k1")


@pytest.fixture
def other_users_folder() -> Iterator[Path]:
    """A folder that every user may read, but only its owner may write, as seen by another user."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        sqlite3.connect(folder / "read-only.db").close()
        (folder / "read-only.db").chmod(0o444)
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
        else:
            folder.chmod(0o555)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
async def test_a_file_that_may_not_be_written(other_users_folder: Path) -> None:
    for name, advice in {
        "read-only.db": "read-only|must be able to write",
        "absent.db": "must be able to write",
        "folder/absent.db": "directory cannot be made",
    }.items():
        async with SQLiteStorage(other_users_folder / name) as storage:
            with pytest.raises(StateStorageError, match=advice):
                await storage.put_if("key", b"{}", etag=None)


async def test_what_is_not_in_wal_is_refused_with_advice() -> None:
    """A network share answers as memory does: with another mode than it was asked for."""
    async with SQLiteStorage(":memory:") as storage:
        with pytest.raises(StateStorageError, match="local disk"):
            await storage.get("key")


async def test_commits_wait_for_the_disk(path: Path) -> None:
    async with SQLiteStorage(path) as storage:
        mode = "SELECT (SELECT journal_mode FROM pragma_journal_mode)"
        [[wal]] = await storage._read_rows(mode, ())
        [full] = await storage._open().write(
            "read", None, lambda db: db.execute("PRAGMA synchronous").fetchone()
        )
    assert (wal, full) == ("wal", 2)


async def test_what_is_due_is_found_by_an_index(path: Path) -> None:
    async with SQLiteStorage(path) as storage:
        plan = f"EXPLAIN QUERY PLAN {sqlite_module()._DUE}"
        told = str(await storage._read_rows(plan, ("2030", "", "", 10)))
    assert "USING INDEX botstate_items_due" in told
    assert "SCAN" not in told


async def test_more_due_items_than_a_page(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "DUE_PAGE", 4)
    async with SQLiteStorage(path) as storage:
        for number in range(10):
            due = {metadata.NEXT_EXPIRY: str(2030 + number % 2)}
            await storage.put_if(f"k{number}", b"{}", etag=None, metadata=due)
        pages = [page async for page in storage.list_due(metadata.NEXT_EXPIRY, "2030")]
    assert [info.key for page in pages for info in page.items] == ["k0", "k2", "k4", "k6", "k8"]


def test_the_index_is_of_the_entry_that_sweeps_ask_for() -> None:
    assert due_index.NEXT_EXPIRY == metadata.NEXT_EXPIRY


async def test_many_keys_are_read_at_one_moment(path: Path) -> None:
    async with SQLiteStorage(path) as storage:
        keys = [f"k{number}" for number in range(1200)]
        await storage.write_many([ItemWrite(key, b"{}", None) for key in keys])
        assert len(await storage.get_many(keys)) == 1200


async def test_nothing_shows_what_is_stored(path: Path) -> None:
    async with SQLiteStorage(path) as storage:
        await storage.put_if("key", b"s3cret", etag=None, metadata={"of": "s3cret"})
        shown = f"{storage!r} {await storage.get('key')!r} {await storage.list_page()!r}"
        shown += repr(ItemWrite("key", b"s3cret", None, {"of": "s3cret"}))
    assert "s3cret" not in shown


def test_busy_timeout_is_longer_than_zero(path: Path) -> None:
    with pytest.raises(ValueError, match="busy_timeout"):
        SQLiteStorage(path, busy_timeout=timedelta(0))


# Helpers


def files_of(path: Path) -> list[str]:
    return [each.name for each in path.parent.iterdir()]


def damage(path: Path) -> None:
    """Leave the first page, which says that it is a database, and no other."""
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


async def fill(storage: SQLiteStorage, acknowledged: list[str]) -> None:
    for number in range(100):
        await storage.put_if(f"k{number}", b"x" * 4000, etag=None)
        acknowledged.append(f"k{number}")


def sqlite_module() -> Any:
    from botstate_ext.storage import sqlite

    return sqlite


def connect_as(kind: type[sqlite3.Connection], patch: pytest.MonkeyPatch) -> None:
    def connect(self: sqlite_file.SQLiteFile) -> sqlite3.Connection:
        return sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, factory=kind
        )

    patch.setattr(sqlite_file.SQLiteFile, "_connect", connect)


class other_writer:  # noqa: N801 - used as a function
    """Another process's transaction that writes, as SQLite sees it."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()
