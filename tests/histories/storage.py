"""A storage of the simulation: distant, unreliable, and it tells all that became of an item."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random

from botstate_ext.errors import StateConflictError, StateStorageError
from botstate_ext.storage import MemoryStorage, StateStorage, StoredItem
from botstate_ext.storage.base import ItemWrite
from botstate_ext.storage.wrapper import Operation, StorageWrapper, T

from .history import History


@dataclass(frozen=True, slots=True)
class Weather:
    """How likely an operation meets each misfortune."""

    fails: float = 0.0
    """It is not carried out, and says so, or does not."""
    loses_answer: float = 0.0
    """It is carried out, and nobody hears of it."""
    echoes: float = 0.0
    """It is carried out, and its driver tries once more, which meets its own trace: a conflict."""
    arrives_late: float = 0.0
    """Its sender has given up by the time it is carried out."""
    is_repeated: float = 0.0
    """It is carried out or not, its driver hears nothing, and sends it again after a while."""

    @classmethod
    def drawn(cls, random: Random) -> Weather:
        """Half of all days are fine."""
        if random.random() < 0.5:
            return cls()
        return cls(*(random.choice((0.0, 0.03, 0.1)) for _ in range(5)))


class SimulatedStorage(StorageWrapper):
    """Every operation takes a while on its way there, and on its way back. Of half of all seeds the
    storage is transactional, if the one inside is."""

    def __init__(
        self,
        history: History,
        random: Random,
        weather: Weather,
        inner: StateStorage | None = None,
    ) -> None:
        super().__init__(inner or MemoryStorage())
        self._history, self._random, self._weather = history, random, weather
        self.transactional = self.transactional and random.random() < 0.5
        self._late: set[asyncio.Task[None]] = set()

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        if self.transactional:
            keys = tuple(keys)
            return await self._run_for("get", keys, lambda: self._storage.get_many(keys))
        # As on Blob: one request for each key, and no two at the same moment.
        reads = [super(SimulatedStorage, self).get_many((key,)) for key in keys]
        found = await asyncio.gather(*reads, return_exceptions=True)
        items: dict[str, StoredItem] = {}
        for outcome in found:
            if isinstance(outcome, BaseException):
                raise outcome
            items.update(outcome)
        return items

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        keys = tuple(write.key for write in writes)
        return await self._run_for("put", keys, lambda: self._storage.write_many(writes))

    def transactional_for(self, keys: Collection[str]) -> bool:
        return self.transactional

    async def settle(self) -> None:
        """Wait for what is still on its way."""
        while self._late:
            await asyncio.gather(*self._late)

    async def _run(
        self, operation: Operation, key: str | None, call: Callable[[], Awaitable[T]]
    ) -> T:
        assert key is not None
        return await self._run_for(operation, (key,), call)

    async def _run_for(
        self, operation: Operation, keys: tuple[str, ...], call: Callable[[], Awaitable[T]]
    ) -> T:
        key = keys[0]
        await self._travel()
        weather, fate = self._weather, self._random.random()
        writes = operation in ("put", "delete")
        if fate < weather.fails:
            raise _failure(operation, key, maybe_written=writes and self._random.random() < 0.5)
        if writes and fate < weather.fails + weather.arrives_late:
            task = asyncio.ensure_future(self._carry_out_late(keys, call))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            raise _failure(operation, key, maybe_written=True)
        if writes and self._random.random() < weather.is_repeated:
            return await self._repeated(keys, call)
        result = await call()
        await self._note(keys, writes)
        fate = self._random.random()
        if writes and fate < weather.loses_answer:
            raise _failure(operation, key, maybe_written=True)
        if operation == "put" and fate < weather.loses_answer + weather.echoes:
            raise StateConflictError("it was changed since it was read", key=key, keys=keys)
        await self._travel()
        return result

    async def _travel(self) -> None:
        await asyncio.sleep(self._random.expovariate(1 / 0.01))

    async def _repeated(self, keys: tuple[str, ...], call: Callable[[], Awaitable[T]]) -> T:
        """A write that a driver sends twice, and whose first answer it never got."""
        first = None
        if self._random.random() < 0.5:
            try:
                first = await call()
            except StateConflictError:
                pass  # nobody hears of it
            else:
                await self._note(keys, writes=True)
        await asyncio.sleep(self._random.expovariate(1 / 0.5))
        try:
            second = await call()
        except StateConflictError as conflict:
            conflict.maybe_written = True
            raise
        await self._note(keys, writes=True)
        await self._travel()
        return first or second  # what a deletion removed is gone by its own hand

    async def _carry_out_late(
        self, keys: tuple[str, ...], call: Callable[[], Awaitable[T]]
    ) -> None:
        await asyncio.sleep(self._random.expovariate(1 / 0.1))
        try:
            await call()
        except StateConflictError:
            return  # someone was faster, and its sender is gone
        await self._note(keys, writes=True)

    async def _note(self, keys: tuple[str, ...], writes: bool) -> None:
        for key in keys if writes else ():
            item = await self._storage.get(key)
            self._history.stored(key, None if item is None else item.data)


def _failure(operation: Operation, key: str, *, maybe_written: bool) -> StateStorageError:
    return StateStorageError(operation, key, "the weather", maybe_written=maybe_written)
