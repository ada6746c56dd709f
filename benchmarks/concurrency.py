"""Four processes append to one order on each storage, each way of doing so: `python -m benchmarks
concurrency`. What was acknowledged must be there, once; upstream's is counted."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from tests import azurite

from . import engines, jobs_under_fire, report, under_fire
from .appending import WAYS, Outcome, Place, workers
from .engines import LOCKS

PROCESSES = 4
TURNS = 50
MANY_TURNS = 10  # of each of 20 writers
COLUMNS = ("storage", "", "turns", "acknowledged", "raised", "lost", "a second", "writes for one")
ROW_SECONDS = 1200  # far more than any row takes; without, a server that hangs holds up the rest
UPSTREAM_TURNS = 25  # as the defect was first measured


async def measure(way: str, address: str, kind: str = "blob") -> list[str]:
    place = Place(address, f"bench-{uuid.uuid4().hex}", kind=kind)
    count = UPSTREAM_TURNS if way == "upstream" else TURNS
    names = [f"p{number}" for number in range(PROCESSES)]
    with workers(way, place, names, count) as started:
        for worker in started:
            await worker.ready()
        begun = time.perf_counter()
        for worker in started:
            worker.go()
        outcomes = [await worker.outcome() for worker in started]
        seconds = time.perf_counter() - begun
    return [kind, *_row(way, count, outcomes, await place.items(), seconds)]


def _row(
    way: str, count: int, outcomes: list[Outcome], stored: list[str], seconds: float
) -> list[str]:
    acknowledged = Counter(item for outcome in outcomes for item in outcome.acknowledged)
    lost = acknowledged - Counter(stored)
    twice = Counter(stored) - Counter(set(stored))
    failed = sum(outcome.failures.total() for outcome in outcomes)
    writes = sum(outcome.writes for outcome in outcomes)
    if way != "upstream" and (lost or twice or failed):
        sys.exit(f"{way}: {lost.total()} lost, {twice.total()} there twice, {failed} failed")
    done = acknowledged.total()
    return [
        way,
        f"{PROCESSES} x {count}",
        f"{done}",
        f"{failed}",
        f"{lost.total()}",
        f"{done / seconds:.0f}",
        f"{writes / done:.2f}",
    ]


def ways_of(kind: str) -> tuple[str, ...]:
    """Return the ways that there are on a kind of storage."""
    is_there = {"upstream": kind == "blob", "lease": kind in LOCKS}
    return tuple(way for way in WAYS if is_there.get(way, True))


@contextmanager
def _blob() -> Iterator[str]:
    program = azurite.find_azurite()
    assert program is not None, "looked for before"
    with azurite.running_azurite(program) as endpoint:
        yield endpoint


Row: TypeAlias = Callable[[], Coroutine[Any, Any, list[str]]]


def _append(way: str, kind: str) -> Row:
    async def row() -> list[str]:
        with engines.STARTS[kind]() as address:
            return await measure(way, address, kind)

    return row


def _burn(way: str) -> Row:
    async def row() -> list[str]:
        with _blob() as endpoint:
            return await under_fire.row(way, endpoint, TURNS)

    return row


def _burn_many(way: str) -> Row:
    async def row() -> list[str]:
        with _blob() as endpoint:
            return await under_fire.row(
                way, endpoint, MANY_TURNS, under_fire.MANY, processes=2, writers=10
            )

    return row


def _burn_job(name: str) -> Row:
    async def row() -> list[str]:
        with _blob() as endpoint:
            return await jobs_under_fire.row(name, endpoint)

    return row


def _print(title: str, heads: Sequence[str], rows: Iterable[Row]) -> list[str]:
    """Print a table row by row, and return what went wrong.

    Each row has a server of its own: Azurite, ten minutes after its start, collects garbage and
    takes with it what is being written.
    """
    print(report.table(title, heads, []), end="", flush=True)
    wrong = []
    for row in rows:
        cells = _run(row)
        if isinstance(cells, str):
            wrong.append(f"{title}: {cells}")
        else:
            print("| " + " | ".join(cells) + " |", flush=True)
    print()
    return wrong


def _run(row: Row) -> list[str] | str:
    """Return the cells of a row, or what went wrong."""
    try:
        return asyncio.run(asyncio.wait_for(row(), ROW_SECONDS))
    except asyncio.TimeoutError:
        return f"a row was not done within {ROW_SECONDS} s"
    except SystemExit as error:
        return str(error.code)


def main() -> None:
    if azurite.find_azurite() is None:
        sys.exit("No Azurite: `make azurite` installs it, or name its azurite-blob in AZURITE.")
    logging.disable(logging.ERROR)  # work under fire logs each document that it reports
    appending = [_append(way, kind) for kind in engines.STARTS for way in ways_of(kind)]
    wrong = _print("Processes that append to one order", COLUMNS, appending)
    wrong += _print(
        "The same while answers are lost, late or never come",
        under_fire.COLUMNS,
        map(_burn, under_fire.WAYS),
    )
    wrong += _print(
        "20 writers in 2 processes, 3% lost and 2% late",
        under_fire.COLUMNS,
        map(_burn_many, ("update", "merge", "replay")),
    )
    wrong += _print(
        "Other work while answers are lost, forged, ...",
        jobs_under_fire.COLUMNS,
        map(_burn_job, jobs_under_fire.JOBS),
    )
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
