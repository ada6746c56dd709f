"""The sweeper that runs with an app."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from botstate_ext import ExpiredState, StateStorageError, SweepReport
from botstate_ext.aiohttp import setup
from botstate_ext.storage import MemoryStorage
from botstate_ext.sweeper import Sweeper
from tests.maintenance.world import HOUR, World
from tests.patience import LIMIT
from tests.turns import StateScopes, UpstreamMemoryStorage

EVERY = timedelta(minutes=5)


class Waits:
    """The sweeper's waits, each of which lasts until the test goes on to the next."""

    def __init__(self) -> None:
        self._begun: asyncio.Queue[tuple[float, asyncio.Event]] = asyncio.Queue()
        self._over: asyncio.Event | None = None

    async def sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        self._begun.put_nowait((seconds, over))
        await over.wait()

    async def next(self) -> float:
        """End the wait that goes on; what it waited for is done when the next one begins."""
        if self._over is not None:
            self._over.set()
        seconds, self._over = await self._begun.get()
        return seconds


class Swept:
    """Sweeps that fail as they are told to."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self._outcomes = list(outcomes)
        self.sweeps = 0

    async def sweep(self) -> SweepReport:
        self.sweeps += 1
        outcome = self._outcomes.pop(0) if self._outcomes else None
        if outcome is not None:
            raise outcome
        return SweepReport(seen=1, expired=1, removed=1)


async def test_it_sweeps_until_it_is_left_a_little_more_often_than_asked() -> None:
    swept, waits = Swept(), Waits()
    numbers = iter([0.5, 0.0, 1.0, 0.25])
    async with Sweeper(swept, EVERY, sleep=waits.sleep, random=lambda: next(numbers)):
        seconds = [await waits.next() for _ in range(4)]
        assert swept.sweeps == 3
    assert seconds == pytest.approx([150, 240, 300, 255])
    await asyncio.sleep(0)
    assert swept.sweeps == 3


async def test_a_sweep_that_fails_is_logged_and_the_next_one_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failure = StateStorageError("list", None, "the storage is away")
    swept, waits = Swept(failure, KeyError("a bug")), Waits()
    with caplog.at_level(logging.INFO, logger="botstate_ext.expiry"):
        async with Sweeper(swept, EVERY, sleep=waits.sleep):
            for _ in range(4):
                await waits.next()
    assert swept.sweeps == 3
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]
    assert "the storage is away" in caplog.text
    assert "a bug" in caplog.text


async def test_leaving_it_stops_a_sweep() -> None:
    begun = asyncio.Event()

    class Endless:
        async def sweep(self) -> SweepReport:
            begun.set()
            await asyncio.Event().wait()
            return SweepReport()

    async def at_once(seconds: float) -> None: ...

    async with Sweeper(Endless(), EVERY, sleep=at_once) as sweeper:
        await begun.wait()
    assert sweeper.is_running is False


@pytest.mark.parametrize("every", [timedelta(0), timedelta(seconds=-1)])
def test_an_app_sweeps_at_intervals_longer_than_zero(every: timedelta) -> None:
    with pytest.raises(ValueError, match="sweep_every"):
        setup(web.Application(), StateScopes(MemoryStorage()), sweep_every=every)


async def test_an_app_sweeps_from_start_up_to_clean_up() -> None:
    world = World()
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    handled = asyncio.Event()

    @cart.on_expired
    def note(state: ExpiredState) -> None:
        handled.set()

    await world.write(cart, 1)
    world.clock.advance(HOUR)
    app = web.Application()
    setup(app, world.states, sweep_every=timedelta(milliseconds=1))
    runner = web.AppRunner(app)
    await runner.setup()
    await asyncio.wait_for(handled.wait(), LIMIT.total_seconds())
    await runner.cleanup()
    lists = world.storage.operations["list"]
    assert lists >= 1
    assert not [task for task in asyncio.all_tasks() if "sweeper" in task.get_name()]


class ClosedStorage(MemoryStorage):
    closed = False

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize("sweep_every", [None, timedelta(hours=1)])
async def test_storage_is_closed_after_all_else(sweep_every: timedelta | None) -> None:
    storage = ClosedStorage()
    app = web.Application()
    order: list[bool] = []

    async def clean_up(_: web.Application) -> None:
        order.append(storage.closed)

    app.on_cleanup.append(clean_up)
    setup(app, StateScopes(storage), sweep_every=sweep_every)
    runner = web.AppRunner(app)
    await runner.setup()
    await runner.cleanup()
    assert order == [False]
    assert storage.closed


@pytest.mark.parametrize(
    ("has_handler", "sweep_every", "warns"),
    [(True, None, True), (True, HOUR, False), (False, None, False)],
)
async def test_handlers_that_nobody_would_call_are_warned_about_at_start_up(
    caplog: pytest.LogCaptureFixture, has_handler: bool, sweep_every: Any, warns: bool
) -> None:
    states = StateScopes(UpstreamMemoryStorage())
    app = web.Application()
    setup(app, states, sweep_every=sweep_every)
    if has_handler:  # also when it comes after setup()
        states.user.create_property("x", expires_after=HOUR).on_expired(print)
    runner = web.AppRunner(app)
    await runner.setup()
    await runner.cleanup()
    assert ("sweep_every" in caplog.text) is warns
