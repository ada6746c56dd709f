"""Turns of one conversation one after another in several processes, on Redis and PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from botstate_ext import StateStorageError
from botstate_ext import storage as storages
from botstate_ext.storage import MemoryStorage
from botstate_ext.turn import locks
from botstate_ext.turn.locks.lease import Claim, LeaseLock
from tests.turn.sleeps import Sleeps
from tests.turns import StateMiddleware, StateScopes

KEY = "test/conversations/conv"
LONG = timedelta(minutes=5)
ROOT = Path(__file__).parents[2]


class Place:
    """One server, and a name there that no other test has."""

    def __init__(self, kind: str, url: str, name: str) -> None:
        self.kind, self.url, self.name = kind, url, name

    def lock(self, url: str | None = None, **options: Any) -> LeaseLock:
        """The lock of one more instance of the bot."""
        if self.kind == "redis":
            return locks.RedisLeaseLock(url or self.url, prefix=self.name, **options)
        return locks.PostgresAdvisoryLock(url or self.url, namespace=self.name, **options)

    def storage(self) -> Any:
        if self.kind == "redis":
            return storages.RedisStorage(self.url, prefix=self.name)
        return storages.PostgresStorage(self.url, table=self.name)

    async def is_held(self) -> bool:
        """What the server says, to one who does not hold it."""
        lock, claim = self.lock(), Claim(KEY)
        try:
            is_free = await lock._ask(claim)
            await lock._release(claim)
            return not is_free
        finally:
            await lock.aclose()

    async def end_lease(self) -> None:
        """Let the time pass after which Redis ends a lease that nobody renews."""
        if self.kind == "redis":
            import redis.asyncio

            client = redis.asyncio.Redis.from_url(self.url)
            lease = f"{{{self.name}}}:lock:{KEY}"
            assert 0 < await client.pttl(lease) <= 15_000
            await client.pexpire(lease, 1)
            await client.aclose()

    async def lose(self, lock: LeaseLock) -> None:
        """Take the lock from its holder, as after it stood still, or lost its connection."""
        if self.kind == "redis":
            import redis.asyncio

            client = redis.asyncio.Redis.from_url(self.url)
            assert await client.delete(f"{{{self.name}}}:lock:{KEY}") == 1
            await client.aclose()
        else:
            import psycopg

            assert isinstance(lock, locks.PostgresAdvisoryLock)
            held = lock._locks._connection
            assert held is not None
            async with await psycopg.AsyncConnection.connect(self.url) as other:
                # It waits until the connection has ended.
                await other.execute(
                    "SELECT pg_terminate_backend(%s, 60000)", (held.info.backend_pid,)
                )


@pytest.fixture(params=["redis", "postgres"])
def place(request: pytest.FixtureRequest, table_name: str) -> Place:
    return Place(request.param, request.getfixturevalue(f"{request.param}_url"), table_name)


Instance = Callable[..., LeaseLock]


@pytest.fixture
async def instance(place: Place) -> AsyncIterator[Instance]:
    async with AsyncExitStack() as stack:

        def make(**options: Any) -> LeaseLock:
            lock = place.lock(**options)
            stack.push_async_callback(lock.aclose)
            return lock

        yield make


async def test_instances_take_turns(instance: Instance) -> None:
    running, most, order = 0, 0, list[int]()

    async def turn(lock: LeaseLock, number: int) -> None:
        nonlocal running, most
        async with lock.hold(KEY, LONG) as is_held:
            assert is_held
            running += 1
            most = max(most, running)
            order.append(number)
            await asyncio.sleep(0)
            running -= 1

    one, two = instance(), instance()
    await asyncio.gather(*(turn((one, two)[number % 2], number) for number in range(20)))
    assert most == 1
    for parity in (0, 1):
        of_one_process = [number for number in order if number % 2 == parity]
        assert of_one_process == sorted(of_one_process), "in order within a process"
    assert sorted(order) == list(range(20))


async def test_other_conversations_are_not_delayed(instance: Instance) -> None:
    lock = instance()
    async with lock.hold(KEY, LONG), lock.hold(KEY + "2", LONG) as is_held:
        assert is_held
        async with instance().hold(KEY + "3", LONG) as is_held:
            assert is_held


async def test_afterwards_nothing_is_held(instance: Instance, place: Place) -> None:
    lock = instance()
    async with lock.hold(KEY, LONG):
        assert await place.is_held()
        assert repr(lock) == f"<{type(lock).__name__}, 1 held or wanted here>"
    assert not await place.is_held()
    assert repr(lock) == f"<{type(lock).__name__}, 0 held or wanted here>"


async def test_another_name_is_another_lock(instance: Instance, place: Place) -> None:
    other = Place(place.kind, place.url, place.name + "2").lock()
    async with instance().hold(KEY, LONG), other.hold(KEY, LONG) as is_held:
        assert is_held
    await other.aclose()


async def test_who_waited_too_long_goes_on_without(instance: Instance) -> None:
    sleeps = Sleeps()
    late = instance(wait_for=sleeps.is_late, sleep=sleeps)
    async with instance().hold(KEY, LONG):
        async with late.hold(KEY, timedelta(seconds=10)) as is_held:
            assert not is_held
        assert "0 held or wanted here" in repr(late)
    sleeps.asleep.clear()
    async with late.hold(KEY, LONG) as is_held:
        assert is_held


def noted_renewals(lock: LeaseLock) -> asyncio.Queue[bool]:
    """What each renewal comes to."""
    results: asyncio.Queue[bool] = asyncio.Queue()
    renew = lock._renew

    async def noted(claim: Any) -> bool:
        is_renewed = await renew(claim)
        results.put_nowait(is_renewed)
        return is_renewed

    lock._renew = noted  # type: ignore[method-assign]
    return results


async def test_it_is_renewed_while_the_turn_runs(instance: Instance) -> None:
    sleeps = Sleeps()
    lock = instance(sleep=sleeps)
    renewals = noted_renewals(lock)
    async with lock.hold(KEY, LONG):
        for _ in range(3):
            await sleeps.wake()
            assert await renewals.get()
    assert set(sleeps.seconds) == {5}


async def test_a_key_of_redis_lasts_for_the_lease(redis_url: str, table_name: str) -> None:
    import redis.asyncio

    client = redis.asyncio.Redis.from_url(redis_url)
    sleeps = Sleeps()
    lock = locks.RedisLeaseLock(client, prefix=table_name, lease=timedelta(minutes=3), sleep=sleeps)
    renewals, name = noted_renewals(lock), f"{{{table_name}}}:lock:{KEY}"
    async with lock.hold(KEY, LONG):
        assert 170_000 < await client.pttl(name) <= 180_000
        await client.pexpire(name, 100_000)
        await sleeps.wake()
        assert await renewals.get()
        assert 170_000 < await client.pttl(name) <= 180_000
    assert await client.exists(name) == 0
    await lock.aclose()
    assert await client.ping(), "it is the app's"
    await client.aclose()


async def test_a_holder_that_lost_it_does_not_take_the_next_ones(
    instance: Instance, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    sleeps = Sleeps()
    lock = instance(sleep=sleeps)
    renewals = noted_renewals(lock)
    async with AsyncExitStack() as second:
        async with lock.hold(KEY, LONG):
            await place.lose(lock)
            assert await second.enter_async_context(instance().hold(KEY, LONG))
            await sleeps.wake()
            assert not await renewals.get()
            await asyncio.sleep(0)
            assert "lost its lease" in caplog.text
        assert await place.is_held(), "the end of the first is not its business"
    assert not await place.is_held()
    async with lock.hold(KEY, LONG) as is_held:
        assert is_held, "and by a new connection"


async def test_a_cancelled_waiter_leaves_nothing_behind(instance: Instance, place: Place) -> None:
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
        assert await place.is_held()
    async with waiting.hold(KEY, LONG) as is_held:
        assert is_held


@pytest.mark.parametrize("steps", range(12))
async def test_cancelled_at_any_moment_of_taking_it(
    instance: Instance, place: Place, steps: int
) -> None:
    """Also when the server has given the lock and the answer is on its way."""
    lock = instance()
    async with lock.hold(KEY + "2", LONG):  # it is connected
        taking = asyncio.ensure_future(hold_forever(lock))
        for _ in range(steps):
            await asyncio.sleep(0)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert not await place.is_held()
        assert "1 held or wanted here" in repr(lock)


async def hold_forever(lock: LeaseLock) -> None:
    async with lock.hold(KEY, LONG):
        await asyncio.Event().wait()


async def test_cancelled_when_it_was_just_given(instance: Instance, place: Place) -> None:
    lock, given = instance(), asyncio.Event()
    ask: Callable[[Any], Awaitable[bool]] = lock._ask

    async def given_and_then_cancelled(claim: Any) -> bool:
        assert await ask(claim)
        given.set()
        await asyncio.Event().wait()
        return True

    lock._ask = given_and_then_cancelled  # type: ignore[method-assign]
    task = asyncio.ensure_future(hold_forever(lock))
    await given.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not await place.is_held()


async def test_a_cancelled_holder_lets_go(instance: Instance, place: Place) -> None:
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
    assert not await place.is_held()


HOLDER = """
import asyncio, sys
from tests.turn.test_shared_locks import KEY, LONG, Place

