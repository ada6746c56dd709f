"""Calls of a server that wait for one of its connections."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from botstate_ext.errors import StateStorageError
from botstate_ext.storage.retry import Retries
from botstate_ext.storage.server_calls import CallFailure, ServerCalls
from tests.patience import LIMIT


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_crowd_is_served_while_the_server_answers() -> None:
    """Each answer takes half of the deadline: the tenth comes after five deadlines."""
    time = Time()
    retries = Retries(timedelta(seconds=300), clock=time)
    calls = ServerCalls(retries, lambda _: None, parallel=1)
    running = most = 0

    async def call() -> float:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        time.now += 150.0
        running -= 1
        return time.now

    answers = await asyncio.gather(*(calls.run("read", None, call) for _ in range(10)))
    assert answers == [150.0 * number for number in range(1, 11)]
    assert most == 1


async def test_a_crowd_before_a_dead_server_fails_within_one_deadline() -> None:
    calls = ServerCalls(Retries(timedelta(milliseconds=300)), lambda _: None, parallel=1)

    async def call() -> None:
        await asyncio.Event().wait()

    reads = [asyncio.ensure_future(calls.run("put", f"k{n}", call)) for n in range(50)]
    # One after another they would take 15 s.
    done, late = await asyncio.wait(reads, timeout=LIMIT.total_seconds())
    for read in late:
        read.cancel()
    assert not late
    errors = [read.exception() for read in done]
    waited = [error for error in errors if "answered nobody" in str(error)]
    assert len(waited) > 40  # one or two may get a connection at the very end
    for error in waited:
        assert isinstance(error, StateStorageError)
        assert not error.maybe_written


async def test_those_that_wait_fail_with_the_one_that_got_no_answer() -> None:
    """At once: waiting longer would only delay the turns' own error handlers."""
    time = Time()
    lost = CallFailure("the connection was lost.", is_transient=True)
    calls = ServerCalls(Retries(timedelta(seconds=300), clock=time), lambda _: lost, parallel=1)
    tried: list[int] = []
    fails = asyncio.Event()

    async def call(number: int) -> None:
        tried.append(number)
        await fails.wait()
        raise ConnectionError

    running = []
    for number in range(3):
        time.now = 100.0 * number
        running.append(asyncio.ensure_future(calls.run("put", None, partial(call, number))))
        await asyncio.sleep(0)
    time.now = 300.0
    fails.set()
    errors = await asyncio.gather(*running, return_exceptions=True)
    assert tried == [0]
    assert ["answered nobody" in str(error) for error in errors] == [False, True, True]


async def test_one_who_gives_up_takes_no_slot_along() -> None:
    calls = ServerCalls(Retries(timedelta(seconds=300)), lambda _: None, parallel=1)
    may_end = asyncio.Event()

    async def call() -> str:
        await may_end.wait()
        return "done"

    reads = [asyncio.ensure_future(calls.run("read", None, call)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reads[1].cancel()  # in the queue
    await asyncio.wait([reads[1]])
    may_end.set()
    assert await reads[0] == await reads[2] == "done"
    assert await calls.run("read", None, call) == "done"
