"""One history, from its seed."""

from __future__ import annotations

import asyncio
import random as global_random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Final, Literal, TypeAlias

from botstate_ext import DocumentCache

from .history import History
from .loop import simulate
from .players import Plan, Process, Turn
from .storage import SimulatedStorage, Weather

Cache: TypeAlias = Literal["replay", "sticky"]
"""``"replay"``: processes with a cache, in which every turn can run again; one may have none.
``"sticky"``: all modes, and each conversation has one process; or there is only one process."""

MakeStorage = Callable[[History, Random, Weather], SimulatedStorage]

CROWDS = 0.1
"""How many of the histories are those of thirty users in one conversation."""

AGES: Final = {"replay": (0.05, 0.5, 5, 60), "sticky": (5, 60)}
"""Seconds. A write that was given up arrives within the shortest that sticky has, mostly."""

_START = datetime(2024, 5, 6, tzinfo=timezone.utc)


def history_of(
    seed: int, make_storage: MakeStorage = SimulatedStorage, cache: Cache | None = None
) -> History:
    """Two processes, each with a few users at once, over one storage; now and then a crowd in one
    conversation, more than a document remembers writes of. The same seed gives the same history, to
    the last detail."""
    random = Random(seed)
    state = global_random.getstate()
    global_random.seed(seed)  # the pauses between attempts are drawn from it
    try:
        return simulate(_play(random, make_storage, _Caches(seed, cache)))
    finally:
        global_random.setstate(state)


class _Caches:
    """Which process has a cache, and which conversations it serves."""

    def __init__(self, seed: int, kind: Cache | None) -> None:
        self.kind = kind
        self._random = Random(f"cache {seed}")  # the rest of a history is as it is without
        self.is_of_one = kind == "sticky" and self._random.random() < 0.3

    def of(self, process: str) -> DocumentCache | None:
        if self.kind is None or (
            self.kind == "replay" and process == "q" and self._random.random() < 0.3
        ):
            return None
        sticky: Literal[False, True, "all"] = self.kind == "sticky"
        return DocumentCache(
            max_bytes=self._random.choice((3_000, 1_000_000)),
            max_age=timedelta(seconds=self._random.choice(AGES[self.kind])),
            sticky="all" if self.is_of_one else sticky,
        )

    def plan(self, plan: Plan) -> Plan:
        """Return a plan for a process with a cache: nothing but the commit of a turn that only
        reads can find out that what it read was stale, so there are many of these."""
        if self.kind is not None and self._random.random() < 0.4:
            for step in plan.steps:
                if step.action not in ("say", "wait"):
                    step.action = "read"
        return plan

    def conversations(self, process: str, of_all: tuple[str, ...]) -> tuple[str, ...]:
        """Return those that this process serves."""
        if self.kind != "sticky" or self.is_of_one:
            return of_all
        return (of_all[0],) if process == "p" else of_all[1:]


async def _play(random: Random, make_storage: MakeStorage, caches: _Caches) -> History:
    history = History()
    storage = make_storage(history, random, Weather.drawn(random))
    loop = asyncio.get_running_loop()

    def clock() -> datetime:
        return _START + timedelta(seconds=loop.time())

    async def user(name: str, process: Process, plans: list[Plan]) -> None:
        for number, plan in enumerate(plans):
            await Turn(f"{name}{number}", process, plan).run()

    names = ("p",) if caches.is_of_one else ("p", "q")
    processes = [Process(name, storage, history, clock, caches.of(name)) for name in names]
    is_crowd = random.random() < CROWDS
    turns, conversations = (2, ("c1",)) if is_crowd else (4, ("c1", "c2"))
    users = [
        user(
            f"{process.name}{letter}",
            process,
            [caches.plan(Plan.drawn(random, served)) for _ in range(turns)],
        )
        for process in processes
        if (served := caches.conversations(process.name, conversations))
        for letter in "abcdefghijklmno"[: 15 if is_crowd else random.randint(1, 3)]
    ]
    await asyncio.gather(*users)
    await storage.settle()
    return history
