"""Replay between processes, on Azurite."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from botstate_ext.storage import BlobStorage
from tests.turns import StateScopes, context

APPENDER = Path(__file__).with_name("replay_appender.py")
ROOT = Path(__file__).parents[2]
PROCESSES, TURNS = 4, 10


@pytest.mark.blob
async def test_four_processes_append_to_one_order(azurite: str, container_name: str) -> None:
    env = os.environ | {"AZURE_STORAGE_CONNECTION_STRING": azurite, "PYTHONPATH": str(ROOT)}
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(APPENDER),
            container_name,
            f"p{number}",
            str(TURNS),
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    outcomes = [await process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, outcomes
    assert all(int(printed) >= TURNS for printed, _ in outcomes)

    storage = BlobStorage(connection_string=azurite, container_name=container_name)
    async with StateScopes(storage) as states:
        items = await states.shared.create_property("order").at("1").get(context())
    assert sorted(items or ()) == sorted(
        f"p{number}-{turn}" for number in range(PROCESSES) for turn in range(TURNS)
    )
