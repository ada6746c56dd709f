"""Processes that append to one order at once: each acknowledged item is there once, none raises."""

from __future__ import annotations

import asyncio
import random
import uuid

import pytest

from benchmarks.appending import Place, Worker, workers
from botstate_ext.documents.metadata import parse_document

PROCESSES, TURNS = 4, 15


@pytest.mark.blob
@pytest.mark.parametrize("way", ["update", "merge", "lease"])
async def test_processes_on_blob(azurite: str, container_name: str, way: str) -> None:
    place = Place(azurite, container_name)
    names = [f"p{number}" for number in range(PROCESSES)]
    with workers(way, place, names, TURNS) as started:
        for worker in started:
            await worker.ready()
        for worker in started:
            worker.go()
        outcomes = [await worker.outcome() for worker in started]
    assert [outcome.failures for outcome in outcomes] == [{}] * PROCESSES
    acknowledged = [item for outcome in outcomes for item in outcome.acknowledged]
    assert sorted(acknowledged) == sorted(f"{name}-{n}" for name in names for n in range(TURNS))
    assert sorted(await place.items()) == sorted(acknowledged)


@pytest.mark.blob
@pytest.mark.slow
@pytest.mark.parametrize("way", ["update", "merge"])
async def test_processes_killed_in_mid_turn(azurite: str, way: str) -> None:
    """Each dies at a moment of its own, somewhere between two acknowledgements. What it had said
    is in the order is there, once, and every document can be read."""
    for seed in range(3):
        chance = random.Random(seed)
        place = Place(azurite, f"test-{uuid.uuid4().hex}")
        names = [f"p{number}" for number in range(PROCESSES)]
        with workers(way, place, names, count=10_000) as started:
            for worker in started:
                await worker.ready()
            told = await asyncio.gather(*(said_until_killed(w, chance) for w in started))
        acknowledged = [item for items in told for item in items]
        assert acknowledged
        stored = await place.items()
        assert set(acknowledged) <= set(stored)
        assert len(stored) == len(set(stored)), "nothing is there twice"
        # A write may have arrived whose process died before it could say so.
        assert len(stored) <= len(acknowledged) + PROCESSES
        assert await readable_documents(place) == ["shared/1"]


async def said_until_killed(worker: Worker, chance: random.Random) -> list[str | None]:
    worker.go()
    said = [await worker.acknowledged() for _ in range(chance.randrange(1, 12))]
    for _ in range(chance.randrange(300)):
        await asyncio.sleep(0)  # so that it dies anywhere in its turn
    worker.kill()
    while (item := await worker.acknowledged()) is not None:
        said.append(item)  # said before it died, and heard after
    return said


async def readable_documents(place: Place) -> list[str]:
    async with place.storage() as storage:
        keys = [item.key async for item in storage.list_items()]
        items = await storage.get_many(keys)
    for item in items.values():
        parse_document(item.data)
    return keys
