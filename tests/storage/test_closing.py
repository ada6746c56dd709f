"""Closing that is cancelled at any of its steps leaves a storage that closes, and opens again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from botstate_ext.storage import BlobStorage, SQLiteStorage, StateStorage

STEPS = 8


@pytest.fixture(params=["sqlite", "postgres", "redis", "blob"])
def make(
    request: pytest.FixtureRequest, tmp_path: Path, table_name: str, container_name: str
) -> Callable[[], StateStorage]:
    if request.param == "sqlite":
        return lambda: SQLiteStorage(tmp_path / "bot.db")
    if request.param == "blob":
        azurite: str = request.getfixturevalue("azurite")
        return lambda: BlobStorage(connection_string=azurite, container_name=container_name)
    url: str = request.getfixturevalue(f"{request.param}_url")
    # Here: the tests of the newest Blob driver run without the other drivers.
    from botstate_ext.storage import PostgresStorage, RedisStorage

    if request.param == "redis":
        return lambda: RedisStorage(url, prefix=table_name)
    return lambda: PostgresStorage(url, table=table_name)


async def test_closing_that_is_cancelled_leaves_nothing(make: Callable[[], StateStorage]) -> None:
    before = asyncio.all_tasks()
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: problems.append(what))
    for steps in range(STEPS):
        storage = make()
        await storage.put_if(f"key{steps}", b"{}", etag=None)
        closing = asyncio.ensure_future(storage.aclose())
        for _ in range(steps):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait((closing,))
        assert closing.cancelled() or closing.exception() is None
        await storage.aclose()
        assert await storage.get(f"key{steps}") is not None, "it opens again"
        await storage.aclose()
    for _ in range(20):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before
    assert problems == []
