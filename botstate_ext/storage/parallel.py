"""Runs several operations at once. None of them is still running after the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")


async def in_parallel(operations: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results, in order. The first failure cancels the others, waits for them to end,
    and is raised."""
    tasks = [asyncio.ensure_future(operation) for operation in operations]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


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
    return await in_parallel(_outcome(operation) for operation in operations)


async def _outcome(operation: Coroutine[Any, Any, T]) -> T | Exception:
    try:
        return await operation
    except Exception as error:  # noqa: BLE001 - the caller raises it
        return error
