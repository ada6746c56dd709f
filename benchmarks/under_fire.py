"""Processes append to one order through a front that loses, delays, cuts and forges answers.

`make concurrency` prints the figures of long runs; the tests run short ones.
"""

from __future__ import annotations

import sys
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tests.azurite import connection_string
from tests.storage.front import Chances, front_of

from .appending import MAYBE, Place, workers

PROCESSES = 4
WAYS: Final = ("update", "merge", "replay", "lease")
COLUMNS: Final = (
    "",
    "turns",
    "requests",
    "faults",
    "acknowledged",
    "stored once",
    "raised",
    "of these stored",
)
CHANCES: Final = Chances(lost=0.01, late=0.01, delayed=0.005, reset=0.01, half_closed=0.01, seed=1)

MANY: Final = Chances(lost=0.03, late=0.02, seed=3)
"""Faults of the runs with more writers than a document names."""


@dataclass
class Result:
    """What became of the items of all processes."""

    requests: int
    injected: Counter[str]
    tried: set[str]
    acknowledged: list[str]
    stored: list[str]
    failures: Counter[str]
    failed: dict[str, str]

    @property
    def faults(self) -> int:
        """How many requests met a fault."""
        return self.injected.total()

    @property
    def lost(self) -> set[str]:
        """Items that were acknowledged and are not stored."""
        return set(self.acknowledged) - set(self.stored)

    @property
    def twice(self) -> set[str]:
        """Items that are stored more than once."""
        return {item for item, count in Counter(self.stored).items() if count > 1}

    @property
    def denied(self) -> set[str]:
        """Items that are stored although their error says that they were not written."""
        unwritten = {item for item, failure in self.failed.items() if not failure.endswith(MAYBE)}
        return unwritten & set(self.stored)

    @property
    def not_asked_for(self) -> set[str]:
        """Stored items that no process appended."""
        return set(self.stored) - self.tried


async def append_under_fire(
    way: str, endpoint: str, chances: Chances, *, processes: int, turns: int, writers: int = 1
) -> Result:
    """Let so many writers in each of so many processes append ``turns`` items each, one by one,
    and read what is stored."""
    container = f"fire-{uuid.uuid4().hex}"
    names = [f"p{number}" for number in range(processes)]
    async with front_of(endpoint) as front:
        # An attempt may take a third of this, and a late answer takes longer than that.
        place = Place(front.connection_string, container, deadline=timedelta(seconds=5))
        with workers(way, place, names, turns, writers) as started:
            for worker in started:
                await worker.ready()
            front.inject(chances)
            for worker in started:
                worker.go()
            outcomes = [await worker.outcome() for worker in started]
        requests, injected = len(front.requests), front.faults
    # Requests that were delayed have arrived when the front has closed.
    stored = await Place(connection_string(endpoint), container).items()
    return Result(
        requests,
        injected,
        {item for outcome in outcomes for item in (*outcome.acknowledged, *outcome.failed)},
        [item for outcome in outcomes for item in outcome.acknowledged],
        stored,
        sum((outcome.failures for outcome in outcomes), Counter()),
        {item: failure for outcome in outcomes for item, failure in outcome.failed.items()},
    )


async def row(
    way: str,
    endpoint: str,
    turns: int,
    chances: Chances = CHANCES,
    *,
    processes: int = PROCESSES,
    writers: int = 1,
) -> list[str]:
    """Run one way and return its figures. A lost or a doubled item ends the program."""
    result = await append_under_fire(
        way, endpoint, chances, processes=processes, turns=turns, writers=writers
    )
    if result.lost or result.twice or result.denied:
        sys.exit(
            f"{way}: {len(result.lost)} lost, {len(result.twice)} there twice, "
            f"{len(result.denied)} said not to be written"
        )
    return [
        way,
        f"{processes * writers} x {turns}",
        f"{result.requests}",
        f"{result.faults}",
        f"{len(result.acknowledged)}",
        f"{len(set(result.acknowledged) & set(result.stored))}",
        f"{result.failures.total()}",
        f"{len(result.failed.keys() & set(result.stored))}",
    ]
