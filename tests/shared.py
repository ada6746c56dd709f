"""A server that all processes of one test run share: the first that needs it starts it, and ends it
when the last has no more use for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

StartServer = Callable[[], AbstractContextManager[str]]
"""Runs a server for a block, which is given its address."""


@contextmanager
def shared_server(name: str, factory: pytest.TempPathFactory, start: StartServer) -> Iterator[str]:
    """Give the address of this run's server of that name.

    Each test takes a table, prefix, container or database of its own in it.
    """
    if sys.platform == "win32" or "PYTEST_XDIST_WORKER" not in os.environ:
        with start() as address:
            yield address
    else:
        with server_of_all(factory.getbasetemp().parent / f"{name}.server", start) as address:
            yield address


if sys.platform != "win32":
    import fcntl

    @contextmanager
    def server_of_all(file: Path, start: StartServer) -> Iterator[str]:
        """Give the address of the server that this file names; start it if the file names none.

        All who use the server hold a shared lock of the file, and who starts or ends it the
        exclusive one. The system releases the lock of a process that is killed.
        """
        with file.open("a+") as named:
            for kind in (fcntl.LOCK_SH, fcntl.LOCK_EX):
                fcntl.flock(named, kind)
                named.seek(0)
                address = named.read()
                if address:
                    fcntl.flock(named, fcntl.LOCK_SH)
                    yield address
                    return
            with start() as address:
                named.write(address)
                named.flush()
                fcntl.flock(named, fcntl.LOCK_SH)
                try:
                    yield address
                finally:
                    fcntl.flock(named, fcntl.LOCK_EX)  # when all others are done
                    named.truncate(0)
