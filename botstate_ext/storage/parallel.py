"""Runs several operations at once. None of them is still running after the call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")


async def in_parallel(operations: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results, in order. The first failure cancels the others, waits for them to end,
    and is raised."""
    tasks = [asyncio.ensure_future(operation) for operation in operations]
    async with _none_left(tasks):
        return list(await asyncio.gather(*tasks))


async def for_each(
    items: Iterable[Item],
    operation: Callable[[Item], Coroutine[Any, Any, object]],
    *,
    parallel: int,
) -> None:
    """Run an operation for each item, ``parallel`` of them at a time, in as many tasks. The first
    failure cancels the rest, waits for them and is raised."""
    left = iter(items)

    async def work() -> None:
        for item in left:
            await operation(item)

    await in_parallel(work() for _ in range(parallel))


async def all_outcomes(operations: Iterable[Coroutine[Any, Any, T]]) -> list[T | Exception]:
    """Return the result or the error of each operation, in order. A failure does not stop the
    others."""
    # The tasks run the operations themselves: a coroutine around one that is cancelled before it
    # begins would never have awaited it.
    tasks = [asyncio.ensure_future(operation) for operation in operations]
    async with _none_left(tasks):
        outcomes = []
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
                raise outcome
            outcomes.append(outcome)
        return outcomes


@asynccontextmanager
async def _none_left(tasks: Sequence[asyncio.Future[Any]]) -> AsyncIterator[None]:
    """If the block fails, cancel the tasks and wait for them to end."""
    try:
        yield
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
