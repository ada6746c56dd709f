"""Charts: the turns of the last minutes as bars, to be drawn as SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..states.turn_report import TurnReport

SPAN: Final = timedelta(minutes=15)
BARS: Final = 60
WIDTH: Final = 720
HEIGHT: Final = 120
_GAP: Final = 2

STEPS: Final = ("logic", "load", "save", "wait")
"""The parts of a bar of times, from the bottom."""

GOOD: Final = ("saved", "skipped")
"""Outcomes that do not count as failures."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Describes a part of a bar. ``kind``: the name of its colour."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Holds a chart. ``top``: the value of its full height. ``text``: the chart in words."""

    bars: tuple[Bar, ...]
    top: float
    text: str
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Holds the times in seconds that 50%, 95% and 99% of the turns did not exceed in a step."""

    name: str
    half: float
    most: float
    nearly_all: float


Sample = tuple[datetime, "TurnReport"]


def count_chart(turns: Sequence[Sample], now: datetime) -> Chart:
    """Return a chart of the number of turns, with those that failed apart."""
    slots = _slots(turns, now)
    top = max(map(len, slots), default=0)
    bars: list[Bar] = []
    for index, slot in enumerate(slots):
        failed = sum(report.outcome not in GOOD for report in slot)
        parts = {"good": float(len(slot) - failed), "bad": float(failed)}
        title = f"{_ago(index)}: {len(slot):,} turns" + (f", {failed:,} failed" if failed else "")
        bars += _stack(index, parts, top, title)
    failed = sum(report.outcome not in GOOD for _, report in turns)
    text = f"{len(turns):,} turns, {failed:,} of them failed; at most {top:,} in 15 seconds"
    return Chart(tuple(bars), top, text)


def time_chart(turns: Sequence[Sample], now: datetime) -> Chart:
    """Return a chart of the mean time of a turn, by step."""
    slots = _slots(turns, now)
    means = [
        {step: sum(getattr(r, step) for r in slot) / len(slot) for step in STEPS} if slot else {}
        for slot in slots
    ]
    top = max((sum(parts.values()) for parts in means), default=0.0)
    bars: list[Bar] = []
    for index, parts in enumerate(means):
        bars += _stack(index, parts, top, f"{_ago(index)}: {sum(parts.values()) * 1000:,.1f} ms")
    return Chart(tuple(bars), top, f"mean time of a turn, at most {top * 1000:,.1f} ms")


def percentiles(turns: Sequence[Sample]) -> list[Percentiles]:
    """Return the percentiles of each step, and of whole turns."""
    found = []
    for name in ("wait", "load", "logic", "save", "seconds"):
        values = sorted(getattr(report, name) for _, report in turns)
        found.append(Percentiles(name, *(_at(values, share) for share in (0.5, 0.95, 0.99))))
    return found


def _slots(turns: Sequence[Sample], now: datetime) -> list[list[TurnReport]]:
    slots: list[list[TurnReport]] = [[] for _ in range(BARS)]
    for at, report in turns:
        index = BARS - 1 - int((now - at) / SPAN * BARS)
        if 0 <= index < BARS:
            slots[index].append(report)
    return slots


def _stack(index: int, parts: dict[str, float], top: float, title: str) -> list[Bar]:
    step = WIDTH / BARS
    y = float(HEIGHT)
    bars = []
    for kind, value in parts.items():
        if value > 0 and top > 0:
            height = max(value / top * HEIGHT, 1.0)
            y = max(y - height, 0.0)
            size = (round(step - _GAP, 1), round(height, 1))
            bars.append(Bar(kind, round(index * step, 1), round(y, 1), *size, title))
    return bars


def _ago(index: int) -> str:
    seconds = int(SPAN.total_seconds() / BARS * (BARS - index))
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s ago" if rest else f"{minutes} min ago"


def _at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0
