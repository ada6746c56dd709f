"""Four processes append to one order on Azurite, each way of doing so: `python -m benchmarks
concurrency`. What was acknowledged must be there, once; upstream's is counted."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections import Counter

from tests import azurite

from . import jobs_under_fire, report, under_fire
from .appending import WAYS, Outcome, Place, workers

PROCESSES = 4
TURNS = 50
MANY_TURNS = 10  # of each of 20 writers
UPSTREAM_TURNS = 25  # as the defect was first measured


async def measure(way: str, connection_string: str) -> list[str]:
    place = Place(connection_string, f"bench-{uuid.uuid4().hex}")
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
    return _row(way, count, outcomes, await place.items(), seconds)


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


def main() -> None:
    program = azurite.find_azurite()
    if program is None:
        sys.exit("No Azurite: `make azurite` installs it, or name its azurite-blob in AZURITE.")
    with azurite.running_azurite(program) as endpoint:
        connection_string = azurite.connection_string(endpoint)
        rows = [asyncio.run(measure(way, connection_string)) for way in WAYS]
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
            "Processes that append to one order on Azurite",
            ("", "turns", "acknowledged", "raised", "lost", "a second", "writes for one"),
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
