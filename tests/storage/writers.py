"""A process that writes to a storage: ``python -m tests.storage.writers KIND LOCATION JOB COUNT``.

It prints a line for each write that was acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from botstate_ext import StateScopes
from botstate_ext import storage as storages
from botstate_ext.storage import ANY, SQLiteStorage, StateStorage
from botstate_ext.storage.base import ItemWrite
from tests.patience import extend_default_deadlines

ROOT = Path(__file__).parents[2]


def open_postgres(location: str) -> StateStorage:
    url, _, table = location.partition(" ")
    return storages.PostgresStorage(url, table=table, deadline=timedelta(minutes=2))


def open_redis(location: str) -> StateStorage:
    url, _, prefix = location.partition(" ")
    return storages.RedisStorage(url, prefix=prefix, deadline=timedelta(minutes=2))


KINDS: dict[str, Callable[[str], StateStorage]] = {
    "sqlite": SQLiteStorage,
    "postgres": open_postgres,
    "redis": open_redis,
}
TURN = ("one", "two", "three")


def say(number: int) -> None:
    print(number, flush=True)  # noqa: T201 - the test reads it


async def update(storage: StateStorage, count: int) -> None:
    """Add to one number, in a unit of work for each."""
    states = StateScopes(storage)
    total = states.shared.create_property("total").at("1")
    for number in range(count):
        async with states.unit_of_work() as work:
            await total.update(work, lambda value: value + 1, default=int)
        say(number)


async def put(storage: StateStorage, count: int) -> None:
    """Create items, several at once."""

    async def create(number: int) -> None:
        await storage.put_if(f"item-{number}", b'{"n":%d}' % number, etag=None)
        say(number)

    for start in range(0, count, 8):
        await asyncio.gather(*(create(number) for number in range(start, start + 8)))


async def turn(storage: StateStorage, count: int) -> None:
    """Write three items in one step, again and again."""
    for number in range(count):
        body = b'{"n":%d}' % number
        await storage.write_many([ItemWrite(key, body, ANY) for key in TURN])
        say(number)


JOBS = {"update": update, "put": put, "turn": turn}


async def main(kind: str, location: str, job: str, count: str) -> None:
    if kind == "sqlite":
        extend_default_deadlines("SQLiteStorage")
    async with KINDS[kind](location) as storage:
        await JOBS[job](storage, int(count))


@asynccontextmanager
async def writer(
    kind: str, location: str, job: str, count: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Such a process. It is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.storage.writers", kind, location, job, str(count)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def updates_at_once(kind: str, location: str, *, processes: int, count: int) -> list[int]:
    """Let processes update one number. Return how many updates each had acknowledged."""

    async def run() -> int:
        async with writer(kind, location, "update", count) as process:
            told, _ = await process.communicate()
            assert process.returncode == 0
            return len(told.splitlines())

    return await asyncio.gather(*(run() for _ in range(processes)))


async def acknowledged_until_killed(kind: str, location: str, job: str, lines: int) -> set[int]:
    """Kill a process after so many acknowledged writes. Return all that it acknowledged."""
    async with writer(kind, location, job, 1_000_000) as process:
        assert process.stdout is not None
        told = [await process.stdout.readline() for _ in range(lines)]
        process.kill()
        rest = await process.stdout.read()
        *complete, _ = (b"".join(told) + rest).split(b"\n")
        return {int(line) for line in complete}


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
