"""Memory of a process over many turns in 1,000 conversations: `python -m benchmarks soak`."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

from botbuilder.core import TurnContext

from . import report, turns

CONVERSATIONS = 1_000
STEPS = (10_000, 20_000, 40_000, 60_000)


async def soak() -> list[list[str]]:
    bot = turns.ours()
    count = bot.conversation.create_property("count", int)
    seen = bot.user.create_property("seen")

    async def logic(turn: TurnContext) -> None:
        await count.set(turn, (await count.get(turn) or 0) + 1)
        await seen.set(turn, {"at": await count.get(turn)})

    rows = []
    tracemalloc.start()
    for done in range(1, STEPS[-1] + 1):
        await bot.turn(logic, f"conversation {done % CONVERSATIONS}")
        if done in STEPS:
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
            rows.append([f"{done:,}", f"{held / 1e6:.2f} MB"])
    tracemalloc.stop()
    return rows


def main() -> None:
    title = f"Memory held after so many turns over {CONVERSATIONS:,} conversations"
    print(report.table(title, ("turns", "held"), asyncio.run(soak())))
