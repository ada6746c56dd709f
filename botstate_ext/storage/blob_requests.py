"""Requests to one container: so many at a time, each tried again until it succeeds or is late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import aiohttp

from .blob_errors import Meaning, RequestFailed, may_be_done, meaning_of, reason_of, status_of
from .blob_source import BlobSource
from .retry import Retries

T = TypeVar("T")
Request: TypeAlias = Callable[[Any], Awaitable[T]]
"""One request through the driver's ContainerClient."""


class Requests:
    """Nothing is opened before the first request. One that is made after `aclose` opens again."""

    def __init__(self, source: BlobSource, parallel: int, retries: Retries) -> None:
        if parallel < 1:
            raise ValueError("parallel must be at least 1.")
        self._source, self._parallel, self._retries = source, parallel, retries
        # Made now, although it opens nothing yet: a connection string that is wrong fails here.
        self._connection: _Connection | None = self._new_connection()

    async def run(self, operation: str, key: str | None, request: Request[T]) -> T:
        """What the request returns.

        :raises RequestFailed: it failed, and would again; or the deadline is over.
        """
        connection = self._connect()
        # A request that waits for its next attempt keeps its place: a storage that throttles wants
        # fewer requests, not others instead.
        async with connection.slots:
            tries = _Tries(operation, key, self._retries)
            try:
                return await asyncio.wait_for(
                    tries.until_done(request, connection.client), self._retries.seconds
                )
            except asyncio.TimeoutError as error:
                raise tries.too_late() from (tries.last_error or error)

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._source.is_ours:
            await connection.client.close()

    def _connect(self) -> _Connection:
        if self._connection is None:
            self._connection = self._new_connection()
        return self._connection

    def _new_connection(self) -> _Connection:
        return _Connection(self._source.open(), asyncio.Semaphore(self._parallel))


@dataclass(frozen=True)
class _Connection:
    client: Any
    slots: asyncio.Semaphore


@dataclass
class _Tries:
    """The attempts at one operation."""

    operation: str
    key: str | None
    retries: Retries
    count: int = 0
    is_under_way: bool = False
    maybe_done: bool = False
    last_error: BaseException | None = field(default=None, repr=False)

    async def until_done(self, request: Request[T], client: Any) -> T:
        waits = self.retries.waits()
        while True:
            self.count += 1
            self.is_under_way = True
            try:
                return await asyncio.wait_for(request(client), self.retries.seconds_an_attempt)
            except _driver_errors() as error:
                self.is_under_way = False
                self._failed(error)
            await self.retries.sleep(next(waits))

    def too_late(self) -> RequestFailed:
        last = "" if self.last_error is None else f"; the last: {reason_of(self.last_error)}"
        return self._failure(
            Meaning.TRANSIENT,
            f"not done within {self.retries.seconds:g} s, after {self.count} attempts{last}",
            None if self.last_error is None else status_of(self.last_error),
        )

    def _failed(self, error: BaseException) -> None:
        meaning = meaning_of(error)
        if meaning is not Meaning.TRANSIENT:
            raise self._failure(meaning, reason_of(error), status_of(error)) from error
        self.last_error = error
        self.maybe_done = self.maybe_done or may_be_done(error)

    def _failure(self, meaning: Meaning, reason: str, status: int | None) -> RequestFailed:
        return RequestFailed(
            self.operation,
            self.key,
            meaning,
            reason,
            status=status,
            maybe_done=self.maybe_done or self.is_under_way,
        )


@lru_cache(maxsize=1)
def _driver_errors() -> tuple[type[BaseException], ...]:
    """What the driver raises, and what it lets through from below when an answer breaks off."""
    # Here, not above: the driver is imported when a BlobStorage is made.
    from azure.core.exceptions import AzureError

    return (AzureError, aiohttp.ClientError, OSError, asyncio.TimeoutError)
