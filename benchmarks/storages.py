"""All storages side by side, in one run: `python -m benchmarks storages`. Takes some ten minutes.

The servers are on this machine, so what is told is what they and this package cost, without a
network. On a machine that others use compare rows of one run only.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import botbuilder.core as sdk
from botbuilder.core import AutoSaveStateMiddleware, Storage, TurnContext
from botbuilder.core.adapters import TestAdapter

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext.documents.metadata import NEXT_EXPIRY
from botstate_ext.storage import ItemWrite, MemoryStorage, StateStorage, StoredItem
from botstate_ext.storage.parallel import for_each
from botstate_ext.testing import ManualClock
from tests import cosmos

from . import engines, report
from .turns import activity

KINDS: Final = ("memory", "sqlite", "postgres", "redis", "blob", "cosmos")
SDKS: Final = ("memory", "blob", "cosmos")
NAMES: Final = {
    "memory": "memory",
    "sqlite": "SQLite",
    "postgres": "PostgreSQL",
    "redis": "Redis",
    "blob": "Azurite",
    "cosmos": "Cosmos DB's emulator",
}
TURNS: Final = 60
AT_ONCE: Final = 64
ROUNDS: Final = 3
FEW, MANY, DUE = 2_000, 20_000, 200
ERASED_AMONG: Final = 10_000
# The emulators take some 30 documents a second, and answer ever more slowly the more they hold.
MOST: Final = {"blob": FEW, "cosmos": 400}
HOUR: Final = timedelta(hours=1)
NOON: Final = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)
VALUE: Final = {"items": ["pizza"] * 20, "name": "Ann"}

Turn = Callable[[str], Awaitable[None]]


def main() -> None:
    rows: dict[str, list[list[object]]] = {"turns": [], "whole": []}
    for kind in KINDS:
        starts = engines.STARTS.get(kind, nullcontext)
        try:
            with starts() as address:
                asyncio.run(_measure(kind, address, rows))
        except LookupError as absent:
            print(f"{NAMES[kind]}: {absent}", file=sys.stderr)
    print(
        report.table(
            "Turns: 4 documents loaded, 2 written",
            ("storage", "a turn, ms", "the SDK's own", "64 at once, turns a second", "the SDK's"),
            _beside_azurite(rows["turns"]),
        )
    )
    print(
        report.table(
            "Work on a whole storage, ms",
            (
                "storage",
                f"a page of 100 of {MANY:,}",
                f"{DUE} due found among {FEW:,}",
                f"among {MANY:,}",
                f"a sweep of these {DUE}",
                f"a user erased among {ERASED_AMONG:,}",
            ),
            rows["whole"],
        )
    )


async def _measure(kind: str, address: Any, rows: dict[str, list[list[object]]]) -> None:
    print(NAMES[kind], file=sys.stderr)
    async with _opened(kind, address, "bench-turns") as storage:
        mine = await _turns_of(_ours(storage))
    theirs = None
    if kind in SDKS:
        of_sdk = _sdk_storage(kind, address)
        theirs = await _turns_of(_sdks(of_sdk))
        if kind == "blob":  # it has no way to close its client
            await of_sdk._BlobStorage__container_client._pipeline._transport._transport.close()
    rows["turns"].append([NAMES[kind], *_columns(mine, theirs)])
    print(rows["turns"][-1], file=sys.stderr)
    async with _opened(kind, address, "bench-whole") as storage:
        rows["whole"].append([NAMES[kind], *await _whole(storage, MOST.get(kind, MANY))])
    print(rows["whole"][-1], file=sys.stderr)


def _opened(kind: str, address: Any, name: str) -> StateStorage:
    return MemoryStorage() if kind == "memory" else engines.opened(kind, address, name)


def _columns(mine: tuple[float, float], theirs: tuple[float, float] | None) -> list[object]:
    other = ("", "") if theirs is None else (f"{theirs[0]:.2f}", f"{theirs[1]:.0f}")
    return [f"{mine[0]:.2f}", other[0], mine[1], other[1]]


def _beside_azurite(rows: list[list[object]]) -> list[list[object]]:
    """Write how many times Azurite's turns a second each storage has."""
    of = {str(row[0]): float(str(row[3])) for row in rows}
    base = of.get(NAMES["blob"])
    for row in rows:
        times = "" if base is None else f" ({of[str(row[0])] / base:.1f} times Azurite's)"
        row[3] = f"{of[str(row[0])]:.0f}{times}"
    return rows


async def _turns_of(turn: Turn) -> tuple[float, float]:
    """Return the milliseconds of a turn, and the turns a second of 64 conversations at once."""
    await asyncio.gather(*(turn(f"c{number}") for number in range(AT_ONCE)))  # they exist now
    seconds = []
    for number in range(TURNS):
        begun = time.perf_counter()
        await turn(f"c{number % AT_ONCE}")
        seconds.append(time.perf_counter() - begun)
    rates = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        await asyncio.gather(*(turn(f"c{number}") for number in range(AT_ONCE)))
        rates.append(AT_ONCE / (time.perf_counter() - begun))
    return statistics.median(seconds) * 1000, statistics.median(rates)


def _ours(storage: StateStorage) -> Turn:
    states = StateScopes(storage)
    return _bot(
        [states.user, states.conversation, states.private, states.bot], StateMiddleware(states)
    )


