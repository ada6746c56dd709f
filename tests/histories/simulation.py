"""One history, from its seed."""

from __future__ import annotations

import asyncio
import random as global_random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from random import Random

from .history import History
from .loop import simulate
from .players import Plan, Process, Turn
from .storage import SimulatedStorage, Weather

MakeStorage = Callable[[History, Random, Weather], SimulatedStorage]

CROWDS = 0.1
"""How many of the histories are those of thirty users in one conversation."""

_START = datetime(2024, 5, 6, tzinfo=timezone.utc)


def history_of(seed: int, make_storage: MakeStorage = SimulatedStorage) -> History:
    """Two processes, each with a few users at once, over one storage; now and then a crowd in one
    conversation, more than a document remembers writes of. The same seed gives the same history, to
    the last detail."""
    random = Random(seed)
    state = global_random.getstate()
    global_random.seed(seed)  # the pauses between attempts are drawn from it
    try:
        return simulate(_play(random, make_storage))
    finally:
        global_random.setstate(state)


async def _play(random: Random, make_storage: MakeStorage) -> History:
    history = History()
    storage = make_storage(history, random, Weather.drawn(random))
    loop = asyncio.get_running_loop()

    def clock() -> datetime:
        return _START + timedelta(seconds=loop.time())

    async def user(name: str, process: Process, plans: list[Plan]) -> None:
        for number, plan in enumerate(plans):
            await Turn(f"{name}{number}", process, plan).run()

    processes = [Process(name, storage, history, clock) for name in ("p", "q")]
    is_crowd = random.random() < CROWDS
    turns, conversations = (2, ("c1",)) if is_crowd else (4, ("c1", "c2"))
    users = [
        user(
            f"{process.name}{letter}",
            process,
            [Plan.drawn(random, conversations) for _ in range(turns)],
        )
        for process in processes
        for letter in "abcdefghijklmno"[: 15 if is_crowd else random.randint(1, 3)]
    ]
    await asyncio.gather(*users)
    await storage.settle()
    return history
