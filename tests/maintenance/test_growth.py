"""The cost of a sweep and of a migration grows with the size of its work, not with its square.

Calls and bytes are counted, which no machine makes more or fewer."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import botstate_ext
from botstate_ext.serialization import json_text
from botstate_ext.storage import ItemWrite, MemoryStorage
from botstate_ext.storage.wrapper import StorageWrapper
from tests.maintenance.world import HOUR, World
from tests.turns import StateScopes

PACKAGE = str(Path(botstate_ext.__file__).parent)
SIZES = (200, 400)
MOST = 2.3
"""Twice the size may cost so many times as much; the square would be four times."""


class Calls:
    """Counts the calls of the package's functions while a block runs."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        before = sys.getprofile()
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(before)

    def _note(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            self.count += 1


class Weighing(StorageWrapper):
    """Adds up the bytes that are written."""

    weight = 0

    async def put_if(self, key: str, data: bytes, **options: Any) -> str:
        self.weight += len(data)
        return await super().put_if(key, data, **options)

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        self.weight += sum(len(write.data or b"") for write in writes)
        return await super().write_many(writes)


async def calls_of_a_sweep(entries: int) -> int:
    """Return the calls of a sweep over one document with so many expired properties, each of which
    has a handler."""
    world, calls = World(), Calls()
    for number in range(entries):
        prop = world.states.conversation.create_property(f"p{number}", expires_after=HOUR)
        prop.on_expired(lambda state: None)

    async def all_of_them(turn: Any) -> None:
        for number in range(entries):
            await world.states.conversation.create_property(f"p{number}").set(turn, number)

    await world.bot.turn(all_of_them)
    world.clock.advance(HOUR)
    with calls.counted():
        report = await world.states.sweep()
    assert report.handlers_run == entries
    return calls.count


async def calls_of_a_migration(problems: int) -> int:
    """Return the calls of a migration over so many documents that cannot be read."""
    memory, calls = MemoryStorage(), Calls()
    for number in range(problems):
        await memory.put_if(f"shared/{number}", b'{"a":}', etag=None)
    async with StateScopes(memory) as states:
        reports: list[int] = []
        with calls.counted():
            report = await states.migrate(on_progress=lambda so_far: reports.append(so_far.failed))
    assert len(report.problems) == problems
    assert len(reports) > problems
    return calls.count


@pytest.mark.parametrize("calls_of", [calls_of_a_sweep, calls_of_a_migration])
async def test_twice_the_size_costs_twice_as_much(calls_of: Any) -> None:
    small, large = [await calls_of(size) for size in SIZES]
    assert large < MOST * small


async def test_what_a_sweep_writes_of_a_document_grows_with_the_document() -> None:
    """Each write holds the whole document, with what still waits for its handler."""
    written = []
    for entries in SIZES:
        world = World()
        body = json_text.dumps(
            {
                "$state": {
                    "v": 1,
                    "scope": "conversation",
                    "expiring": [
                        {"id": f"{n}", "name": "p", "value": n, "expired": "2024-03-01T11:00:00Z"}
                        for n in range(entries)
                    ],
                }
            }
        )
        await world.memory.put_if("test/conversations/conv", body, etag=None)
        weighing = Weighing(world.memory)
        async with StateScopes(weighing, clock=world.clock) as states:
            states.conversation.create_property("p").on_expired(lambda state: None)
            report = await states.sweep()
        assert report.handlers_run == entries
        assert weighing.weight > 0
        written.append(weighing.weight)
    assert written[1] < MOST * written[0]
