"""TurnMeter: measures a turn for its `TurnReport`."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Final

import msgspec

from ..errors import StateConflictError
from ..unit_of_work.replay_write import Overtaken
from ..unit_of_work.work_counts import WorkCounts
from .turn_report import Outcome, TurnReport

_PHASES: Final = ("wait", "load", "logic", "save")
_USUAL: Final = 10
"""The length of the marks of a turn that ran once; its sums are made without a loop."""


class TurnMeter(msgspec.Struct):
    """Holds what is measured of one turn. Made for each turn, so making and marking are cheap.

    - ``marks``: the name of a phase and the time at which it begins, again and again; a turn that
      runs again passes through the phases again::

          meter.marks += "load", perf_counter()

    - ``counts``: shared with the turn's units of work, one for each attempt.
    - ``outcome``: of the last attempt; None if its state was neither saved nor given up.
    """

    marks: list[Any]
    counts: WorkCounts
    outcome: Outcome | None = None

    def end(self, error: BaseException | None) -> None:
        """Note that the attempt is over. ``error``: raised by it."""
        phase = self.marks[-2]
        if phase == "saved":
            self.outcome = "saved" if error is None else "saved_after_error"
        elif error is None:
            self.outcome = "skipped"
        else:
            is_of_bot = isinstance(error, Exception) and not isinstance(error, Overtaken)
            self.outcome = "discarded" if phase == "logic" and is_of_bot else None

    def report(self, channel: str | None, error: BaseException | None) -> TurnReport:
        """Return the report of the turn, which ends now. ``error``: raised by it."""
        marks, counts, now = self.marks, self.counts, perf_counter()
        if len(marks) == _USUAL and marks[-2] == "saved":
            _, begun, _, loads, _, runs, _, saves, _, ended = marks
            wait, load, logic, save = loads - begun, runs - loads, saves - runs, ended - saves
            attempts = 1
        else:
            begun, attempts = marks[1], marks.count("load")
            wait, load, logic, save = _sums(marks, now)
        return TurnReport(
            wait=wait,
            load=load,
            logic=logic,
            save=save,
            seconds=now - begun,
            read=counts.read,
            written=counts.written,
            retries=counts.retries,
            conflicts=counts.conflicts,
            replays=max(attempts - 1, 0),
            outcome=self.outcome or _outcome_of(error),
            error=None if error is None else type(error).__name__,
            channel=channel,
            cached=counts.cached,
        )


def _sums(marks: list[Any], now: float) -> list[float]:
    """Return the seconds in each of the `_PHASES`, over all attempts."""
    seconds = dict.fromkeys((*_PHASES, "saved"), 0.0)
    names, starts = marks[::2], marks[1::2]
    for name, start, end in zip(names, starts, [*starts[1:], now], strict=True):
        seconds[name] += end - start
    return [seconds[phase] for phase in _PHASES]


def _outcome_of(error: BaseException | None) -> Outcome:
    """Return the outcome of a turn whose state was not saved."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return "conflict" if isinstance(error, StateConflictError) else "failed"
