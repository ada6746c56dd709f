"""Requests: sends requests to one container, each again until it succeeds or its deadline is over.

A request waits for one of a bounded number of slots. A circuit breaker refuses requests for a
moment after the storage stopped answering.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeVar

from ..breaker import CircuitBreaker
from ..in_flight import Closed, InFlight
from ..retry import Retries
from ..slots import Slots
from .errors import Answer, Failure, FailureKind, InvalidAnswer, RequestFailed
from .source import BlobSource

T = TypeVar("T")

_BREAKER_PAUSE: Final = 5.0  # seconds
_CLIENTS: Final = 512
"""The most blob clients that are kept, of some 30 KB each."""


class Requests:
    """Opens nothing before the first request. A request after `aclose` opens again."""

    def __init__(
        self, source: BlobSource, parallel: int, retries: Retries, close_within: float
    ) -> None:
        if parallel < 1:
            raise ValueError("parallel must be at least 1.")
        if close_within < 0:
            raise ValueError("close_within must not be negative.")
        self._source, self._parallel, self._retries = source, parallel, retries
        self._close_within = close_within
        self._breaker = CircuitBreaker(_BREAKER_PAUSE, retries.clock)
        # Made here, although it opens nothing yet: a connection string that is wrong fails now.
        self._connection: Connection | None = self._new_connection()

    @property
    def sees_resends(self) -> bool:
        """False with the app's own client: aiohttp may send a request twice without a word."""
        return self._source.is_ours

    async def run(
        self, operation: str, key: str | None, request: Request[T], *, opens: bool = True
    ) -> T:
        """Return the result of the request. ``opens``: open a connection if there is none.

        :raises RequestFailed: it failed, and would again; or the deadline is over.
        """
        if self._connection is None:
            if not opens:
                raise RequestFailed(operation, key, FailureKind.FINAL, _CLOSED)
            self._connection = self._new_connection()
        running = _Operation(operation, key, self._retries, self._breaker, self._connection)
        return await running.run(request)

    async def aclose(self) -> None:
        """Wait for the requests on their way, for a bounded time; fail the others; close."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose(self._close_within)

    def _new_connection(self) -> Connection:
        return Connection(self._source, Slots(self._parallel))


class Connection:
    """A container's client, with the operations that use it."""

    def __init__(self, source: BlobSource, slots: Slots) -> None:
        # Here, not above: the driver is imported when a BlobStorage is made.
        from .block_blobs import BlockBlobs

        self.container: Any = source.open()
        self.blobs = BlockBlobs(self.container, is_ours=source.is_ours)
        self.slots, self.is_ours = slots, source.is_ours
        # The driver generates the code of a client for each blob, which costs more than a request.
        self._blob = lru_cache(_CLIENTS)(self.container.get_blob_client)
        self.in_flight = InFlight()

    def blob(self, key: str) -> Any:
        """Return the driver's client of one blob, for its leases."""
        return self._blob(key)

    async def aclose(self, seconds: float) -> None:
        """Wait for the operations, for so many seconds; end the others; close the client."""
        try:
            await self.in_flight.aclose(seconds)
        finally:
            if self.is_ours:
                await self.container.close()


Request: TypeAlias = Callable[[Connection, dict[str, Any]], Coroutine[Any, Any, T]]
"""Sends one request, and passes these options to the driver's method.

They take its retries from the driver, whoever made the client: every attempt must be known."""

_CLOSED: Final = "the storage was closed."


