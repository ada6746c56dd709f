"""Calls of a server: each is tried again until it succeeds, fails for good, or is late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import StateConflictError, StateStorageError
from .retry import Retries

T = TypeVar("T")

_WRITES = ("put", "delete")


@dataclass(frozen=True)
class CallFailure:
    """The meaning of a driver's error. ``reason`` is for people, and holds no address or secret.

    ``is_transient``: the same call may succeed in a while. ``may_be_done``: the server may have
    carried it out.
    """

    reason: str
    is_transient: bool = False
    may_be_done: bool = False


class ServerCalls:
    """Runs calls, each of which must be safe to repeat: a write recognises its own ETag.

    ``failure_of`` says what a driver's error means, or None if it is not the driver's.
    """

    def __init__(
        self, retries: Retries, failure_of: Callable[[Exception], CallFailure | None]
    ) -> None:
        self._retries, self._failure_of = retries, failure_of

    async def run(
        self, operation: str, key: str | None, call: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        """Return the result of ``call``.

        :raises StateStorageError: it failed for good, or until the deadline.
        """
        now = self._retries.clock
        end = now() + self._retries.seconds
        maybe_done = False
        pauses = self._retries.pauses()
        while True:
            try:
                left = max(end - now(), 0.001)
                return await asyncio.wait_for(call(), min(left, self._retries.seconds_an_attempt))
            except StateConflictError as error:
                error.maybe_written = maybe_done
                raise
            except Exception as error:
                failure = self._meaning(error)
                if failure is None:
                    raise
                maybe_done = maybe_done or failure.may_be_done
                if not failure.is_transient or now() >= end:
                    maybe_written = maybe_done and operation in _WRITES
                    raise StateStorageError(
                        operation, key, failure.reason, maybe_written=maybe_written
                    ) from error
            await self._retries.sleep(min(next(pauses), max(end - now(), 0.0)))

    def _meaning(self, error: Exception) -> CallFailure | None:
        if isinstance(error, asyncio.TimeoutError):
            return CallFailure("the server did not answer in time.", True, may_be_done=True)
        return self._failure_of(error)
