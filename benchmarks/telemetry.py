"""CPU of a turn on memory storage: nobody watches it, a handler is told of it, it is instrumented.

A turn gets a value from the conversation and one from the user, and changes one. The ways take
turns in small batches, in random order; the median of their ratios to the first is shown.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from itertools import repeat
from random import Random

from botbuilder.core import TurnContext
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext.opentelemetry import instrument
from botstate_ext.storage import MemoryStorage

from . import report, turns

BATCHES = 120
TURNS = 40


class Way:
    """A bot that is watched in one way."""

    def __init__(self, title: str) -> None:
        self.title, self.states = title, StateScopes(MemoryStorage())
        scopes = self.states.user, self.states.conversation
        self._bot = turns.Bot(*scopes, StateMiddleware(self.states))
        self._user, self._cart = (scope.create_property("value", dict) for scope in scopes)

    async def logic(self, turn: TurnContext) -> None:
        cart = await self._cart.get(turn, dict)
        cart["n"] = cart.get("n", 0) + 1
        await self._user.get(turn, dict)

    async def seconds(self) -> float:
        """Return the CPU seconds of a turn, over one batch."""
        started = time.process_time()
        for _ in repeat(None, TURNS):
            await self._bot.turn(self.logic)
        return (time.process_time() - started) / TURNS


def ways() -> list[Way]:
    off, off_again, on = Way("nobody watches"), Way("the same again"), Way("a handler of `on_turn`")
    on.states.on_turn(lambda report: None)
    no_sdk, sdk = Way("instrumented, without an SDK"), Way("instrumented, with the SDK")
    instrument(no_sdk.states, tracer_provider=NoOpTracerProvider())
    instrument(
        sdk.states,
        tracer_provider=TracerProvider(shutdown_on_exit=False),
        meter_provider=MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False),
    )
    return [off, off_again, on, no_sdk, sdk]


async def measure() -> list[list[str]]:
    each = ways()
    batches = []
    order, random = each[:], Random(1)  # no way shall always follow the same other one
    for _ in range(BATCHES):
        random.shuffle(order)
        found = {way.title: await way.seconds() for way in order}
        batches.append([found[way.title] for way in each])
    rows = []
    for number, way in enumerate(each):
        seconds = statistics.median(batch[number] for batch in batches)
        more = statistics.median(batch[number] / batch[0] for batch in batches) - 1
        rows.append([way.title, f"{seconds * 1e6:.0f} µs", f"{more:+.1%}"])
    return rows


def main() -> None:
    heads = ("turn", "CPU", "more")
    print(report.table("CPU of a turn, by who watches it", heads, asyncio.run(measure())))