@dataclass
class _Operation:
    """One operation with its attempts."""

    operation: str
    key: str | None
    retries: Retries
    breaker: CircuitBreaker
    connection: Connection
    count: int = 0
    maybe_done: bool = False
    last: Failure | None = None
    end: float = 0.0

    async def run(self, request: Request[T]) -> T:
        self.end = self.retries.clock() + self.retries.seconds
        with self.connection.in_flight:
            try:
                return await self._run_if_admitted(request)
            except Closed:
                raise self._failed(FailureKind.FINAL, _CLOSED) from self._last_error

    async def _run_if_admitted(self, request: Request[T]) -> T:
        try:
            while self.breaker.is_probing:
                await self.connection.in_flight.wait_within(self.breaker.probed(), self._left)
        except asyncio.TimeoutError:
            raise self._failed(FailureKind.TRANSIENT, _REFUSED) from None
        with self.breaker.admit() as admitted:
            if admitted is None:
                raise self._failed(FailureKind.TRANSIENT, _REFUSED)
            slots, in_flight = self.connection.slots, self.connection.in_flight
            if not await slots.take(in_flight):
                raise Closed if in_flight.is_closed else self._too_late()
            self.end = self.retries.clock() + self.retries.seconds
            # A request keeps its slot while it waits for its next attempt: a storage that
            # throttles wants fewer requests, not other ones.
            try:
                return await self._until_done(request, admitted)
            finally:
                slots.release()

    async def _until_done(self, request: Request[T], admitted: int) -> T:
        in_flight, pauses = self.connection.in_flight, self.retries.pauses()
        while self._left > 0:
            attempt = _Attempt(self.connection)
            self.count += 1
            try:
                seconds = min(self._left, self.retries.seconds_an_attempt)
                result = await in_flight.wait_within(attempt.run(request), seconds)
            except Closed:
                self.maybe_done = self.maybe_done or attempt.may_be_sent
                raise
            except Exception as error:  # noqa: BLE001 - sorted, and raised if it is not a failure
                self._note(attempt, Failure(error, attempt.answer))
            else:
                self.breaker.answered()
                return result
            pause = max(next(pauses), attempt.retry_after)
            if attempt.retry_after >= self._left:
                break
            pause = min(pause, max(0.0, self._left))
            await in_flight.wait_within(self.retries.sleep(pause), None)
        if self.last is not None and self.breaker.failed(admitted):
            self.connection.slots.refuse()
        raise self._too_late() from self._last_error

    def _note(self, attempt: _Attempt, failure: Failure) -> None:
        """Remember a transient failure; raise any other.

        :raises RequestFailed: the request would fail again.
        """
        if self.connection.in_flight.is_closed:
            self.maybe_done = self.maybe_done or attempt.may_be_sent
            raise Closed from failure.error
        if not failure.is_known:
            raise failure.error
        if attempt.was_resent or (failure.may_be_done and attempt.may_be_sent):
            self.maybe_done = True
        if failure.kind is not FailureKind.TRANSIENT:
            if attempt.answer is not None:
                self.breaker.answered()
            raise self._failed(failure.kind, failure.reason, failure.status) from failure.error
        is_cut_off = isinstance(failure.error, asyncio.TimeoutError) and self._left <= 0
        if self.last is None or not is_cut_off:  # the failures before a cut say more
            self.last = failure

    @property
    def _left(self) -> float:
        return self.end - self.retries.clock()

    @property
    def _last_error(self) -> BaseException | None:
        return None if self.last is None else self.last.error

    def _too_late(self) -> RequestFailed:
        if not self.count:
            text = "not tried: the storage answered nobody while this was waiting for a slot."
            return self._failed(FailureKind.TRANSIENT, text)
        after = "after 1 attempt" if self.count == 1 else f"after {self.count} attempts"
        text = f"not done within {self.retries.seconds:g} s, {after}"
        last = "." if self.last is None else f"; the last: {self.last.reason}"
        status = None if self.last is None else self.last.status
        return self._failed(FailureKind.TRANSIENT, text + last, status)

    def _failed(self, kind: FailureKind, reason: str, status: int | None = None) -> RequestFailed:
        return RequestFailed(
            self.operation, self.key, kind, reason, status=status, maybe_done=self.maybe_done
        )


_REFUSED: Final = (
    "not tried, since the storage did not answer a moment ago. It is tried again within "
    f"{_BREAKER_PAUSE:g} s."
)


class _Attempt:
    """One attempt: the answer that it got, and how often it was sent."""

    def __init__(self, connection: Connection) -> None:
        # Here, not above: the driver is imported when a BlobStorage is made.
        from .transport import Sends

        self._connection = connection
        self._sends = Sends()
        self.answer: Answer | None = None

    async def run(self, request: Request[T]) -> T:
        """Send the request; refuse an answer that is not Azure's.

        :raises InvalidAnswer: a success that is not Azure's.
        """
        from .transport import current_sends

        current_sends.set(self._sends)  # of this task alone
        options = {"retry_total": 0, "raw_response_hook": self._saw}
        result = await request(self._connection, options)
        if self.answer is not None and not self.answer.is_azures:
            raise InvalidAnswer("it lacks Azure's headers")
        return result

    @property
    def may_be_sent(self) -> bool:
        """Return False if no connection was made. With the app's own client, nobody knows."""
        return self._sends.count > 0 or not self._connection.is_ours

    @property
    def was_resent(self) -> bool:
        """Return True if aiohttp sent the request more than once."""
        return self._sends.count > 1

    @property
    def retry_after(self) -> float:
        """Seconds that the server asked to wait; 0 if it did not."""
        return 0.0 if self.answer is None else self.answer.retry_after

    def _saw(self, response: Any) -> None:
        answer = response.http_response
        headers = {name.lower(): value for name, value in answer.headers.items()}
        self.answer = Answer(answer.status_code, headers)
