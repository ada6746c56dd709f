"""`python -m botstate_ext`, run in a process that is forked from one which has imported everything:
a new interpreter takes longer to import the SDK than most commands take."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NamedTuple

PRELOADED = ("botstate_ext.cli", "azure.storage.blob.aio", "psycopg_pool", "redis.asyncio")


class Finished(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


class Nursery:
    """The process that is forked for each command."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=Path(__file__).parent,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )

    def run(
        self, arguments: Iterable[str], cwd: Path, env: Mapping[str, str], typed: str
    ) -> Finished:
        """Run one command to its end."""
        ours, theirs = socket.socketpair()
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            ours,
        ):
            given.write(typed.encode())
            given.seek(0)
            told = json.dumps([list(arguments), str(cwd), dict(env)]).encode()
            with theirs:
                files = [given.fileno(), out.fileno(), err.fileno(), theirs.fileno()]
                socket.send_fds(self._socket, [told], files)
            ended = ours.recv(1)
            assert ended, "it was killed"
            return Finished(ended[0], _read(out), _read(err))

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@cache
def _nursery() -> Nursery:
    nursery = Nursery()
    atexit.register(nursery.close)
    return nursery


async def run(*arguments: str, cwd: Path, env: Mapping[str, str], typed: str = "") -> Finished:
    """Run ``python -m botstate_ext`` with these arguments in this folder and environment."""
    return await asyncio.to_thread(_nursery().run, arguments, cwd, env, typed)


def _serve(requests: socket.socket) -> None:
    for name in PRELOADED:
        with suppress(ImportError):
            import_module(name)
    while True:
        told, files, _, _ = socket.recv_fds(requests, 1 << 20, 4)
        if not told:
            return
        if os.fork() == 0:
            requests.close()
            if os.fork() == 0:
                _become(json.loads(told), files)
            os._exit(0)
        os.wait()
        for file in files:
            os.close(file)


def _become(told: list[Any], files: list[int]) -> None:
    arguments, cwd, env = told
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["", *arguments]
    sys.path[0] = cwd
    code = 1
    try:
        runpy.run_module("botstate_ext", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as left:
        if isinstance(left.code, str):
            print(left.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
        else:
            code = left.code or 0
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(files[3], bytes([code]))
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
