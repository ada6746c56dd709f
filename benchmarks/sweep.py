"""What a sweep costs: against how many documents there are, and against how many are due.

On memory with its index; on memory listed by page, as any other storage is; and on Azurite where
there is one (`make test` installs it), which takes minutes to be given 100,000 blobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone

from botstate_ext import StateScopes, SweepReport
from botstate_ext.storage import BlobStorage, DueItems, MemoryStorage, StateStorage, StoredItem
from botstate_ext.storage.base import ANY
from botstate_ext.storage.wrapper import StorageWrapper
from botstate_ext.testing import CountingStorage, ManualClock
from tests.azurite import connection_string, find_azurite, running_azurite

from . import report

TOTALS = (1_000, 10_000, 100_000)
DUE = (0, 100, 1_000)
HOUR = timedelta(hours=1)
AT_ONCE = 64


def main() -> None:
    asyncio.run(_main())


async def _main() -> None:
    rows = []
    for total in TOTALS:
        rows += await measured("memory, by index", MemoryStorage(), total)
        rows += await measured("memory, listed", Listed(MemoryStorage()), total)
    program = find_azurite()
    if program is None:
        print("No Azurite: `make test` installs it.\n")
    else:
        with running_azurite(program) as endpoint:
            for total in TOTALS:
                async with _blob(endpoint, f"sweep-{total}") as storage:
                    rows += await measured("Azurite", storage, total)
    heads = ["storage", "documents", "due", "seconds", "listings", "bodies read", "removed"]
    print(report.table("A sweep", heads, rows))


@asynccontextmanager
async def _blob(endpoint: str, container: str) -> AsyncIterator[StateStorage]:
    text = connection_string(endpoint)
    async with BlobStorage(
        connection_string=text,
        container_name=container,
        parallel=AT_ONCE,
        deadline=timedelta(minutes=15),
    ) as storage:
        yield storage


async def measured(name: str, storage: StateStorage, total: int) -> list[list[object]]:
    """A row for each number of due documents, after an untold sweep that makes memory's index."""
    clock = ManualClock(datetime(2024, 1, 1, tzinfo=timezone.utc))
    due, later = await _templates(clock)
    await _put(storage, range(total), later)
    clock.advance(HOUR)
    await StateScopes(storage, clock=clock).sweep()
    rows: list[list[object]] = []
    for number in DUE:
        await _put(storage, range(number), due)
        done, counting = await _swept(storage, clock)
        assert (done.removed, done.failed) == (number, 0)
        assert counting.bodies == number
        rows.append(
            [
                name,
                f"{total:,}",
                f"{number:,}",
                f"{done.seconds:.3f}",
                counting.operations["list"],
                counting.bodies,
                f"{done.removed:,}",
            ]
        )
        await _put(storage, range(number), later)
    return rows


async def _swept(storage: StateStorage, clock: ManualClock) -> tuple[SweepReport, CountingStorage]:
    counting = _Counting(storage)
    states = StateScopes(counting, clock=clock)
    return await states.sweep(per_second=1_000_000), counting


class Listed(StorageWrapper):
    """Without the index of the storage that it is around."""


class _Counting(CountingStorage):
    """Counts, and leaves memory its index."""

    async def list_due(self, entry: str, until: str) -> AsyncIterator[DueItems]:
        indexed = isinstance(self._storage, MemoryStorage)
        source = self._storage.list_due if indexed else super().list_due
        async for page in source(entry, until):
            yield page


async def _templates(clock: ManualClock) -> tuple[StoredItem, StoredItem]:
    """A document that ends in an hour, and one that ends in a thousand."""
    storage = MemoryStorage()
    states = StateScopes(storage, clock=clock)
    order = states.shared.create_property("order")
    async with states.unit_of_work() as work:
        await order.at("due").set(work, {"items": ["pizza"] * 20}, expires_after=HOUR)
        await order.at("later").set(work, {"items": ["pizza"] * 20}, expires_after=1000 * HOUR)
    found = await storage.get_many(("shared/due", "shared/later"))
    return found["shared/due"], found["shared/later"]


async def _put(storage: StateStorage, numbers: range, item: StoredItem) -> None:
    for start in range(numbers.start, numbers.stop, AT_ONCE):
        chunk = range(start, min(start + AT_ONCE, numbers.stop))
        await asyncio.gather(
            *(
                storage.put_if(f"shared/{n}", item.data, etag=ANY, metadata=item.metadata)
                for n in chunk
            )
        )
