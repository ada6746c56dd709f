"""Four processes append to one order on each storage, in each way: all there exactly once, and none
raised. `make concurrency` does it 50 times in each process."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.appending import Place, workers
from benchmarks.concurrency import ways_of

pytestmark = pytest.mark.slow

KINDS = ("sqlite", "postgres", "redis", "blob", "cosmos")
PROCESSES, TURNS = 4, 10


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, container_name: str) -> Place:
    kind = request.param
    fixtures = {"blob": "azurite", "cosmos": "cosmos_endpoint"}
    if kind == "sqlite":
        return Place(str(tmp_path), container_name, kind=kind)
    address = request.getfixturevalue(fixtures.get(kind, f"{kind}_url"))
    return Place(address, container_name, kind=kind)


@pytest.mark.parametrize(
    ("place", "way"),
    [(kind, way) for kind in KINDS for way in ways_of(kind) if way != "upstream"],
    indirect=["place"],
)
async def test_exactly_once_and_none_raised(place: Place, way: str) -> None:
    names = [f"p{number}" for number in range(PROCESSES)]
    with workers(way, place, names, TURNS) as started:
        for worker in started:
            await worker.ready()
        for worker in started:
            worker.go()
        outcomes = await asyncio.gather(*(worker.outcome() for worker in started))
    assert [outcome.failed for outcome in outcomes] == [{}] * PROCESSES
    expected = [f"{name}-{number}" for name in names for number in range(TURNS)]
    assert sorted(item for outcome in outcomes for item in outcome.acknowledged) == sorted(expected)
    assert Counter(await place.items()) == Counter(expected)
