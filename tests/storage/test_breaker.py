"""CircuitBreaker and Slots: who may ask, when."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.storage.breaker import CircuitBreaker
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


@given(st.integers(1, 4), st.lists(st.sampled_from(["take", "release", "cancel"]), max_size=30))
def test_no_slot_is_lost_or_given_twice(count: int, steps: list[str]) -> None:
    async def run() -> None:
        slots = Slots(count)
        places: list[asyncio.Future[None]] = []
        for step in steps:
            held = [place for place in places if place.done()]
            waiting = [place for place in places if not place.done()]
            if step == "take":
                places.append(slots.take())
            elif step == "release" and held:
                places.remove(held[0])
                slots.release()
            elif step == "cancel" and waiting:
                waiting[-1].cancel()
                places.remove(waiting[-1])
            held = [place for place in places if place.done()]
            assert len(held) == min(count, len(places))

    loop = asyncio.new_event_loop()  # asyncio.run would unset the one of the other tests
    loop.run_until_complete(run())
    loop.close()
