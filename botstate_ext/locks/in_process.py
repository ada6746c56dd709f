"""InProcessTurnLock: turns of one conversation in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from .base import TurnKey, TurnLock
from .places import Places, WaitFor, wait_for


class InProcessTurnLock(TurnLock):
    """Turns of one conversation in this process, one after another, first come first served.

    The default of ``StateMiddleware``. It costs no request and, for a conversation in which no turn
    runs, no memory. See `TurnLock` for ``wait``, ``invoke_wait`` and ``by``; ``wait_for`` is for
    tests. Middleware of several adapters that share a conversation shares one lock.
    """

    def __init__(
        self,
        wait: timedelta = timedelta(seconds=10),
        *,
        invoke_wait: timedelta = timedelta(seconds=2),
        by: TurnKey | None = None,
        wait_for: WaitFor = wait_for,
    ) -> None:
        super().__init__(wait=wait, invoke_wait=invoke_wait, by=by)
        self._places = Places(wait_for)

    @asynccontextmanager
    async def hold(self, key: str, wait: timedelta) -> AsyncIterator[bool]:
        is_held = await self._places.take(key, wait.total_seconds())
        try:
            yield is_held
        finally:
            if is_held:
                self._places.pass_on(key)

    def __repr__(self) -> str:
        return f"<InProcessTurnLock, {len(self._places)} held>"
