"""Processes whose turns all append to one order, each process in a conversation of its own.

Each way of doing so is told by its name: see `WAYS`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any, Final, TypeAlias

from botbuilder.core import AutoSaveStateMiddleware, ConversationState, TurnContext

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext.storage import StateStorage
from botstate_ext.testing import CountingStorage

from . import engines, turns

WAYS: Final = ("upstream", "update", "merge", "lease", "replay")
LONG_WAIT: Final = timedelta(minutes=5)
ORDER: Final = "1"
MAYBE: Final = ", maybe written"
"""Ends the name of a failure after which the item may be in the order."""

Append: TypeAlias = Callable[[str, str], Awaitable[None]]
"""Appends one item in a turn of a conversation; returns when it is acknowledged."""

# Forked from one process that has imported everything: a start takes milliseconds, not seconds.
_processes: Final = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__, "azure.storage.blob.aio"])


@dataclass(frozen=True)
class Place:
    """The order: the address of a server, and the name of a container, table or file there."""

    connection_string: str = field(repr=False)
    container: str
    # To measure conflicts: no deadline that a busy machine reaches.
    deadline: timedelta = engines.DEADLINE
    kind: str = "blob"

    def storage(self) -> StateStorage:
        return engines.opened(self.kind, self.connection_string, self.container, self.deadline)

    async def items(self) -> list[str]:
        """What the order holds, however it was written."""
        async with StateScopes(self.storage()) as states:
            turn = TurnContext(turns.ours().adapter, turns.activity("order"))
            ours = await states.shared.create_property("order").at(ORDER).get(turn)
            theirs = await states.conversation.create_property("order").get(turn)
        return [*(ours or ()), *(theirs or ())]


@dataclass
class Outcome:
    """What one process comes to: what was acknowledged, how often that failed, and how many writes
    of the order it took."""

    acknowledged: list[str] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    """The failure of each item that was not acknowledged."""
    writes: int = 0


class Worker:
    """One such process. It begins when it is told to."""

    def __init__(self, way: str, place: Place, name: str, count: int, writers: int) -> None:
        self._pipe, theirs = _processes.Pipe()
        arguments = (way, place, name, count, writers, theirs)
        self.process = _processes.Process(target=_run, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    async def ready(self) -> None:
        """Return when it only waits to be told."""
        await asyncio.to_thread(self._pipe.recv)

    def go(self) -> None:
        self._pipe.send("go")

    async def acknowledged(self) -> str | None:
        """The next item that it says is in the order; None when there are no more."""
        told = await asyncio.to_thread(self._told)
        return told if isinstance(told, str) else None

    async def outcome(self) -> Outcome:
        """What it came to, when it has done all."""
        while True:
            told = await asyncio.to_thread(self._told)
            if not isinstance(told, str):
                assert isinstance(told, Outcome), "it was killed"
                return told

    def _told(self) -> str | Outcome | None:
        try:
            told: str | Outcome = self._pipe.recv()
        except EOFError:
            return None
        return told

    def kill(self) -> None:
        self.process.kill()

    def join(self) -> None:
        self.process.join()
        self._pipe.close()


@contextmanager
def workers(
    way: str, place: Place, names: list[str], count: int, writers: int = 1
) -> Iterator[list[Worker]]:
    """Processes in each of which so many writers append so many items each; no process is left
    behind."""
    started = [Worker(way, place, name, count, writers) for name in names]
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()
            worker.join()


def _run(way: str, place: Place, name: str, count: int, writers: int, pipe: Connection) -> None:
    asyncio.run(_append_all(way, place, name, count, writers, pipe))


async def _append_all(
    way: str, place: Place, name: str, count: int, writers: int, pipe: Connection
) -> None:
    outcome = Outcome()
    async with _OPEN[way](place, outcome) as append:
        pipe.send("ready")
        pipe.recv()
        names = [name, *(f"{name}.{number}" for number in range(1, writers))]
        await asyncio.gather(*(_append_some(append, each, count, outcome, pipe) for each in names))
    pipe.send(outcome)


async def _append_some(
    append: Append, name: str, count: int, outcome: Outcome, pipe: Connection
) -> None:
    """Append so many items one by one, in a conversation with this name."""
    for number in range(count):
        item = f"{name}-{number}"
        try:
            await append(name, item)
        except Exception as error:  # noqa: BLE001  # upstream raises whatever the driver does
            failure = type(error).__name__
            failure += MAYBE if getattr(error, "maybe_written", False) else ""
            outcome.failures[failure] += 1
            outcome.failed[item] = failure
            continue
        outcome.acknowledged.append(item)
        pipe.send(item)


@asynccontextmanager
async def _upstream(place: Place, outcome: Outcome) -> AsyncIterator[Append]:
    from botbuilder.azure import BlobStorage as UpstreamBlobStorage
    from botbuilder.azure import BlobStorageSettings

    settings = BlobStorageSettings(place.container, connection_string=place.connection_string)
    storage = UpstreamBlobStorage(settings)
    state = ConversationState(storage)
    order = state.create_property("order")
    bot = turns.Bot(None, state, AutoSaveStateMiddleware([state]))

    async def append(conversation: str, item: str) -> None:
        async def logic(turn: TurnContext) -> None:
            (await order.get(turn, list)).append(item)

        outcome.writes += 1
        await bot.turn(logic, "order")

    yield append


@asynccontextmanager
async def _ours(
    place: Place, outcome: Outcome, way: str, options: Mapping[str, Any]
) -> AsyncIterator[Append]:
    storage = place.storage()
    counting = CountingStorage(storage)
    async with StateScopes(counting) as states:
        merge: Any = "append" if way == "merge" else None
        order = states.shared.create_property("order", merge=merge).at(ORDER)
        if way == "lease":
            lock = engines.LOCKS[place.kind](storage, by=lambda turn: "order", wait=LONG_WAIT)
            options = {"serialize_turns": lock}
        bot = turns.Bot(None, None, StateMiddleware(states, **options))

        async def append(conversation: str, item: str) -> None:
            async def update(turn: TurnContext) -> None:
                await order.update(turn, lambda items: [*items, item], default=list)

            async def change(turn: TurnContext) -> None:
                (await order.get(turn, list)).append(item)

            await bot.turn(update if way == "update" else change, conversation)

        yield append
        outcome.writes = counting.keys_written[f"shared/{ORDER}"]


def _way(way: str, **options: Any) -> Callable[..., AbstractAsyncContextManager[Append]]:
    return lambda place, outcome: _ours(place, outcome, way, options)


_OPEN: Final[Mapping[str, Callable[..., AbstractAsyncContextManager[Append]]]] = {
    "upstream": _upstream,
    "update": _way("update"),
    "merge": _way("merge"),
    "lease": _way("lease"),
    "replay": _way("replay", on_conflict="replay"),
}
