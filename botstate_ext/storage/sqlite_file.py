"""One SQLite file: a thread that writes, a thread that reads, each with a connection of its own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final, TypeAlias, TypeVar

from ..errors import StateConflictError, StateStorageError

T = TypeVar("T")
Job: TypeAlias = Callable[[sqlite3.Connection], T]
"""What runs in a thread. A writing job that raises StateConflictError has changed nothing."""

_LARGEST_BATCH: Final = 200
_PAUSE: Final = 0.01  # seconds

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS botstate_items ("
    "key TEXT NOT NULL PRIMARY KEY, etag TEXT NOT NULL, data BLOB NOT NULL,"
    " metadata TEXT NOT NULL, updated INTEGER NOT NULL, due TEXT NOT NULL)"
)
_INDEX: Final = "CREATE INDEX IF NOT EXISTS botstate_items_due ON botstate_items (due, key)"

# By the text of SQLite's own message: its codes are in Python only from 3.11 on.
_REASONS: Final = {
    "file is not a database": "the file is no SQLite database. Choose another path.",
    "database disk image is malformed": "the file is damaged. Restore it from a backup.",
    "database or disk is full": "the disk is full. Free some space; nothing was written.",
    "attempt to write a readonly database": "the file is read-only. Let the bot's user write it.",
    "unable to open database file": (
        "the file cannot be opened. The bot's user must be able to write it and its directory."
    ),
    "database is locked": (
        "another process has held the file for too long. Keep its transactions short, or raise"
        " busy_timeout."
    ),
    "disk i/o error": "the disk failed. The system's log may say why.",
}


class SQLiteFile:
    """Runs jobs in the threads of one file. It opens the file once, before the first job.

    Writes that wait for the disk are gathered and committed together, so that many turns at once
    cost one wait. Writes wait for other processes; reads wait for nobody.
    """

    def __init__(self, path: Path, busy_timeout: timedelta) -> None:
        self._path, self._busy_seconds = path, busy_timeout.total_seconds()
        self._waiting: deque[_Write] = deque()
        self._writing: sqlite3.Connection | None = None
        self._reading: sqlite3.Connection | None = None
        self._writer = ThreadPoolExecutor(1, "botstate-sqlite-write")
        self._reader = ThreadPoolExecutor(1, "botstate-sqlite-read")
        self._opened = self._writer.submit(self._open_for_writing)

    @property
    def failed_to_open(self) -> bool:
        """Return True if the file could not be opened: this object is of no more use."""
        return self._opened.done() and self._opened.exception() is not None

    async def read(self, operation: str, key: str | None, job: Job[T]) -> T:
        """Run a job that only reads.

        :raises StateStorageError: the file could not be opened or read.
        """

        def run() -> T:
            self._opened.result()
            if self._reading is None:
                self._reading = self._connect()
                self._reading.execute("PRAGMA query_only = 1")
            return job(self._reading)

        return await _outcome(operation, key, self._reader.submit(run))

    async def write(self, operation: str, key: str | None, job: Job[T]) -> T:
        """Run a job and commit what it wrote to the disk.

        A caller that is cancelled before the job began leaves nothing; later the job is done.

        :raises StateStorageError: the file could not be opened or written.
        """
        write = _Write(job)
        self._waiting.append(write)
        self._writer.submit(self._write_waiting)
        result: T = await _outcome(operation, key, write.outcome)
        return result

    async def aclose(self) -> None:
        """Finish the jobs that were given, and close the file. A closed file takes no more jobs."""
        # The connection that writes is the last: SQLite then moves all from its log to the file.
        reads_ended = self._reader.submit(self._close_reading)
        self._reader.shutdown(wait=False)
        closed = self._writer.submit(self._close_writing, reads_ended)
        self._writer.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(closed))

    # In the threads

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )

    def _open_for_writing(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Of several processes that make the file at once, SQLite refuses some without waiting.
        end = monotonic() + self._busy_seconds
        while True:
            connection = self._connect()
            try:
                _prepare(connection)
            except BaseException as error:
                connection.close()
                if "locked" not in str(error) or monotonic() > end:
                    raise
                sleep(_PAUSE)
            else:
                self._writing = connection
                return

    def _write_waiting(self) -> None:
        batch: list[_Write] = []
        while self._waiting and len(batch) < _LARGEST_BATCH:
            write = self._waiting.popleft()
            if write.outcome.set_running_or_notify_cancel():
                batch.append(write)
        if batch:
            self._commit(batch)

    def _commit(self, batch: list[_Write]) -> None:
        is_committing = False
        try:
            self._opened.result()
            assert self._writing is not None
            self._writing.execute("BEGIN IMMEDIATE")
            for write in batch:
                write.run(self._writing)
            is_committing = True
            self._writing.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - each writer gets it
            self._roll_back()
            if len(batch) > 1 and not is_committing:
                # One that fails must not fail the others.
                for write in batch:
                    self._commit([write])
                return
            for write in batch:
                write.outcome.set_exception(_CommitFailed(error) if is_committing else error)
            return
        for write in batch:
            write.answer()

    def _roll_back(self) -> None:
        if self._writing is not None and self._writing.in_transaction:
            self._writing.execute("ROLLBACK")

    def _close_reading(self) -> None:
        if self._reading is not None:
            self._reading.close()

    def _close_writing(self, reads_ended: Future[None]) -> None:
        reads_ended.result()
        if self._writing is not None:
            self._writing.close()


class _Write:
    """A job and, once it is committed, its outcome."""

    def __init__(self, job: Job[Any]) -> None:
        self._job = job
        self._result: Any = None
        self._conflict: StateConflictError | None = None
        self.outcome: Future[Any] = Future()

    def run(self, connection: sqlite3.Connection) -> None:
        self._result = self._conflict = None
        try:
            self._result = self._job(connection)
        except StateConflictError as error:
            self._conflict = error

    def answer(self) -> None:
        if self._conflict is not None:
            self.outcome.set_exception(self._conflict)
        else:
            self.outcome.set_result(self._result)


@dataclass
class _CommitFailed(Exception):
    """Raised when a commit failed: the disk may hold the writes or not."""

    error: Exception


class _Refused(Exception):
    """The file cannot be used, for a reason that is told as it is."""


def _prepare(connection: sqlite3.Connection) -> None:
    """Set what holds for the file and for this connection, and create the tables if needed."""
    # WAL: reads do not wait for writes. It needs memory that processes share, so file systems on a
    # network refuse it or, worse, take it and lose writes; SQLite answers with the mode it is in.
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise _Refused(
            f"it stays in the journal mode {mode!r} instead of WAL, as in memory or on a network"
            " share. Put the file on a local disk, or use a storage with a server."
        )
    # FULL: each commit waits for the disk. With less, a power cut takes the last turns.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(_TABLE)
    connection.execute(_INDEX)


async def _outcome(operation: str, key: str | None, future: Future[T]) -> T:
    try:
        return await asyncio.wrap_future(future)
    except _CommitFailed as failed:
        raise _storage_error(operation, key, failed.error, maybe_written=True) from failed.error
    except (sqlite3.Error, OSError, _Refused) as error:
        raise _storage_error(operation, key, error, maybe_written=False) from error


def _storage_error(
    operation: str, key: str | None, error: Exception, *, maybe_written: bool
) -> StateStorageError:
    if isinstance(error, _Refused):
        reason = str(error)
    elif isinstance(error, OSError):
        reason = "its directory cannot be made. Make it, or choose another path."
    else:
        text = str(error).lower()
        # Not SQLite's own text where it is not known: it may quote what was given to it.
        reason = next(
            (reason for message, reason in _REASONS.items() if message in text),
            f"SQLite failed ({type(error).__name__}).",
        )
    return StateStorageError(operation, key, reason, maybe_written=maybe_written)
