"""A sample as its user runs it: a process of its own, with the environment as its settings."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SAMPLE = REPOSITORY / "samples" / "state_management_bot"
PATIENCE = REPOSITORY / "tests" / "patience.py"
PIZZA = REPOSITORY / "samples" / "pizza_orders"
AGENTS = REPOSITORY / "samples" / "agents_name_prompt"
SETTINGS = (
    "PORT",
    "STATE_FILE",
    "STATE_URL",
    "STATE_CONTAINER",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_COSMOS_ENDPOINT",
    "AZURE_COSMOS_KEY",
)
# What a test does not name itself is not kept, and so not found by the next.
FORGETFUL = {"STATE_STORAGE": "memory"}


@dataclass(frozen=True, slots=True)
class Finished:
    returncode: int | None
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class RunningBot:
    port: int
    greeting: list[str]

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/api/messages"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def run_to_its_end(script: Path, *arguments: str, typed: str = "", **env: str) -> Finished:
    with tempfile.TemporaryDirectory() as folder:
        process = await _start(folder, script, *arguments, **env)
        stdout, stderr = await process.communicate(typed.encode())
    return Finished(process.returncode, stdout.decode(), stderr.decode())


@asynccontextmanager
async def running_bot(
    sample: Path = SAMPLE, python: str = sys.executable, /, **env: str
) -> AsyncIterator[RunningBot]:
    """A sample, from its greeting until it has stopped cleanly."""
    port = free_port()
    folder = tempfile.TemporaryDirectory()
    process = await _start(folder.name, sample / "app.py", python=python, PORT=str(port), **env)
    assert process.stdout is not None
    try:
        greeting: list[str] = []
        while not (greeting and greeting[-1].startswith("Ctrl-C")):
            line = await process.stdout.readline()
            assert line, "the bot ended before it listened"
            greeting.append(line.decode().rstrip("\n"))
        yield RunningBot(port, greeting)
    finally:
        if process.returncode is None:
            process.terminate()
        told = (await process.communicate())[1].decode()
        folder.cleanup()
        # pytest shows it when the test fails.
        sys.stderr.write(told)
    assert process.returncode == 0
    assert "Unclosed" not in told


async def _start(
    folder: str, script: Path, *arguments: str, python: str = sys.executable, **env: str
) -> asyncio.subprocess.Process:
    """Start it in a folder of its own: the file that it keeps state in by default is there."""
    # On memory as its user runs it; on Blob with a deadline that a busy machine does not reach.
    programs = [PATIENCE, script] if env.get("STATE_STORAGE") == "blob" else [script]
    inherited = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return await asyncio.create_subprocess_exec(
        python,
        *map(str, programs),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env=inherited | FORGETFUL | env,
    )
