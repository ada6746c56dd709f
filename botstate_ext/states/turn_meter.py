"""TurnMeter: measures a turn for its `TurnReport`."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from ..errors import StateConflictError
from ..unit_of_work.replay_write import Overtaken
from ..unit_of_work.work_counts import WorkCounts
from .turn_report import Outcome, TurnReport

Phase: TypeAlias = Literal["wait", "load", "logic", "save", "saved"]

_NOTHING: Final[dict[Any, float]] = dict.fromkeys(get_args(Phase), 0.0)


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
        marks, counts = self.marks, self.counts
        begun, now = marks[1], perf_counter()
        seconds, phase, since = _NOTHING.copy(), marks[0], begun
        each = iter(marks)
        for name, start in zip(each, each):  # noqa: B905 - they are in pairs
            seconds[phase] += start - since
            phase, since = name, start
        seconds[phase] += now - since
        return TurnReport(
            wait=seconds["wait"],
            load=seconds["load"],
            logic=seconds["logic"],
            save=seconds["save"],
            seconds=now - begun,
            read=counts.read,
            written=counts.written,
            retries=counts.retries,
            conflicts=counts.conflicts,
            replays=max(marks.count("load") - 1, 0),
            outcome=self.outcome or _outcome_of(error),
            error=None if error is None else type(error).__name__,
            channel=channel,
        )


def _outcome_of(error: BaseException | None) -> Outcome:
    """Return the outcome of a turn whose state was not saved."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return "conflict" if isinstance(error, StateConflictError) else "failed"
