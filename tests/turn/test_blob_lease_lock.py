"""Turns of one conversation one after another across processes, by leases, on a real Azurite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from botstate_ext import BlobLeaseLock, StateStorageError
from botstate_ext.storage import BlobStorage
from botstate_ext.testing import ManualClock
from tests.turn.sleeps import Sleeps
from tests.turns import StateScopes, UpstreamMemoryStorage

KEY = "test/conversations/conv"
LOCK = "lock/test%2Fconversations%2Fconv"
LONG = timedelta(minutes=5)


def noted_renewals(lock: BlobLeaseLock) -> asyncio.Queue[bool]:
    """What each renewal comes to."""
    results: asyncio.Queue[bool] = asyncio.Queue()
    renew = lock._leases.renew

    async def noted(key: str, lease_id: str) -> bool:
        is_renewed = await renew(key, lease_id)
        results.put_nowait(is_renewed)
        return is_renewed

    lock._leases.renew = noted  # type: ignore[method-assign]
    return results


Instance = Callable[..., BlobLeaseLock]


@pytest.fixture
async def storage(azurite: str, container_name: str) -> AsyncIterator[BlobStorage]:
    async with BlobStorage(connection_string=azurite, container_name=container_name) as storage:
        yield storage


@pytest.fixture
async def instance(azurite: str, container_name: str) -> AsyncIterator[Instance]:
    """Makes the lock of one more instance of the bot."""
    async with AsyncExitStack() as stack:

        def make(**options: Any) -> BlobLeaseLock:
            own = BlobStorage(connection_string=azurite, container_name=container_name)
            stack.push_async_callback(own.aclose)
            return BlobLeaseLock(own, **options)

        yield make


async def driver(storage: BlobStorage) -> Any:
    """The driver's own client of the lock's blob."""
    connection = storage._requests._connection
    assert connection is not None
    return connection.blob(LOCK)


async def lease_state(storage: BlobStorage) -> str:
    properties = await (await driver(storage)).get_blob_properties()
    return str(properties.lease.state)


async def test_instances_take_turns(instance: Instance) -> None:
    running, most, order = 0, 0, list[int]()

    async def turn(lock: BlobLeaseLock, number: int) -> None:
        nonlocal running, most
        async with lock.hold(KEY, LONG) as is_held:
            assert is_held
            running += 1
            most = max(most, running)
            order.append(number)
            await asyncio.sleep(0)
            running -= 1

    one, two = instance(), instance()
    await asyncio.gather(*(turn((one, two)[number % 2], number) for number in range(10)))
    assert most == 1
    for parity in (0, 1):
        of_one_process = [number for number in order if number % 2 == parity]
        assert of_one_process == sorted(of_one_process), "in order within a process"
    assert sorted(order) == list(range(10))


async def test_other_conversations_are_not_delayed(instance: Instance) -> None:
    async with instance().hold(KEY, LONG), instance().hold(KEY + "2", LONG) as is_held:
        assert is_held


async def test_afterwards_nothing_is_held(instance: Instance, storage: BlobStorage) -> None:
    lock = instance()
    async with lock.hold(KEY, LONG):
        assert await lease_state(storage) == "leased"
        assert repr(lock) == "<BlobLeaseLock, 1 held or wanted here>"
    assert await lease_state(storage) == "available"
    assert repr(lock) == "<BlobLeaseLock, 0 held or wanted here>"


async def test_who_waited_too_long_goes_on_without(instance: Instance) -> None:
    sleeps = Sleeps()
    late = instance(wait_for=sleeps.is_late, sleep=sleeps)
    async with instance().hold(KEY, LONG):
        async with late.hold(KEY, timedelta(seconds=10)) as is_held:
            assert not is_held
        assert repr(late) == "<BlobLeaseLock, 0 held or wanted here>"
    sleeps.asleep.clear()
    async with late.hold(KEY, LONG) as is_held:
        assert is_held


async def test_the_lease_is_renewed_while_the_turn_runs(
    instance: Instance, storage: BlobStorage
) -> None:
    sleeps = Sleeps()
    lock = instance(sleep=sleeps, lease=timedelta(seconds=30))
    renewals = noted_renewals(lock)
    async with lock.hold(KEY, LONG):
        for _ in range(3):
            await sleeps.wake()
            assert await renewals.get()
    assert set(sleeps.seconds) == {10}


async def test_a_holder_that_lost_its_lease_does_not_take_the_next_ones(
    instance: Instance, storage: BlobStorage, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a process that stood still, or died: its lease has ended, and another has it."""
    sleeps = Sleeps()
    lock = instance(sleep=sleeps)
    renewals = noted_renewals(lock)
    async with AsyncExitStack() as second:
        async with lock.hold(KEY, LONG):
            await _let_it_expire(storage)
            assert await second.enter_async_context(instance().hold(KEY, LONG))
            await sleeps.wake()
            assert not await renewals.get()
            await asyncio.sleep(0)
            assert "lost its lease" in caplog.text
        assert await lease_state(storage) == "leased", "the end of the first is not its business"
    assert await lease_state(storage) == "available"


async def _let_it_expire(storage: BlobStorage) -> None:
    from azure.storage.blob.aio import BlobLeaseClient

    await BlobLeaseClient(await driver(storage)).break_lease(0)


