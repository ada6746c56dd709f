"""RedisLeaseLock: serializes the turns of a conversation across processes, by keys that expire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ...storage.retry import Retries
from ...storage.waiting import BackOff
from .base import OnTimeout, TurnKey
from .key_queue import WaitFor, wait_for
from .lease import Claim, LeaseLock

if TYPE_CHECKING:
    import redis.asyncio

    from ...storage import RedisStorage
    from ...storage.redis_leases import RedisLeases

_SHORTEST_LEASE: Final = timedelta(seconds=1)
_PARALLEL: Final = 16
_BACK_OFF: Final = BackOff(first=0.01, longest=0.05, steady=0.5)


class RedisLeaseLock(LeaseLock):
    """Runs the turns of a conversation one after another, in all processes that use one Redis.

    ``storage``: the app's `RedisStorage`, whose connections it shares; or, for a bot that keeps its
    state elsewhere, a URL or a ``redis.asyncio.Redis`` as that takes them. Each conversation that
    has a turn has a key there, ``{prefix}:lock:{conversation}``, which expires by itself.

    ``lease``: a second at least. If a process dies in a turn, others get the lock after that time.
    A turn whose process stands still for longer loses the lock to another turn; then both run, a
    warning is logged, and ETags decide. The same happens after a failover to a copy that does not
    know the key yet. See `TurnLock` for the other options.

    It costs a request before the turn and one after it, and a few more while it waits or runs. The
    turns of one process run in order; between processes the order is random. ``prefix`` is of a
    lock with a URL or a client. ``wait_for`` and ``sleep`` are for tests.

    :raises ImportError: redis-py is not installed; the text says what to install.
    :raises ValueError: ``lease`` is too short.
    """

    def __init__(
        self,
        storage: RedisStorage | str | redis.asyncio.Redis,
        *,
        prefix: str = "botstate",
        wait: timedelta = timedelta(seconds=10),
        invoke_wait: timedelta = timedelta(seconds=2),
        by: TurnKey | None = None,
        on_timeout: OnTimeout = "proceed",
        lease: timedelta = timedelta(seconds=15),
        wait_for: WaitFor = wait_for,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        if lease < _SHORTEST_LEASE:
            raise ValueError("lease must be a second or longer.")
        super().__init__(
            wait=wait,
            invoke_wait=invoke_wait,
            by=by,
            on_timeout=on_timeout,
            lease=lease,
            back_off=_BACK_OFF,
            wait_for=wait_for,
            sleep=sleep,
        )
        self._leases = _leases(storage, prefix)

    async def aclose(self) -> None:
        await self._leases.aclose()

    async def _ask(self, claim: Claim) -> bool:
        return await self._leases.acquire(claim.key, claim.id, self._lease)

    async def _renew(self, claim: Claim) -> bool:
        return await self._leases.renew(claim.key, claim.id, self._lease)

    async def _release(self, claim: Claim) -> None:
        await self._leases.release(claim.key, claim.id)


def _leases(storage: RedisStorage | str | redis.asyncio.Redis, prefix: str) -> RedisLeases:
    # The driver is imported here, when a lock is made; by its door, which says what to install.
    from ...storage import RedisStorage
    from ...storage.warm import without_cache

    storage = without_cache(storage)
    if isinstance(storage, RedisStorage):
        return storage.leases()
    from ...storage.redis_leases import RedisLeases
    from ...storage.redis_server import RedisServer

    server = RedisServer(storage, parallel=_PARALLEL, retries=Retries())
    return RedisLeases(server, prefix, owns_server=True)
