"""Turns on SQLite, PostgreSQL and Redis beside their drivers: `python -m benchmarks drivers`.

A turn reads two properties, one of the user and one of the conversation, and changes the second.
The driver alone runs the same statements with the same bytes, and decodes nothing. Beside them: a
turn on memory, which is this package's work without a driver, and an empty turn of the SDK.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple
from uuid import uuid4

import psycopg_pool
import redis.asyncio
from botbuilder.core import TurnContext

from botstate_ext.storage import (
    MemoryStorage,
    PostgresStorage,
    RedisStorage,
    SQLiteStorage,
    StateStorage,
)
from botstate_ext.storage import redis as redis_storage
from botstate_ext.storage import sqlite as sqlite_storage
from botstate_ext.storage.postgres import _id
from botstate_ext.storage.postgres_sql import Statements
from botstate_ext.storage.rows import metadata_text
from tests.servers import running_postgres, running_redis

from . import report, turns

ROUNDS: Final = 7
CONVERSATIONS: Final = 64
TURNS: Final = 512
CONNECTIONS: Final = 16
LIMIT: Final = 1.5

Turn = Callable[[str], Awaitable[None]]
PROFILE: Final = {"name": "Ann", "address": {"street": "Long Street 1", "city": "Kyiv"}, "age": 30}
CART: Final = {"items": [{"name": f"pizza {number}", "price": 7.5} for number in range(8)]}


class Item(NamedTuple):
    """What the bot stores for a conversation."""

    data: bytes
    metadata: str


class Pace(NamedTuple):
    """The cost of turns."""

    per_second: float
    cpu: float
    """Seconds of processor time of a turn, in this process with its threads."""


async def pace(turn: Turn, conversations: int, count: int) -> Pace:
    """Run so many turns, those of different conversations at once."""

    async def one_by_one(conversation: str) -> None:
        for _ in range(count // conversations):
            await turn(conversation)

    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one_by_one(f"c{number}") for number in range(conversations)))
    return Pace(count / (time.perf_counter() - begun), (time.process_time() - cpu) / count)


def turn_on(storage: StateStorage) -> Turn:
    """Return a turn of a bot on this storage."""
    bot = turns.ours(storage)
    profile = bot.user.create_property("profile")
    cart = bot.conversation.create_property("cart")

    async def logic(turn: TurnContext) -> None:
        await profile.get(turn, lambda: dict(PROFILE))
        value = await cart.get(turn, lambda: dict(CART))
        value["turns"] = value.get("turns", 0) + 1

    async def turn(conversation: str) -> None:
        await bot.turn(logic, conversation)

    return turn


async def stored_item() -> Item:
    """Return the item of a conversation after a few turns."""
    storage = MemoryStorage()
    turn = turn_on(storage)
    for _ in range(20):
        await turn("conversation")
    (key,) = [info.key async for info in storage.list_items() if "conversations" in info.key]
    item = (await storage.get_many([key]))[key]
    return Item(item.data, metadata_text(item.metadata))


# The drivers alone. Each keeps the ETag that it wrote last, as the storage reads it.


@asynccontextmanager
async def bare_sqlite(path: str, item: Item) -> AsyncIterator[Turn]:
    """Two connections, each in a thread of its own: reads do not wait for writes."""
    writes, reads = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
    db, reading = (
        sqlite3.connect(path, isolation_level=None, check_same_thread=False) for _ in range(2)
    )
    db.execute("PRAGMA synchronous = FULL")
    loop = asyncio.get_running_loop()
    select = sqlite_storage._SELECT.format("?, ?")
    etags = sqlite_storage._SELECT_ETAGS.format("?")

    def read(conversation: str) -> Any:
        return reading.execute(select, ("user", conversation)).fetchall()

    def write(conversation: str) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute(etags, (conversation,)).fetchall()
        row = (conversation, uuid4().hex, *item, 0, "")
        db.execute(sqlite_storage._UPSERT, row)
        db.execute("COMMIT")

    async def turn(conversation: str) -> None:
        await loop.run_in_executor(reads, read, conversation)
        await loop.run_in_executor(writes, write, conversation)

    yield turn
    writes.shutdown()
    reads.shutdown()
    db.close()
    reading.close()


@asynccontextmanager
async def bare_postgres(url: str, item: Item) -> AsyncIterator[Turn]:
    statements = Statements("botstate_items")
    pool: Any = psycopg_pool.AsyncConnectionPool(
        url, kwargs={"autocommit": True}, min_size=1, max_size=CONNECTIONS, open=False
    )
    etags: dict[str, str] = {}

    async def turn(conversation: str) -> None:
        ids = [_id("user"), _id(conversation)]
        async with pool.connection() as connection:
            cursor = connection.cursor(binary=True)
            await (await cursor.execute(statements.select, (ids,))).fetchall()
        etag = uuid4().hex
        async with pool.connection() as connection:
            if conversation in etags:
                values = (etag, *item, "", ids[1], etags[conversation], etag)
                await connection.execute(statements.update, values)
            else:
                row = (ids[1], conversation, etag, *item, "")
                await connection.execute(statements.overwrite, row)
        etags[conversation] = etag

    async with pool:
        yield turn


@asynccontextmanager
async def bare_redis(url: str, item: Item) -> AsyncIterator[Turn]:
    pool = redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS)
    client = redis.asyncio.Redis.from_pool(pool)
    read, write = map(client.register_script, (redis_storage._READ, redis_storage._WRITE))

    async def turn(conversation: str) -> None:
        await read(["{bare}:item:user", "{bare}:item:" + conversation])
        values = (conversation, "put", "*", uuid4().hex, *item, "")
        await write(["{bare}:keys", "{bare}:due", "{bare}:item:" + conversation], values)

    yield turn
    await client.aclose()


async def measure(
    name: str, storage: StateStorage, bare: AbstractAsyncContextManager[Turn]
) -> list[list[str]]:
    """Return the rows of a storage. Both sides take turns, so that the load hits both."""
    async with storage:
        ours = turn_on(storage)
        await ours("c0")  # makes the table
        async with bare as alone:
            await alone("user")
            for turn in (alone, ours):
                await pace(turn, CONVERSATIONS, TURNS)
            rounds = [
                [await pace(turn, CONVERSATIONS, TURNS) for turn in (alone, ours)]
                for _ in range(ROUNDS)
            ]
    return [row(name, rounds)]


def row(name: str, rounds: list[list[Pace]]) -> list[str]:
    def spread(ratios: list[float]) -> str:
        return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

    return [
        name,
        f"{median(bare.per_second for bare, _ in rounds):.0f}",
        f"{median(ours.per_second for _, ours in rounds):.0f}",
        spread([bare.per_second / ours.per_second for bare, ours in rounds]),
        f"{1000 * median(bare.cpu for bare, _ in rounds):.2f} ms",
        f"{1000 * median(ours.cpu for _, ours in rounds):.2f} ms",
        spread([ours.cpu / bare.cpu for bare, ours in rounds]),
        f"{LIMIT}",
    ]


async def compare() -> list[list[str]]:
    rows, item = [], await stored_item()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "bot.db"))
        rows += await measure("SQLite", SQLiteStorage(path), bare_sqlite(path, item))
    with running_postgres() as postgres:
        url = postgres.url
        rows += await measure("PostgreSQL", PostgresStorage(url), bare_postgres(url, item))
    with running_redis() as server:
        rows += await measure("Redis", RedisStorage(server.url), bare_redis(server.url, item))
    return rows


async def cpu_without_driver() -> list[float]:
    """Return the milliseconds of a turn on memory, and of an empty turn of the SDK."""
    each = (turn_on(MemoryStorage()), turns.empty_turn)
    rounds = [
        [(await pace(turn, CONVERSATIONS, TURNS)).cpu for turn in each] for _ in range(ROUNDS)
    ]
    return [1000 * median(column) for column in zip(*rounds, strict=True)]


HEADS: Final = (
    "", "driver, turns/s", "botstate_ext, turns/s", "times slower (spread)",
    "driver, CPU a turn", "botstate_ext, CPU a turn", "times more (spread)", "limit",
)  # fmt: skip


def main() -> None:
    rows = asyncio.run(compare())
    title = f"{CONVERSATIONS} conversations beside the bare driver, medians of {ROUNDS} rounds"
    print(report.table(f"{title}, {report.load()}", HEADS, rows))
    memory, empty = asyncio.run(cpu_without_driver())
    print(
        f"The same turn on memory: {memory:.2f} ms of CPU. The SDK's empty turn: {empty:.3f} ms.\n"
    )
