"""Four processes append to one order on each storage, each way of doing so: `python -m benchmarks
concurrency`. What was acknowledged must be there, once; upstream's is counted."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections import Counter

from tests import azurite

from . import engines, jobs_under_fire, report, under_fire
from .appending import WAYS, Outcome, Place, workers
from .engines import LOCKS

PROCESSES = 4
TURNS = 50
MANY_TURNS = 10  # of each of 20 writers
COLUMNS = ("storage", "", "turns", "acknowledged", "raised", "lost", "a second", "writes for one")
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


def _rows(kind: str) -> list[list[str]]:
    with engines.STARTS[kind]() as address:
        return [asyncio.run(measure(way, address, kind)) for way in ways_of(kind)]


def main() -> None:
    program = azurite.find_azurite()
    if program is None:
        sys.exit("No Azurite: `make azurite` installs it, or name its azurite-blob in AZURITE.")
    rows = [row for kind in engines.STARTS for row in _rows(kind)]
    with azurite.running_azurite(program) as endpoint:
        fire = [asyncio.run(under_fire.row(way, endpoint, TURNS)) for way in under_fire.WAYS]
        many = [
            asyncio.run(
                under_fire.row(way, endpoint, MANY_TURNS, under_fire.MANY, processes=2, writers=10)
            )
            for way in ("update", "merge", "replay")
        ]
        jobs = [asyncio.run(jobs_under_fire.row(name, endpoint)) for name in jobs_under_fire.JOBS]
    print(
        report.table(
            "Processes that append to one order",
            COLUMNS,
            rows,
        )
    )
    print(
        report.table(
            "The same while answers are lost, late or never come", under_fire.COLUMNS, fire
        )
    )
    print(report.table("20 writers in 2 processes, 3% lost and 2% late", under_fire.COLUMNS, many))
    print(
        report.table(
            "Other work while answers are lost, forged, ...", jobs_under_fire.COLUMNS, jobs
        )
    )


if __name__ == "__main__":
    main()
