"""Requests to one container: so many at a time, each tried again until it succeeds or is late.

Not every attempt is ours: aiohttp itself sends a PUT or a DELETE once more when the connection
breaks, without a word. So any conflict may be with one's own write, and a blob that is absent may
have been deleted by the same call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import aiohttp

from ..retry import Retries
from .errors import Failure, Meaning, RequestFailed
from .source import BlobSource

T = TypeVar("T")
Request: TypeAlias = Callable[[Any, dict[str, Any]], Coroutine[Any, Any, T]]
"""One request through the driver's ContainerClient, with these options for the driver's method.

They take its retries from the driver, whoever made the client: we must know of every attempt."""


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
            return await _Tries(operation, key, self._retries).until_done(
                request, connection.client
            )

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
    status: int | None = None
    last: Failure | None = None
    last_error: BaseException | None = None

    async def until_done(self, request: Request[T], client: Any) -> T:
        options = {"retry_total": 0, "raw_response_hook": self._saw}
        waits = self.retries.waits()
        loop = asyncio.get_running_loop()
        end = loop.time() + self.retries.seconds
        # The end is looked at, not enforced by a wait_for around this loop: before Python 3.12 the
        # inner wait_for loses a cancellation that arrives just when the attempt has failed.
        while (left := end - loop.time()) > 0:
            self.count += 1
            self.is_under_way, self.status = True, None
            try:
                attempt = request(client, options)
                return await asyncio.wait_for(attempt, min(left, self.retries.seconds_an_attempt))
            except Exception as error:
                if self.last is not None and _is_cut_off(error) and loop.time() >= end:
                    break  # by the end; what the attempts before it met says more
                self.is_under_way = False
                if not self._is_failed_request(error):
                    raise
                self._failed(error)
            await self.retries.sleep(min(next(waits), max(0.0, end - loop.time())))
        raise self._too_late() from self.last_error

    def _too_late(self) -> RequestFailed:
        last = "." if self.last is None else f"; the last: {self.last.reason}"
        times = "1 attempt" if self.count == 1 else f"{self.count} attempts"
        return self._failure(
            Meaning.TRANSIENT,
            f"not done within {self.retries.seconds:g} s, after {times}{last}",
            None if self.last is None else self.last.status,
        )

    def _saw(self, response: Any) -> None:
        self.status = response.http_response.status_code

    def _is_failed_request(self, error: Exception) -> bool:
        # Old drivers stumble over an answer that breaks off, or is not XML (a proxy's), and raise
        # anything. What they were at when they did was a failed request.
        is_refused = self.status is not None and self.status >= 400
        return is_refused or any(
            isinstance(found, _driver_errors()) for found in (error, error.__context__)
        )

    def _failed(self, error: BaseException) -> None:
        failure = Failure.of(error, self.status)
        if failure.meaning is not Meaning.TRANSIENT:
            raise self._failure(failure.meaning, failure.reason, failure.status) from error
        self.last, self.last_error = failure, error
        self.maybe_done = self.maybe_done or failure.may_be_done

    def _failure(self, meaning: Meaning, reason: str, status: int | None) -> RequestFailed:
        return RequestFailed(
            self.operation,
            self.key,
            meaning,
            reason,
            status=status,
            maybe_done=self.maybe_done or self.is_under_way,
        )


def _is_cut_off(error: Exception) -> bool:
    return isinstance(error, asyncio.TimeoutError)


@lru_cache(maxsize=1)
def _driver_errors() -> tuple[type[Exception], ...]:
    """What the driver raises, and what it lets through from below when an answer breaks off."""
    # Here, not above: the driver is imported when a BlobStorage is made.
    from azure.core.exceptions import AzureError

    return (AzureError, aiohttp.ClientError, OSError, asyncio.TimeoutError)
