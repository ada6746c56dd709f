"""Search: finds documents of a scope that pass some filters, within a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ..clock import Clock
from ..errors import StateQueryError
from ..jsonpath import JsonPath
from ..keys.scopes import CONVERSATIONS
from ..listing.listing import KeyRange, Listing, with_data
from ..listing.records import DocumentRecord
from ..scopes.scope import StateScope
from ..storage.base import StateStorage
from .masking import Mask

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS: Final = 50
"""Documents of a page."""

BUDGET: Final = 0.3
"""Seconds of one search. Then the page shows what was found, and goes on when asked to."""

_CHOOSING: Final = 500
_WITH_DATA: Final = 100


@dataclass(frozen=True, slots=True)
class Filters:
    """Says which documents are looked for.

    - ``channel_id``, ``tags``, ``key_prefix``: see `StateScope.list_documents`.
    - ``since``, ``until``: of the last update.
    - ``path``: only documents in which it finds something.
    """

    channel_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    key_prefix: str = ""
    since: datetime | None = None
    until: datetime | None = None
    path: JsonPath | None = None

    @property
    def has_times(self) -> bool:
        """Return True if the time of the last update matters."""
        return self.since is not None or self.until is not None

    def match(self, record: DocumentRecord) -> bool:
        """Return True if a record passes the filters that need no data."""
        if self.since is not None and record.updated < self.since:
            return False
        return self.until is None or record.updated < self.until


@dataclass(frozen=True, slots=True)
class Position:
    """Marks where a search goes on: a listing's token, and the last key looked at since."""

    token: str | None = None
    after: str = ""


@dataclass(slots=True)
class Result:
    """Holds the documents that a search found.

    - ``rows``: records, each with the answer of the path, or None without a path.
    - ``next``: where to go on; None at the end. ``is_cut``: True if the time was over.
    - ``looked_at``: how many documents it looked at. ``too_much``: in how many of them the path
      went over a limit.
    """

    rows: list[tuple[DocumentRecord, Any]] = field(default_factory=list)
    next: Position | None = None
    is_cut: bool = False
    looked_at: int = 0
    too_much: int = 0


class Search:
    """Looks for documents of a scope.

    Values go through the mask before the path sees them, so that nobody can find out a hidden value
    by a filter. ``timer``: returns seconds.
    """

    def __init__(
        self,
        storage: StateStorage,
        clock: Clock,
        mask: Mask,
        *,
        budget: float = BUDGET,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage, self._clock, self._mask = storage, clock, mask
        self._budget, self._timer = budget, timer

    async def run(self, scope: StateScope, filters: Filters, start: Position) -> Result:
        """Return a page of documents, or fewer if the time is over.

        :raises StateError: as `StateScope.list_documents`.
        """
        listing = Listing(
            self._storage,
            self._clock,
            KeyRange(scope.row, scope.namespace),
            channel_id=filters.channel_id,
            tags=filters.tags,
            key_prefix=filters.key_prefix,
        )
        size = self._step(scope, filters)
        ends = self._timer() + self._budget
        result = Result(next=start)
        while result.next is not None and len(result.rows) < ROWS:
            if self._timer() >= ends and result.next != start:
                result.is_cut = True
                break
            position = result.next
            step = await listing.step(size, position.token)
            records = [record for record in step.items if record.key > position.after]
            token = step.continuation_token
            result.next = None if token is None else Position(token)
            last = await self._add(scope, filters, records, result, ends)
            if last is not None:
                result.next, result.is_cut = Position(position.token, last), True
                break
        return result

    @staticmethod
    def _step(scope: StateScope, filters: Filters) -> int:
        """Return how many items of the storage to look at before the time is looked at."""
        if filters.path is not None:
            return _WITH_DATA
        # Keys of conversations are of two scopes.
        chooses = filters.has_times or filters.tags or scope.row.folder == CONVERSATIONS
        return _CHOOSING if chooses else ROWS

    async def _add(
        self,
        scope: StateScope,
        filters: Filters,
        records: Sequence[DocumentRecord],
        result: Result,
        ends: float,
    ) -> str | None:
        """Add the matches. Return the last key that was looked at if the time ended before."""
        matches = [record for record in records if filters.match(record)]
        if filters.path is None:
            result.looked_at += len(records)
            result.rows += [(record, None) for record in matches]
            return None
        found = with_data(self._storage, self._clock, matches, scope._policies)
        async for record in found:
            result.looked_at += 1
            try:
                # In a thread: a slow path does not hold up the turns of the bot.
                data = self._mask.properties(record.data or {})
                answers = await asyncio.to_thread(filters.path.find, data)
            except StateQueryError:
                result.too_much += 1
            else:
                if answers:
                    result.rows.append((record, answers[0] if len(answers) == 1 else answers))
            if self._timer() >= ends:
                return None if record.key == matches[-1].key else record.key
        return None
