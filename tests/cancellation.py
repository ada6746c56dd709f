"""Cancellation at a chosen await."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class CancelledAt:
    """Awaits a coroutine, and cancels the task at the await with this number, from 1."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], at: int) -> None:
        self._coroutine, self._at = coroutine, at
        self.awaits = 0

    async def ended(self) -> asyncio.Task[None]:
        """Run it in a task of its own, and return that task when it has ended."""

        async def run() -> None:
            await self

        task = asyncio.ensure_future(run())
        await asyncio.wait([task])
        return task

    def __await__(self) -> Generator[Any, Any, Any]:
        resume: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        while True:
            try:
                future = resume(value)
            except StopIteration as end:
                return end.value
            self.awaits += 1
            if self.awaits == self._at:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                value = yield future
            except BaseException as error:  # noqa: BLE001 - handed on to the coroutine
                resume, value = self._coroutine.throw, error
            else:
                resume = self._coroutine.send
