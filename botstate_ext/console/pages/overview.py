"""The overview: the scopes, the turns of the last minutes, the last saves."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from aiohttp import web

from ...errors import StateStorageError
from ...listing.listing import KeyRange, Listing
from ...scopes.scope import StateScope
from .. import chart

if TYPE_CHECKING:
    from ..console import Console

COUNTED: Final = 1_000
"""Documents of a scope that are counted. Of more, the page says "1,000+"."""

_BUDGET: Final = 0.25
_GRACE: Final = 0.5
_STEP: Final = 250
_AT_A_TIME: Final = 4
_SAVES: Final = 8


@dataclass(slots=True)
class Tile:
    """Holds the count and the bytes of a scope's documents; of a part of them if ``has_more``."""

    scope: str
    count: int = 0
    size: int = 0
    updated: datetime | None = None
    has_more: bool = False
    problem: str | None = None

    @property
    def text(self) -> str:
        """Return the count as it is shown."""
        if self.has_more and not self.count:
            return "?"
        return f"{self.count:,}{'+' if self.has_more else ''}"


def routes(console: Console) -> list[web.RouteDef]:
    """Return the route of this page."""
    recorder = console.recorder

    async def overview(request: web.Request) -> web.StreamResponse:
        now, turns = console.clock(), recorder.turns_since(chart.SPAN)
        reports = [report for _, report in turns]
        return console.page(
            request,
            "overview.html",
            tiles=await _tiles(console),
            storage=type(console.states.storage).__name__,
            since=recorder.since,
            saved=recorder.saved,
            turns=len(turns),
            is_full=len(recorder.turns) == recorder.turns.maxlen,
            outcomes=Counter(report.outcome for report in reports).most_common(),
            sums={
                name: sum(getattr(report, name) for report in reports)
                for name in ("retries", "conflicts", "replays", "read", "written")
            },
            counts=chart.count_chart(turns, now),
            times=chart.time_chart(turns, now),
            percentiles=chart.percentiles(turns),
            saves=recorder.latest(_SAVES),
        )

    return [web.get("/", overview)]


async def _tiles(console: Console) -> list[Tile]:
    """Return the tiles of all scopes, counted a few at a time."""
    some = asyncio.Semaphore(_AT_A_TIME)
    ends = time.monotonic() + _BUDGET

    async def one(scope: StateScope) -> Tile:
        async with some:
            tile = Tile(scope.scope_name)
            try:
                await _count(console, scope, tile, ends)
            except StateStorageError as error:
                tile.problem = str(error)
            return tile

    return list(await asyncio.gather(*map(one, console.states)))


async def _count(console: Console, scope: StateScope, tile: Tile, ends: float) -> None:
    key_range = KeyRange(scope.row, scope.namespace)
    listing = Listing(console.states.storage, console.clock, key_range)
    token: str | None = None
    while True:
        page = await listing.step(min(_STEP, COUNTED - tile.count), token)
        for record in page.items:
            tile.count += 1
            tile.size += record.size
            tile.updated = max(tile.updated or record.updated, record.updated)
        token = page.continuation_token
        if token is None:
            return
        # Each scope shows something, if there is something to be found soon.
        over = time.monotonic() - ends
        if tile.count >= COUNTED or over >= (0 if tile.count else _GRACE):
            tile.has_more = True
            return
