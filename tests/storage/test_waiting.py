"""Waiting for handlers, and between attempts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from botstate_ext.storage.parallel import for_each
from botstate_ext.storage.waiting import BackOff, call_handler, maybe_await


async def test_what_may_be_awaitable() -> None:
    async def later() -> int:
        return 2

    assert [await maybe_await(1), await maybe_await(later())] == [1, 2]


def test_a_back_off_doubles_up_to_its_longest() -> None:
    full = BackOff(first=0.5, longest=3, random=lambda: 1.0)
    assert [full.seconds(attempt) for attempt in (1, 2, 3, 4, 5000)] == [0.5, 1, 2, 3, 3]
    half = BackOff(first=0.5, longest=3, steady=0.5, random=lambda: 0.0)
    waits = half.waits()
    assert [next(waits) for _ in range(4)] == [0.25, 0.5, 1, 1.5]


async def test_a_handler_that_is_cancelled_from_within_has_failed() -> None:
    async def handler() -> None:
        inner = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(inner.cancel)
        await inner

    with pytest.raises(RuntimeError, match="cancelled from within"):
        await call_handler(handler)


@pytest.mark.parametrize("raises", [False, True])
async def test_who_cancels_a_call_waits_until_the_handler_has_cleaned_up(raises: bool) -> None:
    seen: list[str] = []
    started = asyncio.Event()

    async def handler(name: str) -> Any:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append(name)
            if raises:
                raise ValueError("clean-up")

    call = asyncio.ensure_future(call_handler(handler, "cleaned"))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await call
    assert seen == ["cleaned"]
    assert isinstance(caught.value.__cause__, ValueError) is raises


@pytest.mark.parametrize("count", [0, 1, 3, 50])
async def test_for_each_runs_so_many_at_once(count: int) -> None:
    seen: list[int] = []
    running = most = 0

    async def operation(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        seen.append(item)

    await for_each(range(count), operation, parallel=4)
    assert sorted(seen) == list(range(count))
    assert most == min(count, 4)