class _FourthState(sdk.BotState):
    """A scope as the SDK's are: it has three."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage, "_FourthState")

    def get_storage_key(self, turn_context: TurnContext) -> str:
        return f"bot/{turn_context.activity.conversation.id}"


def _sdks(storage: Storage) -> Turn:
    kinds = (sdk.UserState, sdk.ConversationState, sdk.PrivateConversationState, _FourthState)
    states = [kind(storage) for kind in kinds]
    return _bot(states, AutoSaveStateMiddleware(states))


def _bot(states: list[Any], middleware: Any) -> Turn:
    values = [state.create_property("value") for state in states]
    adapter = TestAdapter()
    adapter.use(middleware)
    count = 0

    async def logic(turn: TurnContext) -> None:
        nonlocal count
        count += 1
        found = [await value.get(turn, dict) for value in values]
        for value in found[:2]:
            value.update(VALUE, count=count)

    async def run(conversation: str) -> None:
        message = activity(conversation)
        message.from_property.id = message.recipient.id = f"of-{conversation}"
        await adapter.run_pipeline(TurnContext(adapter, message), logic)

    return run


def _sdk_storage(kind: str, address: Any) -> Any:
    if kind == "memory":
        return sdk.MemoryStorage()
    from botbuilder import azure

    if kind == "blob":
        settings = azure.BlobStorageSettings("bench-sdk", connection_string=address)
        return azure.BlobStorage(settings)
    from azure.cosmos import documents

    policy = documents.ConnectionPolicy()
    policy.EnableEndpointDiscovery = False
    config = azure.CosmosDbPartitionedConfig(
        cosmos_db_endpoint=address,
        auth_key=cosmos.KEY,
        database_id="sdk",
        container_id="sdk",
        cosmos_client_options={"connection_policy": policy},
    )
    return azure.CosmosDbPartitionedStorage(config)


async def _whole(storage: StateStorage, most: int) -> list[object]:
    clock = ManualClock(NOON)
    due, later, of_user = await _templates(clock)
    clock.advance(HOUR)
    states = StateScopes(storage, clock=clock)
    until = due.metadata[NEXT_EXPIRY]
    await _fill(storage, "test/conversations/", range(DUE), due)
    few = min(FEW, most) // 2
    await _fill(storage, "test/conversations/", range(DUE, few), later)
    await _fill(storage, "test/users/", range(few), of_user)
    found_among_few = await _milliseconds(lambda: _found(storage, until))
    await _fill(storage, "test/conversations/", range(few, most // 2), later)
    await _fill(storage, "test/users/", range(few, most // 2), of_user)
    many = await _milliseconds(lambda: _found(storage, until))
    page = await _milliseconds(lambda: storage.list_page("test/users/1", limit=100))
    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        await states.user.create_property("order").set(work, VALUE)
    begun = time.perf_counter()
    swept = await states.sweep(per_second=1_000_000)
    sweep = (time.perf_counter() - begun) * 1000
    assert (swept.removed, swept.failed) == (DUE, 0)
    begun = time.perf_counter()
    erased = await states.erase_user("test", "ann")
    erasure = (time.perf_counter() - begun) * 1000
    assert erased.removed == ("test/users/ann",)
    note = "" if most == MANY else f" (of {most:,})"
    return [
        f"{page:.1f}{note}",
        f"{found_among_few:.1f}{note}",
        f"{many:.1f}{note}",
        f"{sweep:.0f}{note}",
        f"{erasure:.0f}{note and f' ({most // 2:,})'}",
    ]


async def _milliseconds(call: Callable[[], Awaitable[Any]]) -> float:
    """Return how long a call takes: the median of seven, or of as many as ten seconds hold."""
    seconds: list[float] = []
    while len(seconds) < 7 and sum(seconds) < 10:
        begun = time.perf_counter()
        await call()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds) * 1000


async def _found(storage: StateStorage, until: str) -> None:
    pages = [page async for page in storage.list_due(NEXT_EXPIRY, until)]
    assert sum(len(page.items) for page in pages) == DUE


async def _templates(clock: ManualClock) -> list[StoredItem]:
    """Conversations that end in an hour and in a thousand, and a user that ends in a thousand."""
    storage = MemoryStorage()
    states = StateScopes(storage, clock=clock)
    talk, user = states.conversation, states.user
    for scope, hours in ((talk, 1), (talk, 1000), (user, 1000)):
        order, name = scope.create_property("order"), str(hours)
        async with states.unit_of_work(
            channel_id="test", user_id=name, conversation_id=name
        ) as work:
            await order.set(work, VALUE, expires_after=hours * HOUR)
    keys = ["test/conversations/1", "test/conversations/1000", "test/users/1000"]
    found = await storage.get_many(keys)
    return [found[key] for key in keys]


async def _fill(storage: StateStorage, prefix: str, numbers: range, item: StoredItem) -> None:
    keys = [f"{prefix}{number}" for number in numbers]
    if storage.transactional:
        for start in range(0, len(keys), 500):
            some = keys[start : start + 500]
            await storage.write_many([ItemWrite(k, item.data, None, item.metadata) for k in some])
        return
    await for_each(
        keys,
        lambda key: storage.put_if(key, item.data, etag=None, metadata=item.metadata),
        parallel=AT_ONCE,
    )
