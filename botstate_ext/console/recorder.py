"""Recorder: the last saves and turns of this process, for the overview and the live pages."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from ..clock import Clock
from ..unit_of_work.save_events import SavedState
from .changes import ABSENT, MAX_CHANGES, Change, changes, property_path
from .masking import HIDDEN, Mask

if TYPE_CHECKING:
    from ..states.turn_report import TurnReport

KEPT_SAVES: Final = 200
KEPT_TURNS: Final = 10_000
WAITING_SAVES: Final = 100
"""Saves that wait for one slow reader. The oldest are dropped, since no save may wait."""

MAX_WEIGHT: Final = 20_000
"""Characters, about, of a save whose values are compared."""


@dataclass(frozen=True, slots=True)
class Save:
    """One save, without the values that are hidden.

    - ``number``: counts the saves of this process.
    - ``activity_id``: of the activity whose turn wrote it; None outside a turn.
    - ``changes``: what it changed; None if it is too large to be compared. ``omitted``: how many
      changes more there are.
    """

    number: int
    at: datetime
    scope: str
    key: str
    properties: tuple[str, ...]
    is_removed: bool
    etag: str | None
    activity_id: str | None
    changes: tuple[Change, ...] | None = None
    omitted: int = 0


class Recorder:
    """Keeps the last saves and turns, and passes saves on to open pages.

    Its handlers never wait: a page that does not keep up loses the oldest saves.
    """

    def __init__(self, clock: Clock, mask: Mask) -> None:
        self._clock, self._mask = clock, mask
        self.since = clock()
        self.saves: deque[Save] = deque(maxlen=KEPT_SAVES)
        self.turns: deque[tuple[datetime, TurnReport]] = deque(maxlen=KEPT_TURNS)
        self.totals: Counter[str] = Counter()
        self._queues: set[asyncio.Queue[Save]] = set()

    def saved(self, saved: SavedState) -> None:
        """Note a save. A handler of ``states.on_saved``."""
        self.totals["saves"] += 1
        found, omitted = self._changes(saved)
        save = Save(
            self.totals["saves"],
            saved.time,
            saved.scope,
            saved.key,
            saved.properties,
            saved.is_removed,
            saved.etag,
            saved.activity_id,
            found,
            omitted,
        )
        self.saves.append(save)
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(save)

    def turned(self, report: TurnReport) -> None:
        """Note a turn. A handler of ``states.on_turn``."""
        self.turns.append((self._clock(), report))
        self.totals["turns"] += 1
        self.totals["retries"] += report.retries
        self.totals["conflicts"] += report.conflicts
        self.totals["replays"] += report.replays

    def turns_since(self, length: timedelta) -> list[tuple[datetime, TurnReport]]:
        """Return the turns that ended within this time, oldest first."""
        start = self._clock() - length
        return [(at, report) for at, report in self.turns if at >= start]

    def latest(self, count: int, key: str | None = None) -> list[Save]:
        """Return the last saves, newest first; of one document if a key is given."""
        found = (save for save in reversed(self.saves) if key in (None, save.key))
        return list(islice(found, count))

    @contextmanager
    def subscribed(self, after: int | None = None) -> Iterator[asyncio.Queue[Save]]:
        """Return a queue of the saves from now on; and of the kept ones after a number."""
        queue: asyncio.Queue[Save] = asyncio.Queue(WAITING_SAVES)
        if after is not None:
            for save in [save for save in self.saves if save.number > after][-WAITING_SAVES:]:
                queue.put_nowait(save)
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    def _changes(self, saved: SavedState) -> tuple[tuple[Change, ...] | None, int]:
        """Return what a save changed, and how many changes more there are."""
        after, before = saved.values or {}, saved.before or {}
        if not _is_light([after, before]):
            return None, 0
        found: list[Change] = []
        for name in saved.properties:
            old, new = before.get(name, ABSENT), after.get(name, ABSENT)
            if self._mask.hides(name):
                found.append(Change(property_path(name), _hidden(old), _hidden(new)))
            else:
                found += changes(name, self._mask.applied(old), self._mask.applied(new))
        return tuple(found[:MAX_CHANGES]), max(0, len(found) - MAX_CHANGES)


def _hidden(value: Any) -> str | None:
    return None if value is ABSENT else HIDDEN


def _is_light(values: list[Any]) -> bool:
    """Return True if values are small enough to be compared while a save waits for it."""
    weight = 0
    level = values
    while level:
        below: list[Any] = []
        for value in level:
            weight += len(value) if isinstance(value, str) else 1
            if isinstance(value, dict):
                weight += len(value)
                below += value.values()
            elif isinstance(value, list):
                weight += len(value)
                below += value
            if weight > MAX_WEIGHT:
                return False
        level = below
    return True
