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

import pydantic
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


class ModelItem(pydantic.BaseModel):
    name: str
    number: int
    price: float
    tags: list[str]
    active: bool = True
    note: str | None = None


class ModelProfile(pydantic.BaseModel):
    items: list[ModelItem] = pydantic.Field(default_factory=list)
    visits: int = 0


class PlainProfile:
    """An ordinary class with attributes, as the SDK's samples have it."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.visits = 0


def nested_dict(size: int) -> dict[str, Any]:
    return asdict(nested_dataclass(size))


def nested_dataclass(size: int) -> Profile:
    profile = Profile()
    while len(json.dumps(asdict(profile))) < size:
        n = len(profile.items)
        profile.items.append(Item(f"item number {n}", n, n * 1.25, ["red", "large"]))
    return profile


def nested_model(size: int) -> ModelProfile:
    return ModelProfile.model_validate(nested_dict(size))


def plain_class(size: int) -> PlainProfile:
    profile = PlainProfile()
    profile.items = nested_dict(size)["items"]
    return profile


CLASSES: dict[Any, type] = {
    nested_dataclass: Profile,
    nested_model: ModelProfile,
    plain_class: PlainProfile,
}


class Case:
    """One kind of turn, as both bots run it. ``way``: how our bot names the class of the value:
    "declared", as the "default" of ``get``, or declared with "tags" written."""

    def __init__(
        self,
        title: str,
        floor: int | None,
        make: Any,
        size: int,
        kind: str,
        way: str = "declared",
    ) -> None:
        self.title, self.floor = title, floor
        self.make, self.size, self.kind, self.way = make, size, kind, way

    async def prepare(self, bot: turns.Bot) -> turns.Logic:
        cls = CLASSES.get(self.make)
        declared: Any = cls if bot.is_ours and self.way != "default" else None
        options = {"write_type_tags": True} if bot.is_ours and self.way == "tags" else {}
        args = () if declared is None else (declared,)
        properties = [
            s.create_property("value", *args, **options) for s in (bot.user, bot.conversation)
        ]

        async def store(turn: TurnContext) -> None:
            for one in properties:
                await one.get(turn, cls)  # the class that a default names counts for the write
                await one.set(turn, self.make(self.size))

        async def read(turn: TurnContext) -> None:
            for one in properties:
                await one.get(turn, cls)

        async def change(turn: TurnContext) -> None:
            value = await properties[0].get(turn, cls)
            if isinstance(value, dict):
                value["visits"] += 1
            else:
                value.visits += 1
            await properties[1].get(turn, cls)

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
    *(
        Case(f"{name}, {way}, {size / 1000:g} KB, {title}", None, make, size, kind, way)
        for name, make in (
            ("dataclasses", nested_dataclass),
            ("plain class", plain_class),
            ("pydantic", nested_model),
        )
        for way in ("declared", "default", "tags")
        for size in (700, 10_000, 80_000)
        for title, kind in (("one value changed", "change"), ("both read", "read"))
    ),
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
