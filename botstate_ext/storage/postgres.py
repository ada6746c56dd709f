"""PostgresStorage: items in a table of PostgreSQL."""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from datetime import timedelta
from hashlib import sha256
from secrets import token_hex
from typing import Any, Final

import psycopg
import psycopg_pool
from psycopg.rows import tuple_row

from .backend import (
    OpenOnce,
    check_etag,
    check_key,
    check_put,
    check_writes,
    conflict,
    conflict_of,
    page_of,
    page_size,
    prefix_end,
)
from .base import ANY, DueItems, ItemInfo, ItemPage, ItemWrite, StateStorage, StoredItem
from .due_index import NEXT_EXPIRY
from .keycheck import may_start_a_key
from .postgres_errors import CannotConnect, MayNotCreateTable, failure_of
from .postgres_locks import PostgresLocks
from .postgres_sql import Statements
from .retry import Retries
from .rows import due_pages_read, due_text, metadata_from, metadata_text
from .server_calls import ServerCalls

_DUE_LENGTH: Final = 100  # characters in the index, which takes some 2,700 bytes
_CREATING: Final = 0x626F747374617465  # the name of an advisory lock: any number, always the same


class PostgresStorage(StateStorage):
    """Items in one table of a PostgreSQL database, 12 or newer, in UTF-8.

    ``conninfo``: psycopg's connection string or URL, for a pool that this storage opens and closes;
    or an open ``psycopg_pool.AsyncConnectionPool`` of the app's, which stays the app's.
    ``table``: its name, or ``schema.table``. It is created at the first use. If the
    user has no right to create it, the error holds the statements of `schema_sql`.
    ``parallel``: the most connections of the own pool. ``deadline``: for one operation with all its
    attempts; a lost connection, a server that restarts and a deadlock are tried again until then.
    ``types``: see StateStorage. ``sleep`` and ``random`` are asyncio's and random's, for tests.

    Nothing is opened before the first operation. On Windows psycopg needs
    ``asyncio.WindowsSelectorEventLoopPolicy``.

    :raises ImportError: psycopg is not installed; the text says what to install.
    :raises ValueError: ``conninfo`` is not a connection string, or ``table`` is not a name.
    """

    transactional = True

    def __init__(
        self,
        conninfo: str | psycopg_pool.AsyncConnectionPool[Any],
        *,
        table: str = "botstate_items",
        parallel: int = 16,
        deadline: timedelta = timedelta(seconds=8),
        types: Iterable[type] = (),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = _random.random,
    ) -> None:
        super().__init__(types=types)
        if parallel < 1:
            raise ValueError("parallel must be at least 1.")
        self._table, self._sql = table, Statements(table)
        self._retries = Retries(deadline, sleep, random)
        # A pool would wait within the deadline.
        most = parallel if isinstance(conninfo, str) else conninfo.max_size
        self._calls = ServerCalls(self._retries, failure_of, parallel=most)
        self._parallel = parallel
        self._conninfo = _checked(conninfo) if isinstance(conninfo, str) else ""
        self._app_pool = None if isinstance(conninfo, str) else conninfo
        self._pool = OpenOnce(self._open, self._close)

    def schema_sql(self) -> str:
        """Return the statements that create the table, for someone who may."""
        return self._sql.schema_sql()

    def locks(self, namespace: str | None = None) -> PostgresLocks:
        """Return advisory locks of this database, over a connection of their own. ``namespace``:
        locks of another one do not meet; None: the table's name.

        :raises TypeError: the storage has a pool of the app's, and so no connection string.
        """
        if self._app_pool is not None:
            raise TypeError(
                "Locks need a connection of their own: give the connection string instead of a "
                "storage with the app's pool."
            )
        return PostgresLocks(self._conninfo, namespace or self._table, self._retries)

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        for key in keys:
            check_key(key)
        if not keys:
            return {}
        ids = [_id(key) for key in dict.fromkeys(keys)]
        only = next(iter(keys)) if len(ids) == 1 else None
        rows = await self._fetch("read", only, self._sql.select, (ids,))
        return {
            key: StoredItem(bytes(data), etag, metadata_from(metadata))
            for key, etag, data, metadata in rows
        }

    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        check_put(key, etag, metadata)
        change = _Change(self._sql, ItemWrite(key, data, etag, metadata))

        async def put() -> None:
            async with (await self._pool.get()).connection() as connection:
                await change.run(connection)
                if change.has_lost:
                    raise conflict(key, etag)

        await self._calls.run("put", key, put)
        return change.new_etag

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        check_key(key)
        check_etag(etag)
        change = _Change(self._sql, ItemWrite(key, None, etag))

        async def delete() -> bool:
            async with (await self._pool.get()).connection() as connection:
                await change.run(connection)
                if await change.fetch_has_lost():
                    raise conflict(key, etag)
                return change.is_deleted

        return await self._calls.run("delete", key, delete)

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        check_writes(writes)
        if not writes:
            return {}
        # Everyone locks rows in the same order, so that no two wait for each other.
        changes = sorted((_Change(self._sql, write) for write in writes), key=_Change.order)

        async def write() -> None:
            async with (await self._pool.get()).connection() as connection:
                try:
                    await _write_in_one_step(connection, changes, writes)
                finally:
                    # Left in its pipeline by a cancellation, it would answer the next user late.
                    if connection.pgconn.pipeline_status:
                        await connection.close()

        await self._calls.run("put", None, write)
        return {c.write.key: c.new_etag for c in changes if c.write.data is not None}

    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        size = page_size(limit)
        if not may_start_a_key(prefix + (continuation_token or "")):
            return ItemPage(())
        statement, values = self._sql.list(prefix, prefix_end(prefix), continuation_token)
        rows = await self._fetch("list", None, statement, (*values, size + 1))
        infos = {row[0]: _info(*row) for row in rows}
        return page_of(infos, size, infos.__getitem__)

    async def list_folders(self) -> frozenset[str]:
        rows = await self._fetch("list", None, self._sql.folders)
        return frozenset(row[0] for row in rows)

    def list_due(self, entry: str, until: str) -> AsyncIterator[DueItems]:
        if entry != NEXT_EXPIRY:
            return super().list_due(entry, until)

        async def read(last: tuple[str, bytes] | None, limit: int) -> list[Any]:
            values = (until, *(last or ("", b"")), limit)
            rows = await self._fetch("list", None, self._sql.due, values)
            found = [((due, id_), _info(*info)) for *info, due, id_ in rows]
            # The index has the beginning of a text only.
            return [(at, i if i.metadata.get(entry, "") <= until else None) for at, i in found]

        return due_pages_read(read)

    async def aclose(self) -> None:
        await self._calls.aclose(self._pool.aclose)

    def __repr__(self) -> str:
        return f"<PostgresStorage in table {self._table!r}>"

    async def _fetch(
        self, operation: str, key: str | None, statement: Any, values: Sequence[Any] = ()
    ) -> list[Any]:
        async def fetch() -> list[Any]:
            async with (await self._pool.get()).connection() as connection:
                cursor = connection.cursor(binary=True, row_factory=tuple_row)
                rows: list[Any] = await (await cursor.execute(statement, values)).fetchall()
                return rows

        return await self._calls.run(operation, key, fetch)

    async def _open(self) -> psycopg_pool.AsyncConnectionPool[Any]:
        if self._app_pool is not None:
            async with self._app_pool.connection() as connection:
                await self._create_table(connection)
            return self._app_pool
        seconds = max(2, round(self._retries.seconds_an_attempt))
        # By hand first: a pool would not say why it cannot connect.
        try:
            connection = await psycopg.AsyncConnection.connect(
                self._conninfo, connect_timeout=seconds
            )
        except psycopg.Error as error:
            raise CannotConnect(str(error)) from error
        async with connection:
            await self._create_table(connection)
        pool: psycopg_pool.AsyncConnectionPool[Any] = psycopg_pool.AsyncConnectionPool(
            self._conninfo,
            kwargs={"autocommit": True, "connect_timeout": seconds},
            min_size=1,
            max_size=self._parallel,
            timeout=self._retries.seconds_an_attempt,
            open=False,
        )
        await pool.open()
        return pool

    async def _close(self, pool: psycopg_pool.AsyncConnectionPool[Any]) -> None:
        if pool is not self._app_pool:
            await pool.close()

    async def _create_table(self, connection: psycopg.AsyncConnection[Any]) -> None:
        async with connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(self._sql.is_there, (self._sql.quoted_table,))
            if await cursor.fetchone() != (None,):
                return
            # Two who create a table at once fail, also with IF NOT EXISTS.
            await cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_CREATING,))
            try:
                for statement in self._sql.schema:
                    await cursor.execute(statement)
            except psycopg.errors.InsufficientPrivilege as error:
                raise MayNotCreateTable(self.schema_sql()) from error


