"""The chart of the README: `python -m benchmarks picture` measures, and writes it as an SVG.

Messages lost: `USERS` users each send two messages within a moment, and the bot appends each to a
list that it keeps. Turns a second: one value of a 10 KB dictionary is changed in each turn. Both on
the SDK's memory storage, through the SDK's pipeline.
"""

from __future__ import annotations

import asyncio
import time
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from botbuilder.core import TurnContext

from . import cpu, turns

USERS = 100
SECONDS = 2.0
FILE = Path(__file__).parents[1] / "docs" / "pictures" / "beside-the-sdk.svg"

_NAMES = ("Bot Framework SDK", "botstate_ext")
_COLORS = ("#9aa0a6", "#1a7f5a")
_WIDTH, _BAR, _LEFT, _LONGEST = 720, 22, 160, 460


class Bars(NamedTuple):
    """One group of bars: the SDK's number, and ours."""

    title: str
    theirs: int
    ours: int


async def lost(bot: turns.Bot) -> int:
    """Return how many of the messages are in no list afterwards."""
    messages = bot.conversation.create_property("messages")

    async def append(turn: TurnContext) -> None:
        value = await messages.get(turn, list)
        await asyncio.sleep(0)  # a real bot asks a service here
        value.append(turn.activity.text)

    kept: list[str] = []

    async def count(turn: TurnContext) -> None:
        kept.extend(await messages.get(turn, list))

    names = [f"user {number}" for number in range(USERS)]
    await asyncio.gather(*(bot.turn(append, name) for name in names for _ in range(2)))
    for name in names:
        await bot.turn(count, name)
    return 2 * USERS - len(kept)


async def turns_a_second(bot: turns.Bot) -> int:
    """Return how many turns one core does in a second of its time."""
    scopes = bot.user, bot.conversation
    user, conversation = (scope.create_property("value") for scope in scopes)

    async def store(turn: TurnContext) -> None:
        for one in (user, conversation):
            await one.set(turn, cpu.nested_dict(10_000))

    async def change(turn: TurnContext) -> None:
        value = await user.get(turn)
        value["visits"] += 1
        await conversation.get(turn)

    await bot.turn(store)
    count, started = 0, time.process_time()
    while (spent := time.process_time() - started) < SECONDS:
        for _ in repeat(None, 20):
            await bot.turn(change)
        count += 20
    return round(count / spent)


async def measure() -> list[Bars]:
    losses = [await lost(make()) for make in (turns.upstream, turns.ours)]
    speeds = [await turns_a_second(make()) for make in (turns.upstream, turns.ours)]
    return [
        Bars(f"Messages lost, of {2 * USERS} that arrive in pairs", *losses),
        Bars("Turns a second on one core, 10 KB of state, one value changed", *speeds),
    ]


def drawn(groups: list[Bars]) -> str:
    """Return the chart. It has a background of its own, so that it is read in the dark too."""
    lines, y = [], 34
    for group in groups:
        lines.append(f'<text x="20" y="{y}" font-weight="600">{group.title}</text>')
        y += 14
        most = max(group.theirs, group.ours, 1)
        for name, color, number in zip(_NAMES, _COLORS, group[1:], strict=True):
            assert isinstance(number, int)
            length = max(round(_LONGEST * number / most), 2)
            middle = y + _BAR / 2 + 5
            lines += [
                f'<text x="{_LEFT - 10}" y="{middle:g}" text-anchor="end">{name}</text>',
                f'<rect x="{_LEFT}" y="{y}" width="{length}" height="{_BAR}" fill="{color}"/>',
                f'<text x="{_LEFT + length + 8}" y="{middle:g}">{number:,}</text>',
            ]
            y += _BAR + 6
        y += 34
    height = y - 24
    told = "; ".join(f"{g.title}: SDK {g.theirs:,}, botstate_ext {g.ours:,}" for g in groups)
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    font = 'font-family="sans-serif" font-size="14" fill="#202124"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {font}>'
    ground = f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>'
    return "\n".join([head, f"<title>{told}</title>", ground, *lines, "</svg>", ""])


def main() -> None:
    groups = asyncio.run(measure())
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(drawn(groups), encoding="utf-8")
    for group in groups:
        print(f"{group.title}: {group.theirs:,} and {group.ours:,}")
    print(f"Written to {FILE}.")