async def test_a_cancelled_waiter_leaves_nothing_behind(
    instance: Instance, storage: BlobStorage
) -> None:
    waiting = instance()

    async def turn() -> None:
        async with waiting.hold(KEY, LONG):
            raise AssertionError("it was cancelled before")

    async with instance().hold(KEY, LONG):
        tasks = [asyncio.ensure_future(turn()) for _ in range(3)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        assert await lease_state(storage) == "leased"
    async with waiting.hold(KEY, LONG) as is_held:
        assert is_held


@pytest.mark.parametrize("requests", range(4))
async def test_cancelled_at_any_moment_of_taking_it(
    instance: Instance, storage: BlobStorage, requests: int
) -> None:
    """Also when Azure has given the lease and the answer is on its way."""
    lock = instance()
    await storage.put_if(LOCK, b"{}", etag=None)
    acquire: Callable[..., Awaitable[bool | None]] = lock._leases.acquire
    given = asyncio.Event()

    async def given_and_then_cancelled(*arguments: Any) -> bool:
        await acquire(*arguments)
        given.set()
        for _ in range(requests):
            await asyncio.sleep(0)
        await asyncio.Event().wait()
        return True

    lock._leases.acquire = given_and_then_cancelled  # type: ignore[method-assign, assignment]

    async def turn() -> None:
        async with lock.hold(KEY, LONG):
            raise AssertionError("it was cancelled before")

    task = asyncio.ensure_future(turn())
    await given.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await lease_state(storage) == "available"


async def test_a_cancelled_holder_lets_go(instance: Instance, storage: BlobStorage) -> None:
    holds = asyncio.Event()

    async def turn() -> None:
        async with instance().hold(KEY, LONG):
            holds.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(turn())
    await holds.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await lease_state(storage) == "available"


async def test_sweeps_remove_the_blob_when_it_is_a_week_old(
    instance: Instance, storage: BlobStorage
) -> None:
    clock = ManualClock(datetime(2024, 5, 6, tzinfo=timezone.utc))
    states = StateScopes(storage, clock=clock)
    lock = instance(clock=clock)
    async with lock.hold(KEY, LONG):
        clock.advance(timedelta(days=6))
    assert (await states.sweep()).failed == 0
    assert await storage.get(LOCK) is not None
    clock.advance(timedelta(days=1))
    async with lock.hold(KEY, LONG):
        await states.sweep()
        assert await storage.get(LOCK) is not None, "it is in use"
    assert (await states.sweep()).failed == 0
    assert await storage.get(LOCK) is None
    async with lock.hold(KEY, LONG) as is_held:
        assert is_held


async def test_a_blob_removed_meanwhile_is_made_again(
    instance: Instance, storage: BlobStorage
) -> None:
    lock = instance()
    for _ in range(2):
        async with lock.hold(KEY, LONG) as is_held:
            assert is_held
        assert await storage.delete_if(LOCK)


async def test_a_blob_that_is_missing_each_time_ends_as_an_error(
    instance: Instance, storage: BlobStorage
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    lock = instance(sleep=sleep)

    async def missing(*_: Any) -> None: ...

    lock._leases.acquire = missing  # type: ignore[method-assign, assignment]
    with pytest.raises(StateStorageError, match="missing, although it was created 10 times"):
        async with lock.hold(KEY, LONG):
            raise AssertionError("nothing is held")
    assert len(pauses) == 9, "no pause after the first creation, which is the usual case"
    assert pauses[-1] > pauses[0] > 0
    assert repr(lock) == "<BlobLeaseLock, 0 held or wanted here>"


async def test_after_the_storage_is_closed_a_turn_ends_without_opening_it_again(
    azurite: str, container_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage = BlobStorage(connection_string=azurite, container_name=container_name)
    sleeps = Sleeps()
    before = asyncio.all_tasks()
    async with BlobLeaseLock(storage, sleep=sleeps).hold(KEY, LONG):
        await sleeps.asleep.wait()
        await storage.aclose()
        await sleeps.wake()
        await sleeps.asleep.wait()  # the renewal failed, and the next one is waited for
    assert storage._requests._connection is None
    assert "was not renewed" in caplog.text
    assert "ends by itself" in caplog.text
    assert asyncio.all_tasks() <= before


async def test_storage_that_cannot_be_reached_fails_the_turn_with_a_typed_error() -> None:
    unreachable = BlobStorage(
        connection_string=(
            "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0;"
            "BlobEndpoint=http://127.0.0.1:1/devstoreaccount1;"
        ),
        container_name="none",
        deadline=timedelta(seconds=0.05),
    )
    async with unreachable:
        lock = BlobLeaseLock(unreachable)
        with pytest.raises(StateStorageError) as raised:
            async with lock.hold(KEY, LONG):
                raise AssertionError("nothing is held")
    assert "c2VjcmV0" not in str(raised.value)
    assert repr(lock) == "<BlobLeaseLock, 0 held or wanted here>"


async def test_it_takes_upstreams_storage_and_a_container_client(
    azurite: str, container_name: str
) -> None:
    from azure.storage.blob.aio import ContainerClient

    async with ContainerClient.from_connection_string(azurite, container_name) as client:
        lock = BlobLeaseLock(client)
        async with lock.hold(KEY, LONG) as is_held:
            assert is_held


def test_it_needs_blob_storage() -> None:
    with pytest.raises(TypeError, match="needs Blob storage, not MemoryStorage"):
        BlobLeaseLock(UpstreamMemoryStorage())


@pytest.mark.parametrize("seconds", [14, 61])
def test_azure_leases_for_15_to_60_seconds(seconds: int) -> None:
    storage = BlobStorage(account_url="https://none.blob.core.windows.net", container_name="none")
    with pytest.raises(ValueError, match="15 to 60"):
        BlobLeaseLock(storage, lease=timedelta(seconds=seconds))