async def hold(*place):
    async with Place(*place).lock().hold(KEY, LONG):
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(hold(*sys.argv[1:]))
"""


async def test_the_lock_of_a_killed_process_ends(instance: Instance, place: Place) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, place.kind, place.url, place.name),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    assert await place.is_held()
    process.kill()
    await process.communicate()
    await place.end_lease()
    async with instance().hold(KEY, LONG) as is_held:
        assert is_held


async def test_it_is_closed_with_the_states(place: Place) -> None:
    """Also in mid-turn: the turn ends without opening anything again."""
    lock = place.lock()
    states = StateScopes(MemoryStorage())
    StateMiddleware(states, serialize_turns=lock)
    async with states, lock.hold(KEY, LONG):
        assert await place.is_held()
        await states.aclose()
    assert is_closed(lock)
    async with lock.hold(KEY + "2", LONG) as is_held:
        assert is_held, "used again, it opens again"
    await lock.aclose()
    assert is_closed(lock)


def is_closed(lock: LeaseLock) -> bool:
    if isinstance(lock, locks.RedisLeaseLock):
        return not lock._leases._server._client.is_open
    assert isinstance(lock, locks.PostgresAdvisoryLock)
    return lock._locks._connection is None


async def test_with_the_storage_of_the_app(place: Place) -> None:
    async with place.storage() as storage:
        kind = locks.RedisLeaseLock if place.kind == "redis" else locks.PostgresAdvisoryLock
        lock = kind(storage)
        async with lock.hold(KEY, LONG):
            assert await place.is_held()
        await lock.aclose()
        await storage.put_if("key", b"{}", etag=None)


async def test_a_pool_of_the_app_has_no_connection_to_spare(postgres_url: str) -> None:
    from psycopg_pool import AsyncConnectionPool

    pool = AsyncConnectionPool(postgres_url, open=False)
    with pytest.raises(TypeError, match="connection string"):
        locks.PostgresAdvisoryLock(storages.PostgresStorage(pool))


@pytest.mark.parametrize("kind", ["redis", "postgres"])
async def test_a_server_that_is_not_there_fails_the_turn_with_a_typed_error(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botstate_ext.storage import retry, server_calls

    pytest.importorskip("redis" if kind == "redis" else "psycopg")
    failing = server_calls.ServerCalls.run

    async def at_once(self: Any, *arguments: Any) -> Any:
        monkeypatch.setattr(self, "_retries", retry.Retries(timedelta(seconds=0.1)))
        return await failing(self, *arguments)

    monkeypatch.setattr(server_calls.ServerCalls, "run", at_once)
    scheme = "redis" if kind == "redis" else "postgresql"
    lock = Place(kind, f"{scheme}://user:s3cret@127.0.0.1:1/0", "x").lock()
    with pytest.raises(StateStorageError) as raised:
        async with lock.hold(KEY, LONG):
            raise AssertionError("nothing is held")
    assert "s3cret" not in f"{raised.value} {lock!r}"
    assert "0 held or wanted here" in repr(lock)


def test_a_lease_of_redis_is_a_second_or_longer() -> None:
    pytest.importorskip("redis")
    with pytest.raises(ValueError, match="a second"):
        locks.RedisLeaseLock("redis://localhost", lease=timedelta(seconds=0.5))
