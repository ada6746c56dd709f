"""An operation on Blob ends at its deadline, whatever the attempts do at that moment."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta

import pytest

from botstate_ext import StateStorageError
from botstate_ext.storage import BlobStorage
from tests.azurite import connection_string
from tests.patience import LIMIT

OPERATIONS = 200


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_operations_that_fail_at_once_end_at_their_deadline() -> None:
    """Also when nothing pauses between the attempts, and many end at one moment."""
    pytest.importorskip("azure.storage.blob")

    async def no_pause(seconds: float) -> None: ...

    storage = BlobStorage(
        connection_string=connection_string(f"http://127.0.0.1:{closed_port()}"),
        container_name="none",
        deadline=timedelta(milliseconds=300),
        sleep=no_pause,
        parallel=OPERATIONS,
    )
    async with storage:
        tasks = [asyncio.ensure_future(storage.get(f"k{n}")) for n in range(OPERATIONS)]
        done, late = await asyncio.wait(tasks, timeout=LIMIT.total_seconds())
        for task in late:
            task.cancel()
        assert not late
        assert all(isinstance(task.exception(), StateStorageError) for task in done)
