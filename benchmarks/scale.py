"""Many conversations on each storage: `python -m benchmarks scale`, for docs/scaling.md.

Fills a storage with conversations, each a document of its own, and measures what they take, turns
in random ones among them, and a sweep that finds 1,000 due. SCALE_CONVERSATIONS=1000000 takes half
an hour, and some GB of memory.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median
from typing import Any, Final

from botbuilder.core import TurnContext

from botstate_ext import StateScopes
from botstate_ext.storage import (
    ANY,
    ItemWrite,
    MemoryStorage,
    PostgresStorage,
    RedisStorage,
    SQLiteStorage,
    StateStorage,
)
from botstate_ext.testing import ManualClock
from tests.servers import running_postgres, running_redis

from . import report, turns
from .soak import resident

CONVERSATIONS: Final = int(os.environ.get("SCALE_CONVERSATIONS", "100000"))
DUE: Final = 1_000
TURNS: Final = 2_000
AT_ONCE: Final = 16
BATCH: Final = 500
CART: Final = {"items": [{"name": f"pizza {n}", "price": 7.5, "note": "x" * 60} for n in range(15)]}

SizeOf = Callable[[], Awaitable[int]]


async def template(expires_after: timedelta | None) -> ItemWrite:
    """Return a conversation of 1.6 KB as a turn writes it."""
    storage = MemoryStorage()
    states = StateScopes(storage)
    cart = states.conversation.create_property("cart", expires_after=expires_after)
    async with states.unit_of_work(channel_id="test", conversation_id="c") as work:
        await cart.set(work, CART)
    item = await storage.get("test/conversations/c")
    assert item is not None
    return ItemWrite("", item.data, ANY, item.metadata)


async def fill(storage: StateStorage) -> None:
    """Write the conversations, of which so many are due within the hour."""
    later, due = await template(None), await template(timedelta(hours=1))
    for start in range(0, CONVERSATIONS, BATCH):
        batch = []
        for number in range(start, min(start + BATCH, CONVERSATIONS)):
            like = due if number < DUE else later
            key = f"test/conversations/{number:07}"
            batch.append(ItemWrite(key, like.data, ANY, like.metadata))
        await storage.write_many(batch)


async def measure(name: str, storage: StateStorage, size: SizeOf) -> list[str]:
    begun = time.perf_counter()
    before = await size()
    await fill(storage)
    filled, bytes_ = time.perf_counter() - begun, await size() - before
    bot = turns.ours(storage)
    cart = bot.conversation.create_property("cart")
    draws = random.Random(1)

    async def logic(turn: TurnContext) -> None:
        value = await cart.get(turn)
        value["turns"] = value.get("turns", 0) + 1

    left = iter(range(TURNS))
    seconds: list[float] = []

    async def work() -> None:
        for _ in left:
            started = time.perf_counter()
            await bot.turn(logic, f"{draws.randrange(DUE, CONVERSATIONS):07}")
            seconds.append(time.perf_counter() - started)

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    pace = TURNS / (time.perf_counter() - begun)
    clock = ManualClock(datetime.now(timezone.utc) + timedelta(hours=2))
    swept = await StateScopes(storage, clock=clock).sweep(per_second=1_000_000)
    assert swept.removed == DUE, swept
    row = [
        name,
        f"{CONVERSATIONS:,}",
        f"{filled:.0f} s",
        f"{bytes_ / CONVERSATIONS:,.0f} B",
        f"{pace:.0f}",
        f"{1000 * median(seconds):.0f} ms",
        f"{swept.seconds:.1f} s",
    ]
    print("scale:", *row, file=sys.stderr, flush=True)
    return row


async def compare() -> list[list[str]]:
    rows = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        async def file_size() -> int:
            return sum(entry.stat().st_size for entry in os.scandir(folder))

        async with SQLiteStorage(folder / "scale.db") as sqlite:
            rows.append(await measure("SQLite", sqlite, file_size))
    with running_redis("--save", "") as server:
        async with RedisStorage(server.url) as storage:
            rows.append(await measure("Redis", storage, lambda: _redis_size(server.url)))
    with running_postgres() as postgres:
        async with PostgresStorage(postgres.url) as database:
            rows.append(await measure("PostgreSQL", database, lambda: _postgres_size(postgres.url)))

    async def own() -> int:
        return resident()

    rows.append(await measure("memory", MemoryStorage(), own))
    return rows


async def _redis_size(url: str) -> int:
    import redis.asyncio

    async with redis.asyncio.Redis.from_url(url) as client:
        told: dict[str, Any] = await client.info("memory")
        return int(told["used_memory"])


async def _postgres_size(url: str) -> int:
    import psycopg

    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(
            "SELECT coalesce(pg_total_relation_size(to_regclass('botstate_items')), 0)"
        )
        found = await cursor.fetchone()
        assert found is not None
        return int(found[0])


def main() -> None:
    heads = (
        "storage", "conversations", "filled in", "bytes each", "turns/s", "a turn, median",
        f"sweep of {DUE:,} due",
    )  # fmt: skip
    print(
        report.table(
            f"Turns among many conversations, {AT_ONCE} at once", heads, asyncio.run(compare())
        )
    )


if __name__ == "__main__":
    main()
