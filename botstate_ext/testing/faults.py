"""A storage that fails, waits, or loses its answer, exactly when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ..errors import StateStorageError
from ..storage.base import StateStorage
from ..storage.wrapper import Operation, StorageWrapper, T


class FaultyStorage(StorageWrapper):
    """Around a real storage; without instructions it does as that does.

    Each instruction is for the ``at``-th operation from then on (1 is the next), of that kind or,
    with None, of any: ``"get"`` (a batch is one), ``"put"``, ``"delete"``, ``"list"``; and for
    ``times`` operations from there. Instructions are counted each by itself.
    """

    def __init__(self, storage: StateStorage) -> None:
        super().__init__(storage)
        self._faults: list[_Fault] = []

    def fail(
        self,
        operation: Operation | None = None,
        *,
        at: int = 1,
        times: int = 1,
        error: Exception | None = None,
    ) -> None:
        """Raise ``error``, or else a StateStorageError, and leave the storage as it is."""
        self._faults.append(_Fault(operation, at, times, error=error, is_lost=False))

    def lose_answer(
        self,
        operation: Operation | None = "put",
        *,
        at: int = 1,
        times: int = 1,
        error: Exception | None = None,
    ) -> None:
        """Carry it out, and then raise ``error``, or else a StateStorageError as if nobody knew."""
        self._faults.append(_Fault(operation, at, times, error=error, is_lost=True))

    def hold(self, operation: Operation | None = None, *, at: int = 1) -> Held:
        """Let that operation wait, before it is carried out, until it is released."""
        held = Held()
        self._faults.append(_Fault(operation, at, times=1, held=held))
        return held

    async def _run(
        self, operation: Operation, key: str | None, call: Callable[[], Awaitable[T]]
    ) -> T:
        due = [fault for fault in self._faults if fault.is_due(operation)]
        for fault in due:
            if fault.held is not None:
                await fault.held.wait()
        failing = next((fault for fault in due if fault.held is None), None)
        if failing is None:
            return await call()
        if failing.is_lost:
            await call()
        raise failing.error or StateStorageError(
            "read" if operation == "get" else operation,
            key,
            "FaultyStorage was told to fail.",
            maybe_written=failing.is_lost and operation in ("put", "delete"),
        )


class Held:
    """An operation that waits."""

    def __init__(self) -> None:
        self._reached, self._released = asyncio.Event(), asyncio.Event()

    async def reached(self) -> None:
        """Return when the operation has begun to wait."""
        await self._reached.wait()

    def release(self) -> None:
        """Let it go on."""
        self._released.set()

    async def wait(self) -> None:
        """What the operation does."""
        self._reached.set()
        await self._released.wait()


@dataclass
class _Fault:
    operation: Operation | None
    at: int
    times: int
    error: Exception | None = None
    is_lost: bool = False
    held: Held | None = None
    seen: int = field(default=0, init=False)

    def is_due(self, operation: Operation) -> bool:
        """Count this operation, and say whether it is one of those that are meant."""
        if self.operation not in (None, operation):
            return False
        self.seen += 1
        return self.at <= self.seen < self.at + self.times
