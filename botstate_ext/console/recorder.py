"""Recorder: the last saves and turns of this process, for the overview and the live pages."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from ..clock import Clock
from ..documents.pending_writes import Changes
from ..serialization import json_text, jsonpickle
from ..unit_of_work.save_events import WriteEvent
from .changes import ABSENT, MAX_CHANGES, Change, changes, property_path
from .masking import HIDDEN, Mask

if TYPE_CHECKING:
    from ..states.turn_report import TurnReport

KEPT_SAVES: Final = 200
KEPT_TURNS: Final = 10_000
WAITING_SAVES: Final = 100
"""Saves that wait for one slow reader. The oldest are dropped, since no save may wait."""

MAX_BYTES: Final = 32_000
"""The texts of a save are kept if they are at most so large together."""


@dataclass(frozen=True, slots=True)
class Save:
    """Describes one save.

    - ``number``: counts the saves of this process.
    - ``activity_id``: of the activity whose turn wrote it; None outside a turn.
    - ``after``, ``before``: the texts of the changed properties; None if they are too large to be
      kept, or if the replaced texts are not known.
    """

    number: int
    at: datetime
    scope: str
    key: str
    properties: tuple[str, ...]
    is_removed: bool
    activity_id: str | None
    after: Changes | None
    before: Changes | None


@dataclass(frozen=True, slots=True)
class Compared:
    """Holds a save and its changes, without hidden values.

    ``changes``: None if it is too large to be compared. ``omitted``: how many changes more there
    are.
    """

    save: Save
    changes: tuple[Change, ...] | None = None
    omitted: int = 0


class Recorder:
    """Keeps the last saves and turns, and passes saves on to open pages.

    A save pays for a few references: texts are decoded and compared when someone looks. Its
    watchers never wait: a page that does not keep up loses the oldest saves.
    """

    def __init__(self, clock: Clock, mask: Mask) -> None:
        self._clock, self._mask = clock, mask
        self.since = clock()
        self.saves: deque[Save] = deque(maxlen=KEPT_SAVES)
        self.turns: deque[tuple[datetime, TurnReport]] = deque(maxlen=KEPT_TURNS)
        self.saved = 0
        self._queues: set[asyncio.Queue[Save]] = set()

    def watch(self, event: WriteEvent) -> None:
        """Note a save."""
        self.saved += 1
        is_light = _size(event.changes) + _size(event.replaced) <= MAX_BYTES
        save = Save(
            self.saved,
            event.origin.time,
            event.location.scope,
            event.location.key,
            tuple(sorted(event.changes)),
            event.is_removed,
            event.origin.activity_id,
            event.changes if is_light else None,
            event.replaced if is_light else None,
        )
        self.saves.append(save)
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(save)

    def turned(self, report: TurnReport) -> None:
        """Note a turn. A handler of ``states.on_turn``."""
        self.turns.append((self._clock(), report))

    def turns_since(self, length: timedelta) -> list[tuple[datetime, TurnReport]]:
        """Return the turns that ended within this time, oldest first."""
        start = self._clock() - length
        return [(at, report) for at, report in self.turns if at >= start]

    def latest(self, count: int, key: str | None = None) -> list[Save]:
        """Return the last saves, newest first; of one document if a key is given."""
        found = (save for save in reversed(self.saves) if key in (None, save.key))
        return list(islice(found, count))

    def compared(self, save: Save) -> Compared:
        """Return what a save changed."""
        if save.after is None:
            return Compared(save)
        before = save.before or {}
        found: list[Change] = []
        for name in save.properties:
            old, new = self._value(name, before.get(name)), self._value(name, save.after[name])
            if self._mask.hides(name):  # two hidden values look the same
                found.append(Change(property_path(name), _hidden(old), _hidden(new)))
            else:
                found += changes(name, old, new)
        return Compared(save, tuple(found[:MAX_CHANGES]), max(0, len(found) - MAX_CHANGES))

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

    def _value(self, name: str, text: bytes | None) -> Any:
        """Return the value of a text, without what is hidden."""
        if text is None:
            return ABSENT
        if self._mask.hides(name):
            return HIDDEN
        value = json_text.loads(text)
        plain = jsonpickle.to_plain(value) if jsonpickle.has_tags(text) else value
        return self._mask.applied(plain)


def _hidden(value: Any) -> str | None:
    return None if value is ABSENT else HIDDEN


def _size(texts: Changes | None) -> int:
    return sum(len(text) for text in (texts or {}).values() if text is not None)
