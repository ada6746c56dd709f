"""Turns with a warm cache and without, on one Azurite: `python -m benchmarks warm`.

Each conversation has one user, who sends a message when the one before is answered. A turn reads a
property of the user and counts in the conversation; every fourth only tells the count. It is wrong
if it tells another count than that of the turns before it.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from contextlib import AsyncExitStack
from datetime import timedelta
from random import Random
from statistics import median
from typing import Any, Final, NamedTuple

from botbuilder.core import TurnContext
from botbuilder.core.adapters import TestAdapter

from botstate_ext import DocumentCache, StateMiddleware, StateScopes, TurnReport
from botstate_ext.storage import BlobStorage
from tests import azurite

from . import report, turns

CONVERSATIONS: Final = 200
TURNS: Final = 20
AT_ONCE: Final = 16
MAX_AGE: Final = timedelta(minutes=10)
MAX_BYTES: Final = 50_000_000


class Setup(NamedTuple):
    """A row of the table."""

    name: str
    on_conflict: Any
    cache: dict[str, Any] | None
    instances: int = 1
    is_sticky: bool = False
    """Each conversation stays with one instance; otherwise each turn goes to any."""


SETUPS: Final = (
    Setup("one instance, `merge`", "merge", None),
    Setup('one instance, `merge`, `sticky="all"`', "merge", {"sticky": "all"}),
    Setup("one instance, `replay`", "replay", None),
    Setup("one instance, `replay`, cache", "replay", {}),
    Setup("two, each with its conversations, `merge`", "merge", None, 2, True),
    Setup("the same, `sticky=True`", "merge", {"sticky": True}, 2, True),
    Setup('the same, `sticky="user"`', "merge", {"sticky": "user"}, 2, True),
    Setup("two at random, `replay`", "replay", None, 2),
    Setup("two at random, `replay`, cache", "replay", {}, 2),
)


class Instance:
    """One process of the bot, with storage of its own over the container that they share."""

    def __init__(self, storage: BlobStorage, setup: Setup) -> None:
        self._cache = (
            None
            if setup.cache is None
            else DocumentCache(max_bytes=MAX_BYTES, max_age=MAX_AGE, **setup.cache)
        )
        states = StateScopes(storage, cache=self._cache)
        self._name = states.user.create_property("name", str)
        self._count = states.conversation.create_property("count", int)
        self._adapter = TestAdapter()
        self._adapter.use(StateMiddleware(states, on_conflict=setup.on_conflict))
        self.reports: list[TurnReport] = []
        states.on_turn(self.reports.append)

    async def turn(self, conversation: int, *, adds: bool) -> int:
        """Run a turn and return the count that it told."""
        told = 0

        async def logic(turn: TurnContext) -> None:
            nonlocal told
            await self._name.get(turn)
            told = await self._count.get(turn) or 0
            if adds:
                await self._count.set(turn, told + 1)

        activity = turns.activity(f"c{conversation}")
        activity.from_property.id = f"u{conversation}"
        await self._adapter.run_pipeline(TurnContext(self._adapter, activity), logic)
        return told


class Run:
    """All turns of one setup."""

    def __init__(self, setup: Setup, instances: list[Instance]) -> None:
        self._setup, self._instances = setup, instances
        self._random = Random(1)
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.seconds: list[float] = []
        self.wrong = 0

    async def all(self) -> float:
        """Run them and return the turns of a second."""
        begun = time.perf_counter()
        await asyncio.gather(*map(self._conversation, range(CONVERSATIONS)))
        return CONVERSATIONS * TURNS / (time.perf_counter() - begun)

    async def _conversation(self, number: int) -> None:
        expected = 0
        for turn in range(TURNS):
            adds = turn % 4 != 3
            async with self._gate:
                begun = time.perf_counter()
                told = await self._instance(number).turn(number, adds=adds)
                self.seconds.append(time.perf_counter() - begun)
            self.wrong += told != expected
            expected += adds

    def _instance(self, conversation: int) -> Instance:
        count = len(self._instances)
        at = conversation if self._setup.is_sticky else self._random.randrange(count)
        return self._instances[at % count]

    def row(self, per_second: float) -> list[str]:
        reports = [each for instance in self._instances for each in instance.reports]
        read, cached = sum(each.read for each in reports), sum(each.cached for each in reports)
        return [
            self._setup.name,
            f"{1000 * median(self.seconds):.0f} ms",
            f"{per_second:.0f}",
            f"{read / len(reports):.2f}",
            f"{cached / (2 * len(reports)):.0%}",
            str(sum(each.replays for each in reports)),
            str(self.wrong),
        ]


async def measure(connection_string: str) -> list[list[str]]:
    """Return the rows of the table, each on a container of its own."""
    rows = []
    for setup in SETUPS:
        async with AsyncExitStack() as stack:
            container = f"warm-{uuid.uuid4().hex}"
            instances = [
                Instance(
                    await stack.enter_async_context(
                        BlobStorage(
                            connection_string=connection_string,
                            container_name=container,
                            deadline=timedelta(minutes=1),
                        )
                    ),
                    setup,
                )
                for _ in range(setup.instances)
            ]
            await instances[0].turn(-1, adds=True)
            run = Run(setup, instances)
            rows.append(run.row(await run.all()))
    return rows


def main() -> None:
    program = azurite.find_azurite()
    if program is None:
        sys.exit("No Azurite: `make azurite` installs it, or name its azurite-blob in AZURITE.")
    with azurite.running_azurite(program) as endpoint:
        rows = asyncio.run(measure(azurite.connection_string(endpoint)))
    title = (
        f"A warm cache: {CONVERSATIONS} conversations of {TURNS} turns on Azurite, {AT_ONCE} at "
        f"once, {report.load()}"
    )
    heads = ("", "a turn, median", "turns/s", "read a turn", "cached", "ran again", "wrong")
    print(report.table(title, heads, rows))


if __name__ == "__main__":
    main()
