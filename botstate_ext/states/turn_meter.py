"""TurnMeter: measures a turn for its `TurnReport`."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Final

import msgspec

from ..errors import StateConflictError
from ..unit_of_work.work_counts import WorkCounts
from .turn_report import Outcome, TurnReport

_OUTCOMES: Final = ("saved", "skipped", "discarded", "saved_after_error")
_NAMES: Final = ("wait", "load", "logic", "save", *_OUTCOMES)
_NOTHING: Final[dict[Any, float]] = dict.fromkeys(_NAMES, 0.0)


class TurnMeter(msgspec.Struct):
    """Holds what is measured of one turn. Made for each turn, so making and marking are cheap.

    - ``marks``: a name and the time at which it begins, again and again. The names are phases
      (``"wait"``, ``"load"``, ``"logic"``, ``"save"``) and, last, the outcome if the turn reached
      one. A turn that runs again adds to them::

          meter.marks += "load", perf_counter()

    - ``counts``: shared with the turn's units of work, one for each attempt.
    """

    marks: list[Any]
    counts: WorkCounts

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
            outcome=phase if phase in _OUTCOMES else _outcome_of(error),
            error=None if error is None else type(error).__name__,
            channel=channel,
        )


def _outcome_of(error: BaseException | None) -> Outcome:
    """Return the outcome of a turn whose state was not saved."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return "conflict" if isinstance(error, StateConflictError) else "failed"
