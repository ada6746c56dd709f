"""Sweeper: sweeps again and again while an app runs."""

from __future__ import annotations

import asyncio
import logging
import random as _random
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Final, Protocol

from .clock import positive
from .errors import StateError
from .maintenance.expiry_handlers import Sleep
from .maintenance.sweep import SweepReport

__all__ = ["Sweeper"]

_log: Final = logging.getLogger("botstate_ext.expiry")


class Sweepable(Protocol):
    """The part of ``StateScopes`` that a sweeper calls."""

    async def sweep(self) -> SweepReport: ...


class Sweeper:
    """``async with Sweeper(states, every)`` sweeps in the background until the block is left.

    Sweeps begin up to ``every`` apart, a little less at random, so that instances that started
    together spread out; the first at a random time within the first ``every``. One that fails is
    logged, and the next one runs.

    :raises ValueError: ``every`` is zero or negative.
    """

    def __init__(
        self,
        states: Sweepable,
        every: timedelta,
        *,
        sleep: Sleep = asyncio.sleep,
        random: Callable[[], float] = _random.random,
    ) -> None:
        positive(every, "sweep_every")
        self._states, self._every = states, every.total_seconds()
        self._sleep, self._random = sleep, random
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Sweeper:
        self._task = asyncio.create_task(self._run(), name="botstate_ext.sweeper")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_running(self) -> bool:
        """Return True between entering the block and leaving it."""
        return self._task is not None and not self._task.done()

    async def _run(self) -> None:
        await self._sleep(self._every * self._random())
        while True:
            try:
                report = await self._states.sweep()
            except StateError as error:
                _log.error("A sweep failed; the next one runs as usual: %s", error)
            except Exception:  # noqa: BLE001 - logged; one bad sweep must not end them all
                _log.exception("A sweep failed; the next one runs as usual.")
            else:
                if report.expired or report.failed:
                    _log.info("Swept: %s", report)
            await self._sleep(self._every * (0.8 + 0.2 * self._random()))
