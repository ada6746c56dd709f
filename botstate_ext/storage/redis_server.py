"""RedisServer: runs commands on one Redis, and says what its errors mean."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ..errors import StateStorageError
from .backend import OpenOnce
from .retry import Retries
from .server_calls import CallFailure, ServerCalls

T = TypeVar("T")


class RedisServer:
    """Runs commands with a client of its own, or with one of the app's, which stays the app's.

    ``url``: as ``redis.asyncio.from_url`` takes it, or a ``redis.asyncio.Redis``. ``parallel``: the
    most connections of the own client. ``on_open`` is called with the client when it is first used.

    :raises ValueError: ``url`` is not one, or the client has ``decode_responses``.
    """

    def __init__(
        self,
        url: str | redis.asyncio.Redis,
        *,
        parallel: int,
        retries: Retries,
        on_open: Callable[[redis.asyncio.Redis], Awaitable[object]] | None = None,
    ) -> None:
        self._url = url if isinstance(url, str) else ""
        self._app_client = None if isinstance(url, str) else url
        self._parallel, self._seconds = parallel, retries.seconds_an_attempt
        self._on_open = on_open
        if self._app_client is None:
            self._new_client()  # it opens nothing yet: a wrong URL fails here
        elif self._app_client.connection_pool.connection_kwargs.get("decode_responses"):
            raise ValueError("the client must not have decode_responses: items are bytes.")
        self._client = OpenOnce(self._open, self._close)
        # An own pool would wait within the deadline.
        own = parallel if self._app_client is None else None
        self._calls = ServerCalls(retries, _failure_of, parallel=own)

    async def run(
        self,
        operation: str,
        key: str | None,
        call: Callable[[redis.asyncio.Redis], Awaitable[T]],
        *,
        opens: bool = True,
    ) -> T:
        """Return what ``call`` returns; it is called again after a failure that may pass.

        ``opens``: False refuses to open a client where none is open.

        :raises StateStorageError: it failed for good, or until the deadline.
        """

        once = partial(self._once, operation, key, call, opens)
        return await self._calls.run(operation, key, once)

    async def _once(
        self,
        operation: str,
        key: str | None,
        call: Callable[[redis.asyncio.Redis], Awaitable[T]],
        opens: bool,
    ) -> T:
        if not (opens or self._client.is_open):
            raise StateStorageError(operation, key, "the connection was closed.")
        return await call(await self._client.get())

    async def aclose(self) -> None:
        await self._calls.aclose(self._client.aclose)

    def _new_client(self) -> redis.asyncio.Redis:
        try:
            pool = redis.asyncio.BlockingConnectionPool.from_url(
                self._url,
                max_connections=self._parallel,
                timeout=self._seconds,
                socket_connect_timeout=self._seconds,
                retry=Retry(NoBackoff(), 0),  # ServerCalls does that, and knows of every attempt
            )
        except ValueError:
            # Without the cause: it may quote the URL, and so the password.
            raise ValueError(
                'url is not one of Redis: for example "redis://localhost:6379/0".'
            ) from None
        if pool.connection_kwargs.get("decode_responses"):
            raise ValueError("the URL must not have decode_responses: items are bytes.")
        return redis.asyncio.Redis.from_pool(pool)

    async def _open(self) -> redis.asyncio.Redis:
        client = self._app_client if self._app_client is not None else self._new_client()
        if self._on_open is not None:
            await self._on_open(client)
        return client

    async def _close(self, client: redis.asyncio.Redis) -> None:
        if client is not self._app_client:
            await client.aclose()


def _failure_of(error: Exception) -> CallFailure | None:
    """Return what an error means; None if it is not redis-py's. Its own text may name addresses."""
    if isinstance(error, exceptions.AuthenticationError):
        return CallFailure("the server refuses the password. Check the URL.")
    if isinstance(error, exceptions.BusyLoadingError):
        return CallFailure("the server is starting.", is_transient=True)
    if isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError)):
        return CallFailure("the connection was lost.", is_transient=True, may_be_done=True)
    if isinstance(error, exceptions.ReadOnlyError):
        return CallFailure("the server is a replica, which is read-only. Name the primary one.")
    if isinstance(error, exceptions.NoPermissionError):
        return CallFailure("the user may not run scripts or use these keys: see its ACL.")
    # Of a script the driver knows only the text. Redis refuses its first write: nothing was done.
    if isinstance(error, exceptions.OutOfMemoryError) or "OOM command" in str(error):
        return CallFailure("the server's memory is full. Give it more, or store less.")
    if isinstance(error, exceptions.InvalidResponse):
        return CallFailure("it answered with something that Redis does not send.", may_be_done=True)
    if isinstance(error, exceptions.RedisError):
        return CallFailure(f"Redis failed ({type(error).__name__}).")
    return None
