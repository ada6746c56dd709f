"""Waits: for a result that may be awaitable, for a handler, and before the next attempt."""

from __future__ import annotations

import asyncio
import inspect
import random as _random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from msgspec import Struct

T = TypeVar("T")


async def maybe_await(result: Any) -> Any:
    """Return a function's result; await it first if it is awaitable. The app's functions may be
    async."""
    return await result if inspect.isawaitable(result) else result


async def call_handler(handler: Callable[..., Any], *arguments: Any) -> Any:
    """Call a handler of the app, which may be async, and return its result.

    If something that the handler awaits cancels it, it has failed, like with any other error. If
    the caller is cancelled, the handler is cancelled too, and the caller waits for its clean-up.

    :raises RuntimeError: the handler was cancelled from within.
    """
    result = handler(*arguments)
    return result if result is None else await handler_result(result)


async def handler_result(result: Any) -> Any:
    """Return the result of an app's handler; await it first if it is awaitable. See
    `call_handler`."""
    if not inspect.isawaitable(result):
        return result
    running = asyncio.ensure_future(result)
    try:
        await asyncio.wait((running,))
    except asyncio.CancelledError as cancelled:
        running.cancel()
        await asyncio.wait((running,))
        if not running.cancelled():
            raise cancelled from running.exception()  # what its clean-up raised is not lost
        raise
    if running.cancelled():
        raise RuntimeError("The handler was cancelled from within.")
    return running.result()


async def whole(operation: Coroutine[Any, Any, T], seconds: float = 1.0) -> T:
    """Run an operation that must not be cut off in the middle. Who is cancelled waits until it has
    ended, for so many seconds at most."""
    running = asyncio.ensure_future(operation)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait((running,), timeout=seconds)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        raise


class BackOff(Struct, frozen=True):
    """Computes exponential back-off with jitter: each wait is drawn from a range that doubles.

    ``first`` and ``longest``: the upper end of the first and of the last range, in seconds.
    ``steady``: the part of the upper end that is always waited, from 0 to 1.
    ``random``: returns a number from 0 to 1.
    """

    first: float
    longest: float
    steady: float = 0.0
    random: Callable[[], float] = _random.random

    def seconds(self, attempt: int) -> float:
        """Return how long to wait after this attempt, counted from 1, in seconds."""
        doublings = min(attempt - 1, 60)
        upper: float = min(self.first * 2**doublings, self.longest)
        return upper * (self.steady + (1 - self.steady) * self.random())

    def waits(self) -> Iterator[float]:
        """Yield the wait after each attempt, in seconds, without end."""
        attempt = 0
        while True:
            attempt += 1
            yield self.seconds(attempt)
