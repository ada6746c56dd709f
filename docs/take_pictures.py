"""Take the pictures of the console: ``python docs/take_pictures.py``, from the folder above, where
there is a Chromium.

They show a bot that is made up here: 15 minutes of turns on a clock of their own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from math import sin
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from botstate_ext import StateScopes  # noqa: E402
from botstate_ext.console.pages import overview  # noqa: E402
from botstate_ext.states.turn_report import Outcome, TurnReport  # noqa: E402
from botstate_ext.testing import ManualClock  # noqa: E402
from tests.console.browser import opened  # noqa: E402
from tests.console.running_console import Site, new_states, running  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
START = datetime(2026, 5, 6, 9, 15, tzinfo=timezone.utc)
SLOTS = 60
NAMES = ("ann", "bob", "carla", "dmitri", "emeka", "fatima", "goran", "hana")


@dataclass
class Order:
    pizzas: list[str] = field(default_factory=list)
    paid: bool = False


@dataclass
class UserProfile:
    name: str
    visits: int
    address: dict[str, Any]


async def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    overview._BUDGET = 30.0  # the same counts on a slow machine
    async with busy_console() as site:
        for name, path, height in (
            ("console", "/", 630),
            ("console-document", "/document?key=msteams/users/ann", 980),
        ):
            async with opened(site.url, width=1120, height=height) as (page, trouble):
                await page.goto(site.url + path)
                await page.locator("h1").wait_for()
                await page.screenshot(path=PICTURES / f"{name}.png")
                assert trouble == []


@asynccontextmanager
async def busy_console() -> AsyncIterator[Site]:
    clock, random = ManualClock(START), Random(7)
    states = new_states(clock)
    async with running(states, read_only=False, mask=("phone",)) as site:
        await remember_the_past(states, random)
        for slot in range(SLOTS):
            clock.advance(timedelta(minutes=15) / SLOTS)
            for _ in range(int(14 + 9 * sin(slot / 7) + random.random() * 7)):
                # The handlers get these reports as those of turns that took so long.
                await states._observers.turn.emit(report(random, slot))
        await order_pizza(states, clock)
        yield site


async def remember_the_past(states: StateScopes, random: Random) -> None:
    states.shared.create_property("order", Order)
    for number in range(1_203):
        async with states.unit_of_work(
            channel_id="msteams", user_id=f"u{number}", conversation_id=f"c{number % 240}"
        ) as work:
            await states.user.set_state(work, "visits", number)
            if number < 240:
                await states.conversation.set_state(work, "topic", "pizza")
            if number < 86:
                await states.private.set_state(work, "draft", "x" * random.randrange(400))
            if number < 412:
                await states.shared.at(f"{number:05}").set_state(work, "order", Order())
            if number < 3:
                await states.workflow.at(f"delivery-{number}").set_state(work, "step", number)
    async with states.unit_of_work(channel_id="msteams", bot_id="pizza-bot") as work:
        await states.bot.set_state(work, "menu", ["margherita", "funghi"])


async def order_pizza(states: StateScopes, clock: ManualClock) -> None:
    """Save what the pages show of single documents."""
    profile = states.user.create_property(
        "UserProfile", UserProfile, version=2, migrations={1: dict}
    )
    cart = states.user.create_property("cart", Order, expires_after=timedelta(hours=1))
    for number, name in enumerate(NAMES):
        async with states.unit_of_work(channel_id="msteams", user_id=name) as work:
            address = {"street": "Harbour Street 7", "phone": "555 0199", "floor": number}
            await profile.set(work, UserProfile(name.title(), 11 + number, address))
            await cart.set(work, Order(["margherita"]))
            await states.user.set_tags(work, {"plan": "pro"})
        clock.advance(timedelta(seconds=1))
    for pizza in ("funghi", "quattro formaggi"):
        async with states.unit_of_work(channel_id="msteams", user_id="ann") as work:
            (await cart.get(work)).pizzas.append(pizza)
            (await profile.get(work)).visits += 1
        clock.advance(timedelta(seconds=4))


def report(random: Random, slot: int) -> TurnReport:
    """Return the report of a made-up turn: most go well, and some minutes are worse."""
    is_bad = 33 <= slot <= 36
    outcome: Outcome = "saved"
    if random.random() < (0.12 if is_bad else 0.006):
        outcome = random.choice(("conflict", "discarded"))
    load, save = random.uniform(0.004, 0.009), random.uniform(0.006, 0.014)
    wait = random.expovariate(1 / (0.02 if is_bad else 0.002))
    logic = random.uniform(0.01, 0.03)
    merged = int(random.random() < 0.04)
    return TurnReport(
        wait=wait,
        load=load,
        logic=logic,
        save=save,
        seconds=wait + load + logic + save,
        read=2,
        written=random.choice((1, 2)),
        retries=merged,
        conflicts=merged,
        replays=0,
        outcome=outcome,
        error=None,
        channel="msteams",
    )


if __name__ == "__main__":
    asyncio.run(main())
