"""Helpers of several contracts."""

from __future__ import annotations

import asyncio
import json

import pytest

from ...errors import StateConflictError
from ...storage.base import StateStorage, StoredItem


def needs(able: bool, why_not: str) -> None:
    if not able:
        pytest.skip(why_not)


def says(storage: StateStorage, item: StoredItem, body: bytes) -> bool:
    if storage.any_bytes:
        return item.data == body
    return bool(json.loads(item.data) == json.loads(body))


def is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


async def stored(storage: StateStorage, key: str) -> StoredItem:
    item = await storage.get(key)
    assert item is not None, f"{key!r} is not there"
    return item


async def race(storage: StateStorage, key: str, *, etag: str | None) -> int:
    """Let ten writers write the item at once. Return how many writes succeeded.

    Fails if the stored item is not that of a successful writer.
    """

    async def write(number: int) -> int | None:
        try:
            await storage.put_if(key, b'{"writer":%d}' % number, etag=etag)
        except StateConflictError:
            return None
        return number

    winners = [n for n in await asyncio.gather(*map(write, range(10))) if n is not None]
    assert json.loads((await stored(storage, key)).data)["writer"] in winners
    return len(winners)


async def add_one(storage: StateStorage, key: str) -> None:
    for _ in range(100):
        item = await stored(storage, key)
        body = b'{"count":%d}' % (json.loads(item.data)["count"] + 1)
        try:
            await storage.put_if(key, body, etag=item.etag)
        except StateConflictError:
            continue
        return
    raise AssertionError("a hundred conflicts in a row")


async def pages(storage: StateStorage, prefix: str, *, limit: int) -> list[list[str]]:
    pages, token = [], None
    while True:
        page = await storage.list_page(prefix, limit=limit, continuation_token=token)
        pages.append([info.key for info in page.items])
        token = page.continuation_token
        if token is None:
            return pages
