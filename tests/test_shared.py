"""One server for all processes of a test run."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("each process has its own there", allow_module_level=True)

from tests.shared import server_of_all

_processes = multiprocessing.get_context("spawn")


@contextmanager
def server(log: Path, address: str) -> Iterator[str]:
    note(log, f"{address} starts")
    try:
        yield address
    finally:
        note(log, f"{address} ends")


def note(log: Path, what: str) -> None:
    with log.open("a") as file:
        file.write(f"{what}\n")


def use(folder: Path, name: str, pipe: Connection) -> None:
    """Use the server until the pipe says so."""
    log = folder / "log"
    with server_of_all(folder / "server", lambda: server(log, f"server of {name}")) as address:
        pipe.send(address)
        pipe.recv()
        note(log, f"{name} is done")
    pipe.send("gone")


def start(folder: Path, name: str) -> tuple[SpawnProcess, Connection]:
    ours, theirs = _processes.Pipe()
    process = _processes.Process(target=use, args=(folder, name, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def test_the_first_starts_it_and_ends_it_after_the_last(tmp_path: Path) -> None:
    first, to_first = start(tmp_path, "first")
    assert to_first.recv() == "server of first"
    second, to_second = start(tmp_path, "second")
    killed, to_killed = start(tmp_path, "killed")
    assert to_second.recv() == to_killed.recv() == "server of first"
    killed.kill()
    to_first.send("done")
    to_second.send("done")
    assert to_first.recv() == to_second.recv() == "gone"
    for process in (first, second, killed):
        process.join()
    begun, *done, ended = (tmp_path / "log").read_text().splitlines()
    assert (begun, ended) == ("server of first starts", "server of first ends")
    assert sorted(done) == ["first is done", "second is done"]
    later, to_later = start(tmp_path, "later")
    assert to_later.recv() == "server of later"
    to_later.send("done")
    later.join()
