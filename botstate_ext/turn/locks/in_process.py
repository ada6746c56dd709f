"""InProcessTurnLock: turns of one conversation in one process."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from .base import OnTimeout, TurnKey, TurnLock
from .key_queue import KeyQueue, WaitFor, wait_for


class InProcessTurnLock(TurnLock):
    """Turns of one conversation in this process, one after another, first come first served.

    The default of ``StateMiddleware``. It costs no request and, for a conversation in which no turn
    runs, no memory. See `TurnLock` for ``wait``, ``invoke_wait``, ``by`` and ``on_timeout``.
    ``wait_for`` is for tests. Middleware of several adapters that share a conversation shares one
    lock.
    """

    def __init__(
        self,
        wait: timedelta = timedelta(seconds=10),
        *,
        invoke_wait: timedelta = timedelta(seconds=2),
        by: TurnKey | None = None,
        on_timeout: OnTimeout = "proceed",
        wait_for: WaitFor = wait_for,
    ) -> None:
        super().__init__(wait=wait, invoke_wait=invoke_wait, by=by, on_timeout=on_timeout)
        self._queue = KeyQueue(wait_for)

    def hold(self, key: str, wait: timedelta) -> AbstractAsyncContextManager[bool]:
        return _Hold(self._queue, key, wait.total_seconds())

    def __repr__(self) -> str:
        return f"<InProcessTurnLock, {len(self._queue)} held>"


class _Hold(AbstractAsyncContextManager[bool]):
    """Holds a key for a block. A class and no generator, for it is in every turn's path."""

    def __init__(self, queue: KeyQueue, key: str, seconds: float) -> None:
        self._queue, self._key, self._seconds = queue, key, seconds

    async def __aenter__(self) -> bool:
        self._is_held = await self._queue.take(self._key, self._seconds)
        return self._is_held

    async def __aexit__(self, *error: object) -> None:
        if self._is_held:
            self._queue.pass_on(self._key)
