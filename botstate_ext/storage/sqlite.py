"""SQLiteStorage: items in a file on this machine, with nothing to install."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from ..clock import Clock, system_clock
from .backend import (
    check_etag,
    check_key,
    check_put,
    page_of,
    page_size,
    prefix_end,
)
from .base import ANY, DueItems, ItemInfo, ItemPage, ItemWrite, StateStorage, StoredItem
from .due_index import NEXT_EXPIRY
from .keycheck import may_start_a_key
from .rows import due_pages_read, due_text, metadata_from, metadata_text
from .sqlite_file import SQLiteFile
from .writes import check_conditions, check_writes

_SELECT: Final = "SELECT key, etag, data, metadata FROM botstate_items WHERE key IN ({})"
_SELECT_ETAGS: Final = "SELECT key, etag FROM botstate_items WHERE key IN ({})"
_UPSERT: Final = (
    "INSERT INTO botstate_items (key, etag, data, metadata, updated, due) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (key) DO UPDATE SET etag = excluded.etag, data = excluded.data,"
    " metadata = excluded.metadata, updated = excluded.updated, due = excluded.due"
)
_DELETE: Final = "DELETE FROM botstate_items WHERE key = ?"
_INFO: Final = "key, etag, length(data), updated, metadata"
_LIST: Final = f"SELECT {_INFO} FROM botstate_items WHERE {{}} ORDER BY key LIMIT ?"
_DUE: Final = (
    f"SELECT {_INFO}, due FROM botstate_items WHERE due <= ? AND (due, key) > (?, ?)"
    " ORDER BY due, key LIMIT ?"
)
# From each folder to the first key after it, so that it costs what there are folders, not keys.
_NEXT_FOLDER: Final = (
    "SELECT substr(key, 1, instr(key, '/') - 1) FROM botstate_items"
    " WHERE key >= ? AND instr(key, '/') > 0 ORDER BY key LIMIT 1"
)
_AFTER_SLASH: Final = chr(ord("/") + 1)

_KEYS_A_STATEMENT: Final = 500  # SQLite before 3.32 takes 999 parameters
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


class SQLiteStorage(StateStorage):
    """Items in one SQLite file, for bots that run on one machine.

    ``path``: the file; it and its directory are made if they are missing. Several processes of one
    machine may use it at once. A write is on the disk when it returns. The file must be on a local
    disk: network shares are refused where SQLite can tell.
    ``busy_timeout``: how long a write waits for other processes. ``types``: see StateStorage.
    ``clock``: tells when an item was written.

    Beside the file SQLite keeps two more, ``-wal`` and ``-shm``. Copy a file in use with
    ``sqlite3 bot.db ".backup copy.db"``; the last to close it leaves one file.

    :raises ValueError: ``busy_timeout`` is not longer than zero.
    """

    transactional = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        # A turn that cannot be saved, and its error handler, end before Teams sends again: 15 s.
        busy_timeout: timedelta = timedelta(seconds=7),
        types: Iterable[type] = (),
        clock: Clock = system_clock,
    ) -> None:
        super().__init__(types=types)
        if busy_timeout <= timedelta(0):
            raise ValueError("busy_timeout must be longer than zero.")
        self._path, self._busy_timeout, self._clock = Path(path), busy_timeout, clock
        self._file: SQLiteFile | None = None

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        for key in keys:
            check_key(key)
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            return {}

        def select(db: sqlite3.Connection) -> dict[str, StoredItem]:
            return {
                key: StoredItem(data, etag, metadata_from(metadata))
                for key, etag, data, metadata in _select(db, _SELECT, wanted)
            }

        return await self._open().read("read", wanted[0] if len(wanted) == 1 else None, select)

    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        check_put(key, etag, metadata)
        etags = await self._write("put", key, [ItemWrite(key, data, etag, metadata)])
        return etags[key]

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        check_key(key)
        check_etag(etag)

        def delete(db: sqlite3.Connection) -> bool:
            stored = dict(_select(db, _SELECT_ETAGS, [key]))
            check_conditions([ItemWrite(key, None, etag)], stored)
            db.execute(_DELETE, (key,))
            return bool(stored)

        return await self._open().write("delete", key, delete)

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        check_writes(writes)
        return await self._write("put", None, writes) if writes else {}

    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        size = page_size(limit)
        if not may_start_a_key(prefix + (continuation_token or "")):
            return ItemPage(())
        end = prefix_end(prefix)
        conditions = {"key >= ?": prefix, "key < ?": end, "key > ?": continuation_token}
        given = {text: value for text, value in conditions.items() if value is not None}
        statement = _LIST.format(" AND ".join(given))
        rows = await self._read_rows(statement, (*given.values(), size + 1))
        infos = {row[0]: _info(*row) for row in rows}
        return page_of(infos, size, infos.__getitem__)

    async def list_folders(self) -> frozenset[str]:
        def folders(db: sqlite3.Connection) -> frozenset[str]:
            found: list[str] = []
            while row := db.execute(
                _NEXT_FOLDER, (found[-1] + _AFTER_SLASH if found else "",)
            ).fetchone():
                found.append(row[0])
            return frozenset(found)

        return await self._open().read("list", None, folders)

    def list_due(self, entry: str, until: str) -> AsyncIterator[DueItems]:
        if entry != NEXT_EXPIRY:
            return super().list_due(entry, until)

        async def read(last: tuple[str, str] | None, limit: int) -> list[Any]:
            rows = await self._read_rows(_DUE, (until, *(last or ("", "")), limit))
            return [((due, info[0]), _info(*info)) for *info, due in rows]

        return due_pages_read(read)

    async def aclose(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            await file.aclose()

    def __repr__(self) -> str:
        return f"<SQLiteStorage on {self._path.name!r}>"

    def _open(self) -> SQLiteFile:
        if self._file is not None and self._file.failed_to_open:
            self._file = None  # what was wrong with the file may be put right by now
        if self._file is None:
            self._file = SQLiteFile(self._path, self._busy_timeout)
        return self._file

    async def _write(
        self, operation: str, key: str | None, writes: Sequence[ItemWrite]
    ) -> dict[str, str]:
        # Copied now: the caller may change its own while they wait for the disk.
        puts = [_row(write, self._clock()) for write in writes if write.data is not None]
        deletions = [(write.key,) for write in writes if write.data is None]

        def apply(db: sqlite3.Connection) -> dict[str, str]:
            stored = dict(_select(db, _SELECT_ETAGS, [write.key for write in writes]))
            check_conditions(writes, stored)
            db.executemany(_UPSERT, puts)
            db.executemany(_DELETE, deletions)
            return {row[0]: row[1] for row in puts}

        return await self._open().write(operation, key, apply)

    async def _read_rows(self, statement: str, values: Sequence[Any]) -> list[Any]:
        def select(db: sqlite3.Connection) -> list[Any]:
            return db.execute(statement, values).fetchall()

        return await self._open().read("list", None, select)


def _select(db: sqlite3.Connection, statement: str, keys: Sequence[str]) -> list[Any]:
    """Return the rows of these keys, all of one moment."""
    if len(keys) <= _KEYS_A_STATEMENT:
        return db.execute(statement.format(_marks(keys)), keys).fetchall()
    is_ours = not db.in_transaction
    if is_ours:
        db.execute("BEGIN")
    try:
        rows = []
        for start in range(0, len(keys), _KEYS_A_STATEMENT):
            some = keys[start : start + _KEYS_A_STATEMENT]
            rows += db.execute(statement.format(_marks(some)), some).fetchall()
        return rows
    finally:
        if is_ours:
            db.execute("COMMIT")


def _marks(keys: Sequence[str]) -> str:
    return ", ".join("?" * len(keys))


def _row(write: ItemWrite, now: datetime) -> tuple[Any, ...]:
    etag = token_hex(16)  # which no other process makes
    data, metadata = bytes(write.data or b""), metadata_text(write.metadata)
    microseconds = (now - _EPOCH) // timedelta(microseconds=1)
    return (write.key, etag, data, metadata, microseconds, due_text(write.metadata))


def _info(key: str, etag: str, size: int, updated: int, metadata: str) -> ItemInfo:
    when = _EPOCH + timedelta(microseconds=updated)
    return ItemInfo(key, etag, size, when, metadata_from(metadata))