class _Change:
    """One write, ready to be sent, and what came of it."""

    def __init__(self, sql: Statements, write: ItemWrite) -> None:
        self.write, self.new_etag = write, token_hex(16)
        self.is_deleted = False
        self.id = _id(write.key)
        self._statement, self._values = self._prepared(sql)
        self._cursor: psycopg.AsyncCursor[Any] | None = None

    def order(self) -> bytes:
        return self.id

    def _prepared(self, sql: Statements) -> tuple[Any, tuple[Any, ...]]:
        write, etag = self.write, self.write.etag
        if write.data is None:
            return sql.delete, (self.id, self.id, etag, etag)
        due = due_text(write.metadata)[:_DUE_LENGTH]
        content = (self.new_etag, bytes(write.data), metadata_text(write.metadata), due)
        if etag is None:
            return sql.create, (self.id, write.key, *content)
        if etag == ANY:
            return sql.overwrite, (self.id, write.key, *content)
        return sql.update, (*content, self.id, etag, self.new_etag)

    async def run(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._cursor = connection.cursor(row_factory=tuple_row)
        await self._cursor.execute(self._statement, self._values)

    @property
    def has_lost(self) -> bool:
        """Return True if the condition of a put does not hold."""
        return self._cursor is not None and self._cursor.rowcount != 1

    async def fetch_has_lost(self) -> bool:
        """Return True if the condition does not hold."""
        if self.write.data is not None:
            return self.has_lost
        assert self._cursor is not None
        deleted, found = await self._cursor.fetchone() or (0, 0)
        self.is_deleted = deleted > 0
        return bool(found and not deleted)


async def _write_in_one_step(
    connection: psycopg.AsyncConnection[Any],
    changes: Sequence[_Change],
    writes: Sequence[ItemWrite],
) -> None:
    async with connection.pipeline() as pipeline, connection.transaction():
        for change in changes:
            await change.run(connection)
        await pipeline.sync()
        lost = {change.write.key for change in changes if await change.fetch_has_lost()}
        if lost:
            raise conflict_of(writes, [write for write in writes if write.key in lost])


def _checked(conninfo: str) -> str:
    try:
        psycopg.conninfo.conninfo_to_dict(conninfo)
    except psycopg.Error:
        # Without the cause: it quotes the string, and so the password.
        raise ValueError(
            "conninfo is not a connection string: see psycopg.connect, for example"
            ' "postgresql://bot@localhost/state".'
        ) from None
    return conninfo


def _id(key: str) -> bytes:
    """The primary key. An index takes some 2,700 bytes, which a key may exceed."""
    return sha256(key.encode()).digest()


def _info(key: str, etag: str, size: int, updated: Any, metadata: str) -> ItemInfo:
    return ItemInfo(key, etag, size, updated, metadata_from(metadata))
