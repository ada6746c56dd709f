"""FaultyStorage: fails, waits, or loses an answer at the operation that a test chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ..errors import StateStorageError
from ..storage.base import StateStorage
from ..storage.wrapper import Operation, StorageWrapper, T


class FaultyStorage(StorageWrapper):
    """Passes operations to a real storage, and makes chosen operations fail or wait.

    Each instruction counts for itself the operations that follow it. ``operation``: the kind to
    count: ``"get"`` (a batch is one), ``"put"``, ``"delete"``, ``"list"``; None counts all of them.
    ``at``: the first operation that it acts on; 1 is the next one. ``times``: the number of
    operations that it acts on.
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
        """Raise ``error`` instead of the operation, by default a StateStorageError.

        The storage does not change.
        """
        self._faults.append(_Fault(operation, at, times, error=error, is_lost=False))

    def lose_answer(
        self,
        operation: Operation | None = "put",
        *,
        at: int = 1,
        times: int = 1,
        error: Exception | None = None,
    ) -> None:
        """Run the operation, and then raise ``error``.

        The default is a StateStorageError with an unknown outcome.
        """
        self._faults.append(_Fault(operation, at, times, error=error, is_lost=True))

    def hold(self, operation: Operation | None = None, *, at: int = 1) -> Held:
        """Let the operation wait, before it runs, until it is released."""
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
    """Controls an operation that waits."""

    def __init__(self) -> None:
        self._reached, self._released = asyncio.Event(), asyncio.Event()

    async def reached(self) -> None:
        """Wait until the operation has begun to wait."""
        await self._reached.wait()

    def release(self) -> None:
        """Let the operation run."""
        self._released.set()

    async def wait(self) -> None:
        """Wait for the release. The storage calls it in the operation."""
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
        """Count this operation. Return True if the fault acts on it."""
        if self.operation not in (None, operation):
            return False
        self.seen += 1
        return self.at <= self.seen < self.at + self.times
