"""CPU of a turn with two documents on memory storage, upstream beside this package.

Upstream: UserState and ConversationState with AutoSaveStateMiddleware. Both on the SDK's
MemoryStorage. CPU seconds of the process, the median of rounds in which the two take turns.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from botbuilder.core import TurnContext

from . import report, turns

ROUNDS = 7
SECONDS_A_ROUND = 0.15


@dataclass
class Item:
    name: str
    number: int
    price: float
    tags: list[str]
    active: bool = True
    note: str | None = None


@dataclass
class Profile:
    items: list[Item] = field(default_factory=list)
    visits: int = 0


def nested_dict(size: int) -> dict[str, Any]:
    return asdict(nested_dataclass(size))


def nested_dataclass(size: int) -> Profile:
    profile = Profile()
    while len(json.dumps(asdict(profile))) < size:
        n = len(profile.items)
        profile.items.append(Item(f"item number {n}", n, n * 1.25, ["red", "large"]))
    return profile


class Case:
    """One kind of turn, as both bots run it."""

    def __init__(self, title: str, floor: int | None, make: Any, size: int, kind: str) -> None:
        self.title, self.floor = title, floor
        self.make, self.size, self.kind = make, size, kind

    async def prepare(self, bot: turns.Bot) -> turns.Logic:
        declared = (Profile,) if self.make is nested_dataclass and bot.is_ours else ()
        properties = [s.create_property("value", *declared) for s in (bot.user, bot.conversation)]

        async def store(turn: TurnContext) -> None:
            for one in properties:
                await one.set(turn, self.make(self.size))

        async def read(turn: TurnContext) -> None:
            for one in properties:
                await one.get(turn)

        async def change(turn: TurnContext) -> None:
            value = await properties[0].get(turn)
            if isinstance(value, Profile):
                value.visits += 1
            else:
                value["visits"] += 1
            await properties[1].get(turn)

        async def leave(turn: TurnContext) -> None:
            """Upstream loads what it is asked for; this package has loaded it already."""
            if not bot.is_ours:
                for scope in (bot.user, bot.conversation):
                    await scope.load(turn)

        await bot.turn(store)
        return {"read": read, "change": change, "leave": leave}[self.kind]


CASES = (
    Case("dictionaries, 0.7 KB, both read", 5, nested_dict, 700, "read"),
    Case("dictionaries, 10 KB, both read", 12, nested_dict, 10_000, "read"),
    Case("dictionaries, 80 KB, both read", 10, nested_dict, 80_000, "read"),
    Case("dictionaries, 10 KB, one value changed", 12, nested_dict, 10_000, "change"),
    Case("dictionaries, 80 KB, one value changed", None, nested_dict, 80_000, "change"),
    Case("dictionaries, 10 KB, not touched", 50, nested_dict, 10_000, "leave"),
    Case("dictionaries, 80 KB, not touched", 50, nested_dict, 80_000, "leave"),
    Case("dataclasses, 10 KB, both read", 20, nested_dataclass, 10_000, "read"),
    Case("dataclasses, 10 KB, one value changed", None, nested_dataclass, 10_000, "change"),
)


async def cpu(bot: turns.Bot, logic: turns.Logic) -> float:
    """CPU seconds of one turn."""
    count, started = 0, time.process_time()
    while (spent := time.process_time() - started) < SECONDS_A_ROUND:
        for _ in range(5):
            await bot.turn(logic)
        count += 5
    return spent / count


async def measure(case: Case) -> tuple[float, float, float]:
    """Upstream's and our CPU seconds of a turn, and the ratio: medians over the rounds."""
    bots = (turns.upstream(), turns.ours())
    logics = [await case.prepare(bot) for bot in bots]
    rounds = [[await cpu(*pair) for pair in zip(bots, logics, strict=True)] for _ in range(ROUNDS)]
    ratio = statistics.median(theirs / mine for theirs, mine in rounds)
    return (*(statistics.median(column) for column in zip(*rounds, strict=True)), ratio)


async def compare() -> list[list[str]]:
    rows = []
    for case in CASES:
        theirs, mine, ratio = await measure(case)
        floor = "" if case.floor is None else str(case.floor)
        rows.append(
            [case.title, f"{theirs * 1e6:.0f} µs", f"{mine * 1e6:.0f} µs", f"{ratio:.1f}", floor]
        )
    return rows


def main() -> None:
    rows = asyncio.run(compare())
    heads = ("turn", "upstream", "botstate_ext", "times faster", "floor")
    print(report.table("CPU of a turn, two documents, memory storage", heads, rows))
