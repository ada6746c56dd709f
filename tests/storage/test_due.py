"""Finding what is due costs what is due, however much is not: counted in steps of the engines,
which no busy machine changes."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from botstate_ext import storage as storages
from botstate_ext.storage import ItemWrite, SQLiteStorage, StateStorage, sqlite
from botstate_ext.storage.due_index import NEXT_EXPIRY

UNTIL = "2030-01-01T00:00:00"
LATER = "2031-01-01T00:00:00"
DUE, FEW, MANY = 20, 500, 5_000


async def put(storage: StateStorage, name: str, numbers: range, due: str) -> None:
    keys = [f"{name}/{number}" for number in numbers]
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        await storage.write_many([ItemWrite(key, b"{}", None, {NEXT_EXPIRY: due}) for key in some])


async def found(storage: StateStorage) -> tuple[int, int]:
    """How many are found, and looked at."""
    pages = [page async for page in storage.list_due(NEXT_EXPIRY, UNTIL)]
    return sum(len(page.items) for page in pages), sum(page.seen for page in pages)


async def test_sqlite_takes_as_many_steps_among_ten_times_as_many(tmp_path: Path) -> None:
    async with SQLiteStorage(tmp_path / "bot.db") as storage:

        async def steps() -> int:
            count = 0

            def step() -> None:
                nonlocal count
                count += 1

            def run(db: sqlite3.Connection) -> int:
                db.set_progress_handler(step, 1)
                rows = db.execute(sqlite._DUE, (UNTIL, "", "", 1000)).fetchall()
                db.set_progress_handler(None, 1)
                assert len(rows) == DUE
                return count

            return await storage._open().read("list", None, run)

        await put(storage, "due", range(DUE), UNTIL)
        await put(storage, "later", range(FEW), LATER)
        among_few = await steps()
        await put(storage, "later", range(FEW, MANY), LATER)
        assert await steps() <= among_few
        assert await found(storage) == (DUE, DUE)


async def test_postgres_reads_as_many_blocks_among_ten_times_as_many(
    postgres_url: str, table_name: str
) -> None:
    psycopg = pytest.importorskip("psycopg")
    async with storages.PostgresStorage(postgres_url, table=table_name) as storage:
        statement = storage._sql.due

        async def blocks() -> int:
            """Of the table and of the index."""
            async with await psycopg.AsyncConnection.connect(
                postgres_url, autocommit=True
            ) as connection:
                await connection.execute(f"VACUUM ANALYZE {table_name}")
                cursor = await connection.execute(
                    f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", (UNTIL, "", b"", 1000)
                )
                [[told]] = await cursor.fetchall()
            plan: Any = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
            assert plan["Actual Rows"] == DUE
            return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])

        await put(storage, "due", range(DUE), UNTIL)
        await put(storage, "later", range(FEW), LATER)
        among_few = await blocks()
        await put(storage, "later", range(FEW, MANY), LATER)
        # The index may be one level higher.
        assert await blocks() <= among_few + 2
        assert await found(storage) == (DUE, DUE)


async def test_redis_looks_at_what_is_due(redis_url: str, table_name: str) -> None:
    async with storages.RedisStorage(redis_url, prefix=table_name) as storage:
        await put(storage, "due", range(DUE), UNTIL)
        await put(storage, "later", range(FEW), LATER)
        assert await found(storage) == (DUE, DUE)
