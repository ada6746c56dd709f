"""PostgresLocks: a name has at most one holder, until it is released or its connection ends."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row

from .postgres_errors import CannotConnect, failure_of
from .retry import Retries
from .server_calls import ServerCalls
from .waiting import whole

_ACQUIRE: Final = "SELECT pg_try_advisory_lock(%s)"
_RELEASE: Final = "SELECT pg_advisory_unlock(%s)"
_IS_THERE: Final = "SELECT true"
# The server asks a silent client after 10 s if it is there, so that the locks of a machine that
# vanished end within half a minute; by default that takes two hours.
_SETTINGS: Final = (
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
)


class PostgresLocks:
    """Acquires and releases advisory locks, all by one connection of its own.

    An advisory lock belongs to a connection and lasts no longer than that. One connection holds any
    number of locks, so a process takes one from the server's, however many turns it runs at once,
    and none from the pool of a storage. ``namespace``: locks of other names do not meet.
    """

    def __init__(self, conninfo: str, namespace: str, retries: Retries) -> None:
        self._conninfo, self._namespace = conninfo, namespace
        self._connect_timeout = max(2, round(retries.seconds_an_attempt))
        self._calls = ServerCalls(retries, failure_of)
        self._opening = asyncio.Lock()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._held: dict[str, psycopg.AsyncConnection[Any]] = {}

    async def acquire(self, name: str, holder: str) -> bool:
        """Acquire a lock. Return False if another holds it. ``holder``: a text of its own.

        Two holders that share this object and a name would both acquire it: they queue before.

        :raises StateStorageError: it failed; if the lock was acquired, `release` releases it.
        """

        async def acquire() -> bool:
            connection = await self._open()
            if not await _fetch(connection, _ACQUIRE, self._number(name)):
                return False
            self._held[holder] = connection
            return True

        return await self._calls.run("lock", name, lambda: whole(acquire()))

    async def is_held(self, name: str, holder: str) -> bool:
        """Ask the server. Return False if the connection that acquired the lock has ended.

        :raises StateStorageError: there was no answer.
        """

        async def is_held() -> bool:
            connection = self._held.get(holder)
            if connection is None or connection.closed:
                return False
            return await _fetch(connection, _IS_THERE)

        return await self._calls.run("lock", name, lambda: whole(is_held()))

    async def release(self, name: str, holder: str) -> None:
        """Release a lock. Without it, or after `aclose`, do nothing.

        :raises StateStorageError: it failed; the lock ends with the connection.
        """

        async def release() -> None:
            connection = self._held.get(holder)
            if connection is not None and not connection.closed:
                await _fetch(connection, _RELEASE, self._number(name))
            self._held.pop(holder, None)

        await self._calls.run("unlock", name, lambda: whole(release()))

    async def aclose(self) -> None:
        """Close the connection, and with it all locks."""
        await self._calls.aclose(self._close)

    async def _close(self) -> None:
        async with self._opening:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()

    async def _open(self) -> psycopg.AsyncConnection[Any]:
        async with self._opening:
            if self._connection is None or self._connection.closed:
                self._connection = await self._connect()
            return self._connection

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        try:
            connection = await psycopg.AsyncConnection.connect(
                self._conninfo,
                autocommit=True,
                prepare_threshold=None,
                connect_timeout=self._connect_timeout,
            )
        except psycopg.Error as error:
            raise CannotConnect(str(error)) from error
        try:
            for setting in _SETTINGS:
                await connection.execute(setting)
        except BaseException:
            await connection.close()
            raise
        return connection

    def _number(self, name: str) -> int:
        digest = sha256(f"{self._namespace}\0{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)


async def _fetch(connection: psycopg.AsyncConnection[Any], statement: Any, *values: Any) -> bool:
    cursor = await connection.cursor(row_factory=tuple_row).execute(statement, values)
    row = await cursor.fetchone()
    return bool(row and row[0])
