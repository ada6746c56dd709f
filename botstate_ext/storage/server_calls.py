"""Calls of a server: each is tried again until it succeeds, fails for good, or is late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ..errors import StateConflictError, StateError, StateStorageError
from .breaker import CircuitBreaker
from .in_flight import Closed, InFlight
from .retry import Retries
from .slots import Slots

T = TypeVar("T")

_WRITES: Final = ("put", "delete")
_BREAKER_PAUSE: Final = 5.0  # seconds
_CLOSE_WITHIN: Final = 5.0  # seconds


@dataclass(frozen=True)
class CallFailure:
    """The meaning of a driver's error. ``reason`` is for people, and holds no address or secret.

    ``is_transient``: the same call may succeed in a while. ``may_be_done``: the server may have
    carried it out. ``status``: its HTTP status, if it has one.
    """

    reason: str
    is_transient: bool = False
    may_be_done: bool = False
    status: int | None = None


class ServerCalls:
    """Runs calls, each of which must be safe to repeat: a write recognises its own ETag.

    ``failure_of`` says what a driver's error means, or None if it does not know the error.
    ``parallel``: the most calls at once; others wait, for as long as the server answers. None: the
    driver bounds them.
    ``answers``: the driver's errors that are answers of the server; they are raised as they are.
    After the server answered nobody for a whole deadline, calls fail at once for a moment.
    """

    def __init__(
        self,
        retries: Retries,
        failure_of: Callable[[Exception], CallFailure | None],
        *,
        parallel: int | None = None,
        answers: tuple[type[Exception], ...] = (),
        close_within: float = _CLOSE_WITHIN,
    ) -> None:
        self._retries, self._failure_of = retries, failure_of
        self._answers, self._close_within = answers, close_within
        self._breaker = CircuitBreaker(_BREAKER_PAUSE, retries.clock)
        self._in_flight = InFlight()
        self._slots = None if parallel is None else Slots(parallel)

    async def run(
        self, operation: str, key: str | None, call: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        """Return the result of ``call``.

        :raises StateStorageError: it failed for good, or until the deadline; or `aclose` cut it
            off.
        """
        with self._in_flight as in_flight:
            running = _Call(
                operation, key, self._retries, self._failure_of, self._answers, in_flight
            )
            try:
                while self._breaker.is_probing:
                    await in_flight.wait_within(self._breaker.probed(), running.left)
            except (asyncio.TimeoutError, Closed):
                raise running.error(_REFUSED) from None
            with self._breaker.admit() as admitted:
                if admitted is None:
                    raise running.error(_REFUSED)
                if self._slots is None:
                    return await self._run_admitted(running, call, admitted)
                if not await self._slots.take(in_flight):
                    raise running.error(_CLOSED if in_flight.is_closed else _NOBODY_ANSWERED)
                try:
                    running.begin()
                    return await self._run_admitted(running, call, admitted)
                finally:
                    self._slots.release()

    async def _run_admitted(
        self, running: _Call, call: Callable[[], Coroutine[Any, Any, T]], admitted: int
    ) -> T:
        try:
            return await running.until_done(call)
        finally:
            if running.is_answered:
                self._breaker.answered()
            elif running.is_unanswered and self._breaker.failed(admitted) and self._slots:
                self._slots.refuse()

    async def aclose(self, close: Callable[[], Awaitable[object]]) -> None:
        """Wait for the calls on their way, at most 5 s; cut off the others; then ``close``.

        A call after that opens again whatever it needs.
        """
        # Calls that begin from here on are not waited for.
        in_flight, self._in_flight = self._in_flight, InFlight()
        try:
            await in_flight.aclose(self._close_within)
        finally:
            await close()


class _Call:
    """One call with its attempts.

    - ``end``: its deadline, by the clock of ``retries``.
    - ``is_answered``: True once the server gave its result. ``is_unanswered``: True once the
      deadline has passed without one.
    """

    def __init__(
        self,
        operation: str,
        key: str | None,
        retries: Retries,
        failure_of: Callable[[Exception], CallFailure | None],
        answers: tuple[type[Exception], ...],
        in_flight: InFlight,
    ) -> None:
        self._operation, self._key = operation, key
        self._retries, self._failure_of, self._in_flight = retries, failure_of, in_flight
        self._answers = answers
        self._maybe_done = self.is_answered = self.is_unanswered = False
        self.begin()

    def begin(self) -> None:
        """Start the time until the deadline."""
        self.end = self._retries.clock() + self._retries.seconds

    @property
    def left(self) -> float:
        """The seconds until the deadline; a moment if there are none."""
        return max(self.end - self._retries.clock(), 0.001)

    async def until_done(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Try until the call succeeds, fails for good, or is late.

        :raises StateStorageError: see `ServerCalls.run`.
        """
        pauses = self._retries.pauses()
        while True:
            try:
                seconds = min(self.left, self._retries.seconds_an_attempt)
                result = await self._in_flight.wait_within(call(), seconds)
                self.is_answered = True
                return result
            except StateConflictError as error:
                self.is_answered = True
                error.maybe_written = error.maybe_written or self._maybe_done
                raise
            except StateError:
                self.is_answered = True
                raise
            except Closed as error:
                self._maybe_done = True
                raise self.error(_CLOSED) from error
            except self._answers:
                self.is_answered = True
                raise
            except Exception as error:  # noqa: BLE001 - sorted, and raised if it is not a failure
                self._note(error)
            pause = min(next(pauses), self.left)
            try:
                await self._in_flight.wait_within(self._retries.sleep(pause), None)
            except Closed as error:
                raise self.error(_CLOSED) from error

    def error(self, reason: str, status: int | None = None) -> StateStorageError:
        """Return the error of this call."""
        maybe_written = self._maybe_done and self._operation in _WRITES
        return StateStorageError(
            self._operation, self._key, reason, status=status, maybe_written=maybe_written
        )

    def _note(self, error: Exception) -> None:
        """Remember a failure that may pass; raise any other, and one that comes too late."""
        failure = self._meaning(error)
        self._maybe_done = self._maybe_done or failure.may_be_done
        self.is_unanswered = failure.is_transient and self._retries.clock() >= self.end
        if self.is_unanswered or not failure.is_transient:
            raise self.error(failure.reason, failure.status) from error

    def _meaning(self, error: Exception) -> CallFailure:
        if isinstance(error, asyncio.TimeoutError):
            return CallFailure("the server did not answer in time.", True, may_be_done=True)
        failure = self._failure_of(error)
        if failure is None:
            # Whatever the driver, or our own reading, makes of an answer that no such server gives.
            failure = CallFailure(f"no usable answer ({type(error).__name__}).", may_be_done=True)
        return failure


_CLOSED: Final = "the storage was closed."
_NOBODY_ANSWERED: Final = "the server answered nobody while this waited for a connection."
_REFUSED: Final = (
    "not tried, since the server did not answer a moment ago. It is tried again within "
    f"{_BREAKER_PAUSE:g} s."
)
