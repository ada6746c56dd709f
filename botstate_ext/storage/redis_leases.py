"""RedisLeases: a name has at most one holder, until it releases the lease or stops renewing it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from .redis_server import RedisServer

if TYPE_CHECKING:
    import redis.asyncio

# Each looks at the holder and acts in one step. Arguments: the holder's id, milliseconds.
_ACQUIRE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
"""
_RENEW: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class RedisLeases:
    """Acquires, renews and releases leases on names, which begin with ``prefix`` in Redis.

    A ``lease_id`` is any text that no other holder has. Acquiring a lease again with the same id
    succeeds. ``owns_server``: `aclose` closes the connections too.
    """

    def __init__(self, server: RedisServer, prefix: str, *, owns_server: bool) -> None:
        self._server, self._prefix = server, f"{{{prefix}}}:lock:"
        self._owns_server = owns_server

    async def acquire(self, name: str, lease_id: str, duration: timedelta) -> bool:
        """Acquire a lease. Return False if another holds it.

        :raises StateStorageError: it failed; the lease may have been acquired all the same.
        """
        return await self._run("lease", _ACQUIRE, name, lease_id, _milliseconds(duration))

    async def renew(self, name: str, lease_id: str, duration: timedelta) -> bool:
        """Let a lease end after ``duration`` from now. Return False if it is gone.

        It opens no connection: a lease that was acquired before `aclose` is not extended after it.

        :raises StateStorageError: it failed.
        """
        milliseconds = _milliseconds(duration)
        return await self._run("renew", _RENEW, name, lease_id, milliseconds, opens=False)

    async def release(self, name: str, lease_id: str) -> bool:
        """Release a lease. Return False if it was not held. It opens no connection.

        :raises StateStorageError: it failed, or the server was closed; the lease ends by itself.
        """
        return await self._run("release", _RELEASE, name, lease_id, opens=False)

    async def aclose(self) -> None:
        """Close the connections, if they are its own."""
        if self._owns_server:
            await self._server.aclose()

    async def _run(
        self, operation: str, script: str, name: str, *values: Any, opens: bool = True
    ) -> bool:
        async def run(client: redis.asyncio.Redis) -> bool:
            return bool(await client.register_script(script)([self._prefix + name], values))

        return await self._server.run(operation, name, run, opens=opens)


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
