"""Many documents on Azurite: listed while others come and go, and one user among a thousand."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from botstate_ext.storage import BlobStorage
from botstate_ext.testing import CountingStorage
from tests.turns import StateScopes

ROOT = Path(__file__).parents[2]
ERASER = Path(__file__).with_name("eraser.py")
SLOW = pytest.mark.slow


@pytest.fixture
async def storage(azurite: str, container_name: str) -> AsyncIterator[CountingStorage]:
    async with BlobStorage(connection_string=azurite, container_name=container_name) as blob:
        yield CountingStorage(blob)


async def put(storage: CountingStorage, keys: Iterable[str]) -> None:
    """Store something under each key, as upstream would, many at a time."""
    waiting = list(keys)

    async def writer() -> None:
        while waiting:
            await storage.put_if(waiting.pop(), b'{"x":1}', etag=None)

    await asyncio.gather(*(writer() for _ in range(16)))


@pytest.mark.parametrize(
    ("documents", "page_size"), [(500, 20), pytest.param(5_000, 100, marks=SLOW)]
)
async def test_documents_by_pages_while_others_come_and_go(
    storage: CountingStorage, documents: int, page_size: int
) -> None:
    states = StateScopes(storage)
    stay = [f"shared/{number:05}" for number in range(documents)]
    go = [f"shared/{number:05}-goes" for number in range(0, documents, page_size)]
    await put(storage, [*stay, *go, "shared2/no", "other/shared/1"])
    storage.reset()
    listed: list[str] = []
    token, pages = None, 0
    while True:
        page = await states.shared.list_documents(page_size, token)
        listed += [record.key for record in page.items]
        token = page.continuation_token
        if token is None:
            break
        assert len(page.items) == page_size
        for gone in go[pages : pages + 3 : 2]:  # behind, and ahead
            await storage.delete_if(gone)
        for comes in (f"shared/{pages:03}-behind", listed[-1] + "~ahead"):
            await storage.put_if(comes, b"{}", etag=None)
        pages += 1
    assert len(listed) == len(set(listed)), "none repeats"
    assert listed == sorted(listed)
    assert set(stay) <= set(listed), "none is hidden"
    assert storage.bodies == 0
    assert storage.operations["list"] == pages + 1


@pytest.mark.parametrize("users", [100, pytest.param(1_000, marks=SLOW)])
async def test_one_user_among_many(
    storage: CountingStorage, azurite: str, container_name: str, users: int
) -> None:
    """An erasure that is killed half-way, by the next one completed."""
    states = StateScopes(storage)
    victim = f"u{users // 2:04}"
    others = [f"test/users/u{number:04}" for number in range(users)]
    others += [f"test/conversations/c{number % 50}/users/u{number:04}/" for number in range(users)]
    theirs = [f"test/conversations/d{number}/users/{victim}/" for number in range(8)]
    theirs += [f"test/users/{victim}", f"test/conversations/c0/users/{victim}/"]
    await put(storage, {*others, *theirs})
    before = {item.key async for item in storage.list_items()}

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ERASER),
        container_name,
        victim,
        "5",
        env={**os.environ, "AZURE_STORAGE_CONNECTION_STRING": azurite, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"hangs\n"
    process.kill()
    await process.communicate()
    half = before - {item.key async for item in storage.list_items()}
    assert len(half) == 4
    assert half < set(theirs)

    storage.reset()
    report = await states.erase_user("test", victim)
    assert report.complete
    assert set(report.removed) == set(theirs) - half
    assert {item.key async for item in storage.list_items()} == before - set(theirs)
    assert storage.bodies == 0
