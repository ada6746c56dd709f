"""PostgresAdvisoryLock: serializes the turns of a conversation across processes, by advisory locks
of PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ...storage.waiting import BackOff
from .base import OnTimeout, TurnKey
from .key_queue import WaitFor, wait_for
from .lease import Claim, LeaseLock

if TYPE_CHECKING:
    from ...storage import PostgresStorage

_LOOK: Final = timedelta(seconds=15)
_BACK_OFF: Final = BackOff(first=0.01, longest=0.05, steady=0.5)


class PostgresAdvisoryLock(LeaseLock):
    """Runs the turns of a conversation one after another, in all processes that use one database.

    ``storage``: the app's `PostgresStorage`, or a connection string as that takes it. The lock
    opens one connection of its own, apart from the pool of the storage, and holds the locks of all
    its turns by it. It cannot go through PgBouncer in transaction or statement mode.

    If a process dies in a turn, the server ends its connection and others get the lock, at once;
    if its machine vanishes, within half a minute. A turn that loses the connection loses the lock;
    then another may run beside it, a warning is logged within 5 s, and ETags decide. A process
    that stands still keeps its locks, and others go on beside it after their `wait`. See `TurnLock`
    for the other options.

    It costs a request before the turn and one after it, and a few more while it waits or runs. The
    turns of one process run in order; between processes the order is random. ``namespace``: bots in
    one database that have other namespaces do not wait for each other; by default the storage's
    table. ``wait_for`` and ``sleep`` are for tests.

    :raises ImportError: psycopg is not installed; the text says what to install.
    :raises ValueError: the connection string is none.
    :raises TypeError: the storage has a pool of the app's: give the connection string.
    """

    def __init__(
        self,
        storage: PostgresStorage | str,
        *,
        namespace: str | None = None,
        wait: timedelta = timedelta(seconds=10),
        invoke_wait: timedelta = timedelta(seconds=2),
        by: TurnKey | None = None,
        on_timeout: OnTimeout = "proceed",
        wait_for: WaitFor = wait_for,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__(
            wait=wait,
            invoke_wait=invoke_wait,
            by=by,
            on_timeout=on_timeout,
            lease=_LOOK,
            back_off=_BACK_OFF,
            wait_for=wait_for,
            sleep=sleep,
        )
        # The driver is imported here; by its door, which says what to install.
        from ...storage import PostgresStorage
        from ...storage.warm import without_cache

        storage = without_cache(storage)
        found = storage if isinstance(storage, PostgresStorage) else PostgresStorage(storage)
        self._locks = found.locks(namespace)

    async def aclose(self) -> None:
        await self._locks.aclose()

    def _own_end(self) -> str:
        return "with the connection of this lock, at the latest when the process ends"

    async def _ask(self, claim: Claim) -> bool:
        return await self._locks.acquire(claim.key, claim.id)

    async def _renew(self, claim: Claim) -> bool:
        return await self._locks.is_held(claim.key, claim.id)

    async def _release(self, claim: Claim) -> None:
        await self._locks.release(claim.key, claim.id)
