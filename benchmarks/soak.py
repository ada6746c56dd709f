"""Many turns over many conversations: `python -m benchmarks soak`, or `make soak`. The memory of
the process and the time of a turn must be as flat at the end as after the first turns.

SOAK_STORAGES=memory,sqlite leaves Azurite out.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from botbuilder.core import TurnContext

from botstate_ext.storage import BlobStorage, MemoryStorage, SQLiteStorage, StateStorage
from tests import azurite

from . import report, turns

STEPS: Final = 10
"""The first is each conversation's first turn."""
# Azurite collects garbage ten minutes after its start, and takes with it what is written meanwhile:
# reads of that then never end. A machine that does nothing else is done before.
CONVERSATIONS: Final = 10_000
AT_ONCE: Final = {"memory": 1, "sqlite": 16, "azurite": 16}
PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@asynccontextmanager
async def opened(name: str) -> AsyncIterator[StateStorage]:
    async with AsyncExitStack() as stack:
        if name == "memory":
            storage: StateStorage = MemoryStorage()
        elif name == "sqlite":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            storage = SQLiteStorage(Path(folder, "soak.db"))
        else:
            program = azurite.find_azurite()
            if program is None:
                raise SystemExit("No Azurite: `make azurite` installs it.")
            endpoint = stack.enter_context(azurite.running_azurite(program))
            storage = BlobStorage(
                connection_string=azurite.connection_string(endpoint),
                container_name=f"soak-{uuid.uuid4().hex}",
                deadline=timedelta(minutes=2),  # an emulator on a busy machine stops for seconds
            )
        await stack.enter_async_context(storage)
        yield storage


async def soak(name: str) -> list[list[str]]:
    """Return a row for each so many turns; say each at once, since the next takes its time."""
    async with opened(name) as storage:
        bot = turns.ours(storage)
        count = bot.conversation.create_property("count", int)
        seen = bot.conversation.create_property("seen")

        async def logic(turn: TurnContext) -> None:
            await count.set(turn, (await count.get(turn) or 0) + 1)
            await seen.set(turn, {"at": await count.get(turn)})

        rows = []
        step = CONVERSATIONS
        for done in range(0, STEPS * step, step):
            left = iter(range(done, done + step))
            seconds: list[float] = []

            async def work(left: Iterator[int] = left, seconds: list[float] = seconds) -> None:
                for number in left:
                    begun = time.perf_counter()
                    await bot.turn(logic, f"conversation {number % step}")
                    seconds.append(time.perf_counter() - begun)

            cpu = time.process_time()
            await asyncio.gather(*(work() for _ in range(AT_ONCE[name])))
            cpu = (time.process_time() - cpu) / step
            gc.collect()
            rows.append(
                [
                    name,
                    f"{step:,}",
                    f"{done + step:,}",
                    f"{resident() / 1e6:.1f} MB",
                    f"{1000 * cpu:.2f} ms",
                    f"{1000 * median(seconds):.1f} ms",
                    f"{1000 * quantiles(seconds, n=100)[98]:.1f} ms",
                ]
            )
            print("soak:", *rows[-1], file=sys.stderr, flush=True)
        return rows


def resident() -> int:
    """Return the memory of this process in bytes, or 0 where the system does not tell."""
    file = Path("/proc/self/statm")
    return int(file.read_text().split()[1]) * PAGE if file.exists() else 0


def main() -> None:
    names = os.environ.get("SOAK_STORAGES", ",".join(AT_ONCE)).split(",")
    rows = [row for name in names for row in asyncio.run(soak(name))]
    title = f"Soak, {report.load()}"
    heads = (
        "storage",
        "conversations",
        "turns",
        "memory",
        "CPU a turn",
        "a turn, median",
        "99 of 100 within",
    )
    print(report.table(title, heads, rows))


if __name__ == "__main__":
    main()
