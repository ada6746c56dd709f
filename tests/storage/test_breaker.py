"""CircuitBreaker and Slots: who may ask, when."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.storage.breaker import CircuitBreaker
from botstate_ext.storage.in_flight import InFlight
from botstate_ext.storage.slots import Slots


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def admits(breaker: CircuitBreaker) -> bool:
    with breaker.admit() as admitted:
        return admitted is not None


def fail(breaker: CircuitBreaker) -> None:
    with breaker.admit() as admitted:
        assert admitted is not None
        breaker.failed(admitted)


def test_it_refuses_for_its_pause_and_then_admits_one_at_a_time() -> None:
    clock = Clock()
    breaker = CircuitBreaker(5.0, clock)
    assert admits(breaker)
    fail(breaker)
    clock.now = 4.9
    assert not admits(breaker)
    clock.now = 5.0
    with breaker.admit() as probe:
        assert probe is not None
        assert breaker.is_probing
        assert not admits(breaker)
        breaker.failed(probe)
    assert not admits(breaker)
    clock.now = 10.0
    with breaker.admit() as probe:
        assert probe is not None  # ends without an answer, as when it is cancelled
    assert admits(breaker), "the next one probes"
    breaker.answered()
    assert admits(breaker)


def test_an_answer_to_anybody_meanwhile_keeps_it_closed() -> None:
    breaker = CircuitBreaker(5.0, Clock())
    with breaker.admit() as admitted:
        assert admitted is not None
        breaker.answered()
        breaker.failed(admitted)
    assert admits(breaker)


STEPS = st.lists(st.sampled_from(["take", "release", "cancel", "refuse", "run"]), max_size=40)


@given(st.integers(1, 4), STEPS)
def test_no_slot_is_lost_or_given_twice(count: int, steps: list[str]) -> None:
    """Also if one who waits is cancelled at the moment when it is given a slot."""

    async def run() -> None:
        slots, in_flight = Slots(count), InFlight()
        taking: list[asyncio.Task[bool]] = []
        for step in steps:
            held = list(filter(holds, taking))
            if step == "take":
                taking.append(asyncio.ensure_future(slots.take(in_flight)))
            elif step == "release" and held:
                taking.remove(held[0])
                slots.release()
            elif step == "cancel" and taking and not taking[-1].done():
                taking[-1].cancel()
            elif step == "refuse":
                slots.refuse()
            elif step == "run":
                await settle()
            assert sum(map(holds, taking)) <= count
        await settle()
        for task in taking:
            if holds(task):
                slots.release()
            task.cancel()
        await settle()
        taking = [asyncio.ensure_future(slots.take(in_flight)) for _ in range(count + 1)]
        await settle()
        assert list(map(holds, taking)) == [True] * count + [False]
        slots.refuse()
        assert not await taking[-1]

    loop = asyncio.new_event_loop()  # asyncio.run would unset the one of the other tests
    loop.run_until_complete(run())
    loop.close()


def holds(task: asyncio.Task[bool]) -> bool:
    return task.done() and not task.cancelled() and task.result()


async def settle() -> None:
    """Let every task run that can."""
    for _ in range(5):
        await asyncio.sleep(0)
