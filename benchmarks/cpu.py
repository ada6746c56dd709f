"""CPU of a turn with two documents on memory storage: upstream, this package, and the bare codec.

Upstream: UserState and ConversationState with AutoSaveStateMiddleware, on the SDK's MemoryStorage.
This package runs on that storage and on its own. The bare codec is the work that no design saves:
split two documents, decode two values, encode them again, compare.

CPU seconds of the process. All that one table row compares takes turns in one round; a figure is
the median of the rounds, a ratio the median of the rounds' ratios, with its lowest and highest. On
a machine that does other work at the same time, the best rounds of each tell more. The garbage
collector runs as always, but not over what was there before, and none is handed another's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Final, NamedTuple

import msgspec
import pydantic
from botbuilder.core import TurnContext

from botstate_ext import TurnLock
from botstate_ext.storage import MemoryStorage

from . import report, turns

ROUNDS: Final = 7
SECONDS_A_ROUND: Final = 0.015

Run = Callable[[], Awaitable[Any]]


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
    """Return a value of about so many characters of JSON."""
    profile, length = Profile(), 0
    while length < size:
        n = len(profile.items)
        profile.items.append(Item(f"item number {n}", n, n * 1.25, ["red", "large"]))
        length += len(json.dumps(asdict(profile.items[-1])))
    return profile


def nested_model(size: int) -> ModelProfile:
    return ModelProfile.model_validate(nested_dict(size))


def plain_class(size: int) -> PlainProfile:
    profile = PlainProfile()
    profile.items = nested_dict(size)["items"]
    return profile


class FreeLock(TurnLock):
    """A lock of an app that costs nothing: what is left is the price of any lock, a lease too."""

    def hold(self, key: str, wait: timedelta) -> AbstractAsyncContextManager[bool]:
        return nullcontext(True)


class Kind(NamedTuple):
    """A kind of value. ``ways``: how our bot names its class: "declared" as the property's type, as
    the "default" of ``get``, or declared with "tags" written."""

    name: str
    make: Callable[[int], Any]
    cls: type | None
    ways: tuple[str, ...] = ("declared", "default", "tags")


DICTIONARIES: Final = Kind("dictionaries", nested_dict, None, ("untyped",))
DATACLASSES: Final = Kind("dataclasses", nested_dataclass, Profile)
PLAIN: Final = Kind("plain class", plain_class, PlainProfile)
MODELS: Final = Kind("pydantic", nested_model, ModelProfile)

SIZES: Final = {700: "0.7 KB", 10_000: "10 KB", 80_000: "80 KB"}
CHANGED: Final = "one value changed"
READ: Final = "both read"
UNTOUCHED: Final = "not touched"

LIMITS: Final[dict[tuple[Kind, str, int], float]] = {
    (DICTIONARIES, READ, 700): 3,
    (DICTIONARIES, READ, 10_000): 13,
    (DICTIONARIES, READ, 80_000): 15,
    (DICTIONARIES, CHANGED, 700): 2,
    (DICTIONARIES, CHANGED, 10_000): 12,
    (DICTIONARIES, CHANGED, 80_000): 15,
    (DATACLASSES, READ, 700): 6.5,
    (DATACLASSES, READ, 10_000): 24,
    (DATACLASSES, READ, 80_000): 27,
    (DATACLASSES, CHANGED, 700): 4.5,
    (DATACLASSES, CHANGED, 10_000): 20,
    (DATACLASSES, CHANGED, 80_000): 24,
}
TAGGED_LIMIT: Final = 4
"""At 10 KB, for values that are written with tags."""

UNTOUCHED_LIMIT: Final = "25 µs"


def limit(kind: Kind, way: str, what: str, size: int) -> str:
    if what == UNTOUCHED:
        return UNTOUCHED_LIMIT
    if way == "tags":
        return str(TAGGED_LIMIT) if size == 10_000 else ""
    found = LIMITS.get((kind, what, size)) if way != "default" else None
    return "" if found is None else f"{found:g}"


def bot_logic(bot: turns.Bot, kind: Kind, way: str, what: str) -> tuple[Any, turns.Logic]:
    """Return the logic that stores the values, given their size, and the one to be measured."""
    declared: Any = kind.cls if bot.is_ours and way in ("declared", "tags") else None
    options = {"write_type_tags": True} if bot.is_ours and way == "tags" else {}
    args = () if declared is None else (declared,)
    user, conversation = (
        s.create_property("value", *args, **options) for s in (bot.user, bot.conversation)
    )
    cls = kind.cls

    async def store(turn: TurnContext, size: int) -> None:
        for one in (user, conversation):
            await one.get(turn, cls)  # the class that a default names counts for the write
            await one.set(turn, kind.make(size))

    async def read(turn: TurnContext) -> None:
        await user.get(turn, cls)
        await conversation.get(turn, cls)

    async def change(turn: TurnContext) -> None:
        value = await user.get(turn, cls)
        if isinstance(value, dict):
            value["visits"] += 1
        else:
            value.visits += 1
        await conversation.get(turn, cls)

    async def leave(turn: TurnContext) -> None:
        """Upstream loads what it is asked for; this package has loaded it already."""
        if not bot.is_ours:
            for scope in (bot.user, bot.conversation):
                await scope.load(turn)

    return store, {READ: read, CHANGED: change, UNTOUCHED: leave}[what]


async def bot_run(bot: turns.Bot, kind: Kind, way: str, what: str, size: int) -> Run:
    store, logic = bot_logic(bot, kind, way, what)
    await bot.turn(lambda turn: store(turn, size))

    async def run() -> None:
        await bot.turn(logic)

    return run


def bare_run(kind: Kind, size: int) -> Run:
    """Return the codec's own work for both documents, by the libraries' own calls."""
    decode: Callable[[Any], Any] = msgspec.json.Decoder(kind.cls or Any).decode
    encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
    if kind is MODELS:
        decode = lambda text: ModelProfile.model_validate_json(bytes(text))  # noqa: E731
        encode = lambda value: value.model_dump_json().encode()  # noqa: E731
    elif kind is PLAIN:
        plain = msgspec.json.Decoder().decode
        encode = lambda value: msgspec.json.encode(value.__dict__)  # noqa: E731

        def decode(text: Any) -> Any:
            value = object.__new__(PlainProfile)
            value.__dict__.update(plain(text))
            return value

    split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    document = b'{"value":' + encode(kind.make(size)) + b"}"

    async def run() -> None:
        for _ in range(2):
            text = bytes(split(document)["value"])
            if encode(decode(text)) != text:
                raise AssertionError

    return run


async def cpu(run: Run) -> float:
    """Return the CPU seconds of one call."""
    gc.collect()
    count, chunk, started = 0, 1, time.process_time()
    while (spent := time.process_time() - started) < SECONDS_A_ROUND:
        for _ in range(chunk):
            await run()
        count += chunk
        chunk = 10 if spent < SECONDS_A_ROUND / 20 else 1
    return spent / count


async def measured(runs: dict[str, Run]) -> dict[str, list[float]]:
    """Return the CPU seconds of each, by round."""
    for run in runs.values():
        await run()
    gc.collect()
    gc.freeze()
    rounds = [[await cpu(run) for run in runs.values()] for _ in range(ROUNDS)]
    return dict(zip(runs, map(list, zip(*rounds, strict=True)), strict=True))


def ratio(theirs: list[float], mine: list[float]) -> str:
    each = sorted(a / b for a, b in zip(theirs, mine, strict=True))
    return f"{statistics.median(each):.1f} ({each[0]:.1f}-{each[-1]:.1f})"


def best(theirs: list[float], mine: list[float]) -> str:
    return f"{min(theirs) / min(mine):.1f}"


def micros(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1e6:.0f} µs"


async def rows_of(kind: Kind, what: str, size: int) -> list[list[str]]:
    runs = {"upstream": await bot_run(turns.upstream(), kind, "", what, size)}
    if what != UNTOUCHED:
        runs["bare"] = bare_run(kind, size)
    for way in kind.ways:
        runs[way] = await bot_run(turns.ours(), kind, way, what, size)
        own = turns.ours(MemoryStorage())
        runs[f"{way}, own"] = await bot_run(own, kind, way, what, size)
    found = await measured(runs)
    upstream, bare = found["upstream"], found.get("bare")
    rows = []
    for way in kind.ways:
        mine, own_storage = found[way], found[f"{way}, own"]
        rows.append(
            [
                f"{kind.name}, {way}, {SIZES[size]}, {what}",
                micros(upstream),
                micros(mine),
                ratio(upstream, mine),
                micros(own_storage),
                ratio(upstream, own_storage),
                best(upstream, own_storage),
                "" if bare is None else ratio(own_storage, bare),
                limit(kind, way, what, size),
            ]
        )
    return rows


async def compare() -> list[list[str]]:
    rows = []
    for what in (READ, CHANGED, UNTOUCHED):
        for kind in (DICTIONARIES, DATACLASSES, PLAIN, MODELS):
            if what != UNTOUCHED or kind is DICTIONARIES:
                for size in SIZES:
                    rows += await rows_of(kind, what, size)
    return rows


OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "none": {},
    'replies="after_save"': {"replies": "after_save"},
    "deduplicate": {"deduplicate": timedelta(minutes=5)},
    'on_conflict="replay"': {"on_conflict": "replay"},
    "serialize_turns=False": {"serialize_turns": False},
    "a lock of the app's own": {"serialize_turns": FreeLock()},
}
OPTION_HEADS: Final = (
    "options",
    "upstream",
    "ours, own storage",
    "times faster",
    "times no option",
)


async def compare_options() -> list[list[str]]:
    """Return a row for each option of the middleware: dictionaries, 0.7 KB, one value changed, and
    one reply."""
    runs = {"upstream": await replying_run(turns.upstream())}
    for name, options in OPTIONS.items():
        runs[name] = await replying_run(turns.ours(MemoryStorage(), **options))
    found = await measured(runs)
    upstream, plain = found.pop("upstream"), found["none"]
    return [
        [name, micros(upstream), micros(mine), ratio(upstream, mine), ratio(mine, plain)]
        for name, mine in found.items()
    ]


async def replying_run(bot: turns.Bot) -> Run:
    store, change = bot_logic(bot, DICTIONARIES, "untyped", CHANGED)
    await bot.turn(lambda turn: store(turn, 700))

    async def logic(turn: TurnContext) -> None:
        await change(turn)
        await turn.send_activity("done")

    async def run() -> None:
        await bot.turn(logic)
        bot.adapter.activity_buffer.clear()

    return run


HEADS: Final = (
    "turn", "upstream", "ours, SDK's storage", "times faster", "ours, own storage",
    "times faster", "by best rounds", "times bare codec", "limit",
)  # fmt: skip


def main() -> None:
    rows = asyncio.run(compare())
    print(report.table("CPU of a turn, two documents, memory storage", HEADS, rows))
    empty = asyncio.run(measured({"empty": turns.empty_turn}))["empty"]
    print(f"The SDK's empty turn, a part of each: {micros(empty)}.\n")
    rows = asyncio.run(compare_options())
    title = "Options of the middleware: dictionaries, 0.7 KB, one value changed, one reply"
    print(report.table(title, OPTION_HEADS, rows))
