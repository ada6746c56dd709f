"""What happened in a simulation: each version of each document, and what each turn saw and did."""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Place: TypeAlias = tuple[str, str]
"""A document's key, and a property that holds a list of marks."""

Content: TypeAlias = dict[str, tuple[str, ...]]
"""The marks of each property of a document."""

Outcome: TypeAlias = Literal["running", "done", "failed", "unknown"]

PROPERTIES: Final = ("log", "plain")


@dataclass(frozen=True, slots=True)
class Version:
    """A document from moment ``at`` on; ``content`` is None where it was deleted."""

    at: int
    writer: str
    content: Content | None

    def marks(self, name: str) -> tuple[str, ...]:
        return (self.content or {}).get(name, ())


@dataclass(frozen=True, slots=True)
class Read:
    """What a turn got of a property. It had begun at ``since``."""

    turn: str
    place: Place
    marks: tuple[str, ...]
    since: int
    at: int


@dataclass(slots=True)
class Mark:
    """One thing that a turn appended. No two are alike, and the name says whose it is."""

    name: str
    turn: str
    place: Place
    outcome: Outcome = "running"
    done_at: float = math.inf


@dataclass(slots=True)
class History:
    """Everything, in the order in which it happened. ``at`` counts the moments."""

    versions: dict[str, list[Version]] = field(default_factory=lambda: defaultdict(list))
    reads: list[Read] = field(default_factory=list)
    marks: dict[str, Mark] = field(default_factory=dict)
    deletions: dict[tuple[str, str], Literal["at once", "staged"]] = field(default_factory=dict)
    """(turn, key) of each document that a turn set out to delete. A replayed turn does so when it
    is committed, and may have written it anew by then."""
    said: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    meant_to_say: dict[str, tuple[Outcome, list[str]]] = field(default_factory=dict)
    """What the last attempt of a turn said, where replies are held, and how the turn ended."""
    cached: int = 0
    """How many documents turns began with from a cache."""
    _moments: itertools.count[int] = field(default_factory=itertools.count)

    def now(self) -> int:
        """This moment, which is after every other."""
        return next(self._moments)

    def stored(self, key: str, data: bytes | None) -> None:
        """A document was written by the turn that is running here, or deleted."""
        content = None if data is None else _content(data)
        self.versions[key].append(Version(self.now(), running_turn.get(), content))

    def acknowledge(self, mark: Mark) -> None:
        """The turn was told that it is stored."""
        mark.outcome, mark.done_at = "done", self.now()

    def new_mark(self, turn: str, place: Place) -> Mark:
        """A mark for the turn to append there."""
        name = f"{turn}.{len(self.marks)}"
        mark = self.marks[name] = Mark(name, turn, place)
        return mark


running_turn: Final[ContextVar[str]] = ContextVar("running_turn")
"""Every task that a turn starts inherits it, so that a storage knows who writes."""


def _content(data: bytes) -> Content:
    document = json.loads(data)
    return {name: tuple(document.get(name, ())) for name in PROPERTIES}
