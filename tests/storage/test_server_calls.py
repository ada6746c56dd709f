"""Calls of a server: in time, not at all for a moment after it answered nobody, and closed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from botstate_ext import StateConflictError, StateStorageError
from botstate_ext.storage.retry import Retries
from botstate_ext.storage.server_calls import CallFailure, ServerCalls
from tests.patience import Time

DEADLINE = timedelta(seconds=8)


class Lost(Exception):
    """The driver's error of a connection that was lost."""


class Absent(Exception):
    """The driver's error of an item that is absent."""


def failure_of(error: Exception) -> CallFailure | None:
    lost = CallFailure("the connection was lost.", is_transient=True, may_be_done=True)
    return lost if isinstance(error, Lost) else None


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def calls(time: Time) -> ServerCalls:
    return calls_at(time)


def calls_at(time: Time, **options: Any) -> ServerCalls:
    retries = Retries(DEADLINE, time.sleep, lambda: 1.0, time)
    return ServerCalls(retries, failure_of, answers=(Absent,), **options)


async def loses() -> None:
    raise Lost


async def answers() -> str:
    return "answer"


async def test_after_a_deadline_without_an_answer_calls_fail_at_once_for_a_moment(
    calls: ServerCalls, time: Time
) -> None:
    """So a turn whose storage is down ends within one deadline, its error handler included."""
    with pytest.raises(StateStorageError, match="was lost") as lost:
        await calls.run("put", "key", loses)
    assert lost.value.maybe_written
    assert time.now == pytest.approx(8.0, abs=0.01)

    async def never() -> None:
        raise AssertionError("not called")

    time.now += 4.9
    with pytest.raises(StateStorageError, match="a moment ago") as refused:
        await calls.run("put", "key", never)
    assert not refused.value.maybe_written
    time.now += 0.2
    assert await calls.run("get", "key", answers) == "answer"
    assert await calls.run("get", "key", answers) == "answer"


@pytest.mark.parametrize("answer", [Absent(), StateConflictError("stale", key="key")])
async def test_an_answer_to_anybody_keeps_others_trying(
    calls: ServerCalls, answer: Exception
) -> None:
    async def answers_no() -> None:
        raise answer

    async def fails_while_another_is_answered() -> None:
        with pytest.raises(type(answer)):
            await calls.run("get", "key", answers_no)
        raise Lost

    with pytest.raises(StateStorageError):
        await calls.run("get", "key", fails_while_another_is_answered)
    assert await calls.run("get", "key", answers) == "answer"


async def test_an_answer_that_nobody_can_read_is_an_error_of_ours(calls: ServerCalls) -> None:
    async def forged() -> str:
        return {"data": "<html>"}["etag"]

    for operation in ("put", "delete", "get"):
        with pytest.raises(StateStorageError, match="no usable answer") as caught:
            await calls.run(operation, "key", forged)
        assert isinstance(caught.value.__cause__, KeyError)
        assert caught.value.maybe_written == (operation != "get")


async def test_a_call_that_was_cancelled_raises_that(calls: ServerCalls) -> None:
    """Also if it is cancelled in the very moment when it ends."""
    ends: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def call() -> None:
        await ends

    running = asyncio.ensure_future(calls.run("put", "key", call))
    for _ in range(3):
        await asyncio.sleep(0)
    ends.set_result(None)
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait((running,))
    assert running.cancelled()


@pytest.mark.parametrize("is_late", [False, True], ids=["in time", "late"])
async def test_closing_waits_and_then_cuts_off(time: Time, is_late: bool) -> None:
    before = asyncio.all_tasks()
    calls = calls_at(time, close_within=0.01 if is_late else 300)
    may_end, closed = asyncio.Event(), list[str]()

    async def slow() -> str:
        await may_end.wait()
        return "done"

    async def close() -> None:
        closed.append("closed")

    running = [asyncio.ensure_future(calls.run(name, "key", slow)) for name in ("put", "get")]
    for _ in range(3):
        await asyncio.sleep(0)
    closing = asyncio.ensure_future(calls.aclose(close))
    for _ in range(3):
        await asyncio.sleep(0)
    assert closed == []
    if not is_late:
        may_end.set()
    await closing
    assert closed == ["closed"]
    assert all(task.done() for task in running)
    if is_late:
        errors: list[Any] = [task.exception() for task in running]
        assert [type(error) for error in errors] == [StateStorageError] * 2
        assert [error.maybe_written for error in errors] == [True, False]
    else:
        assert [task.result() for task in running] == ["done"] * 2
    assert await calls.run("get", "key", answers) == "answer"
    assert asyncio.all_tasks() <= before


async def test_what_waits_for_its_next_attempt_opens_nothing_after_the_storage_is_closed() -> None:
    asleep = asyncio.Event()
    attempts, at_the_end = 0, 0

    async def sleep(seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    async def fails() -> None:
        nonlocal attempts
        attempts += 1
        raise Lost

    async def close() -> None:
        nonlocal at_the_end
        at_the_end = attempts

    retries = Retries(DEADLINE, sleep)
    calls = ServerCalls(retries, failure_of, close_within=0.01)
    running = asyncio.ensure_future(calls.run("put", "key", fails))
    await asleep.wait()
    await calls.aclose(close)
    with pytest.raises(StateStorageError, match="closed") as caught:
        await running
    assert caught.value.maybe_written
    assert attempts == at_the_end == 1
