"""Instances with and without this package serve one conversation."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from botstate_ext.storage import BlobStorage

pytest.importorskip("botbuilder.azure", reason="upstream's Blob adapter is not installed")

ROOT = Path(__file__).parents[2]
TURNS = 200


class Instance:
    """A process of the bot."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, kind: str, container: str, connection_string: str) -> Instance:
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "AZURE_STORAGE_CONNECTION_STRING": connection_string,
        }
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "tests.host.rolling",
                kind,
                container,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=env,
                cwd=ROOT,
            )
        )

    async def turn(self, number: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.stdin.write(f"{number}\n".encode())
        line = await self._process.stdout.readline()
        assert line, (await self._process.stderr.read()).decode()
        return dict(json.loads(line))

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


@pytest.fixture
async def instances(azurite: str, container_name: str) -> AsyncIterator[dict[str, Instance]]:
    started: dict[str, Instance] = {}
    try:
        for kind in ("old", "new"):
            started[kind] = await Instance.start(kind, container_name, azurite)
        yield started
    finally:
        for instance in started.values():
            await instance.stop()


@pytest.mark.slow
async def test_two_hundred_turns_lose_nothing(
    instances: dict[str, Instance], azurite: str, container_name: str
) -> None:
    order = random.Random(1)
    took = [order.choice(["old", "new"]) for _ in range(TURNS)]
    said: list[str] = []
    for number, kind in enumerate(took):
        seen = await instances[kind].turn(number)
        assert seen["turns"] == number + 1, f"turn {number} by the {kind} one"
        assert seen["plain"] == number + 1
        assert (seen["type"], seen["kinds"]) == ("Log", "Kind"), kind
        said += seen["said"]
    # Each dialog takes three turns, by whichever instance: what was said is what one would say.
    expected: list[str] = []
    for number in range(0, TURNS, 3):
        expected += ["a?", "b?", f"{number + 1} + {number + 2}"]
    assert said == expected[: len(said)]
    assert len(said) == TURNS

    storage = BlobStorage(connection_string=azurite, container_name=container_name)
    async with storage:
        item = await storage.get("test/conversations/conv")
    assert item is not None
    body = json.loads(item.data)
    assert body["log"]["turns"] == list(range(TURNS))
    assert body["plain"] == {str(number): kind for number, kind in enumerate(took)}
