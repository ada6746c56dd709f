"""KeyQueue: one holder a key, first come first served, whatever is cancelled or late."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.turn.locks.key_queue import KeyQueue


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_after_another_in_the_order_they_came() -> None:
    queue, order = KeyQueue(), list[int]()

    async def one(number: int) -> None:
        assert await queue.take("key")
        order.append(number)
        await asyncio.sleep(0)
        assert order[-1] == number, "nobody else came in between"
        queue.pass_on("key")

    await asyncio.gather(*(one(number) for number in range(50)))
    assert order == list(range(50))
    assert len(queue) == 0


async def test_another_key_does_not_wait() -> None:
    queue = KeyQueue()
    assert await queue.take("one", 0)
    assert await queue.take("two", 0)
    assert not await queue.take("one", 0)


async def test_late_is_not_held_and_does_not_stand_in_the_way() -> None:
    queue = KeyQueue()
    await queue.take("key")
    assert not await queue.take("key", 0)
    next_one = asyncio.ensure_future(queue.take("key"))
    await settle()
    queue.pass_on("key")
    assert await next_one
    queue.pass_on("key")
    assert len(queue) == 0


async def test_a_cancelled_waiter_does_not_wedge_the_queue() -> None:
    queue = KeyQueue()
    await queue.take("key")
    cancelled, next_one = (asyncio.ensure_future(queue.take("key")) for _ in range(2))
    await settle()
    cancelled.cancel()
    await settle()
    queue.pass_on("key")
    assert await next_one


async def test_a_waiter_cancelled_in_the_moment_of_its_turn_passes_it_on() -> None:
    queue = KeyQueue()
    await queue.take("key")
    cancelled, next_one = (asyncio.ensure_future(queue.take("key")) for _ in range(2))
    await settle()
    queue.pass_on("key")
    cancelled.cancel()
    assert await next_one
    assert cancelled.cancelled()


async def test_a_place_given_in_the_moment_of_the_time_out_is_held() -> None:
    async def gives_it_and_is_late(place: asyncio.Future[None], seconds: float | None) -> None:
        queue.pass_on("key")

    queue = KeyQueue(gives_it_and_is_late)
    await queue.take("key")
    assert await queue.take("key", 1)
    queue.pass_on("key")
    assert len(queue) == 0


@given(st.lists(st.sampled_from(["take", "try", "cancel", "pass on"]), max_size=40), st.randoms())
async def test_any_order_of_taking_cancelling_and_passing_on(
    actions: list[str], choose: random.Random
) -> None:
    queue, waiting, holders = KeyQueue(), list[asyncio.Task[bool]](), list[asyncio.Task[bool]]()

    async def look() -> None:
        await settle()
        while waiting and waiting[0].done():
            holders.append(waiting.pop(0))
        assert not any(task.done() for task in waiting), "served before one who came earlier"
        assert len(holders) <= 1
        assert bool(holders) == (len(queue) == 1)

    for action in actions:
        if action == "take":
            waiting.append(asyncio.ensure_future(queue.take("key")))
        elif action == "try":
            held = await queue.take("key", 0)
            assert held == (not holders and not waiting)
            if held:
                queue.pass_on("key")
        elif action == "cancel" and waiting:
            task = waiting.pop(choose.randrange(len(waiting)))
            task.cancel()
        elif action == "pass on" and holders:
            holders.pop()
            queue.pass_on("key")
        await look()
    while holders:
        holders.pop()
        queue.pass_on("key")
        await look()
    assert len(queue) == 0
    assert not waiting
