"""The storages that a bot may have: our own, and upstream's as StateScopes takes them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import pytest

from botstate_ext.scopes.scope import StateScope
from botstate_ext.storage import (
    BlobStorage,
    MemoryStorage,
    SQLiteStorage,
    StateStorage,
    as_state_storage,
)
from botstate_ext.storage.wrapper import StorageWrapper
from tests.turns import Storage, UpstreamMemoryStorage, context


class OneByOne(StorageWrapper):
    """A storage without its transactions."""

    def __init__(self, storage: Any) -> None:
        super().__init__(storage)
        self.transactional = False

    def transactional_for(self, keys: Collection[str]) -> bool:
        return False


BACKENDS = ("memory", "upstream memory", "blob", "upstream blob")


@pytest.fixture(params=BACKENDS)
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    """Each of them in turn, empty."""
    storage = make(request.param, request)
    yield storage
    await as_state_storage(storage).aclose()


def make(kind: str, request: pytest.FixtureRequest) -> Storage:
    """A storage of this kind; on Blob in a container of its own."""
    if kind == "memory":
        return MemoryStorage()
    if kind == "upstream memory":
        return UpstreamMemoryStorage()
    return blob(kind, request.getfixturevalue("azurite"), f"test-{uuid.uuid4().hex}")


OWN = ("memory", "sqlite", "blob", "postgres", "redis")


def make_own(kind: str, request: pytest.FixtureRequest, folder: Path) -> StateStorage:
    """An empty storage of ours of this kind."""
    name = f"test-{uuid.uuid4().hex}"
    if kind == "memory":
        return MemoryStorage()
    if kind == "sqlite":
        return SQLiteStorage(folder / "state.db")
    if kind == "blob":
        connection = request.getfixturevalue("azurite")
        return BlobStorage(connection_string=connection, container_name=name)
    if kind == "postgres":
        from botstate_ext.storage import PostgresStorage

        url = request.getfixturevalue("postgres_url")
        return PostgresStorage(url, table=name.replace("-", "_"))
    from botstate_ext.storage import RedisStorage

    return RedisStorage(request.getfixturevalue("redis_url"), prefix=name)


def blob(kind: str, connection: str, container: str) -> Storage:
    """The storage of this kind over this container."""
    if kind == "blob":
        return BlobStorage(connection_string=connection, container_name=container)
    upstream: Any = pytest.importorskip("botbuilder.azure")
    settings = upstream.BlobStorageSettings(container, connection_string=connection)
    return upstream.BlobStorage(settings)


async def body(storage: Storage, key: str) -> bytes | None:
    """What is stored, byte for byte."""
    item = await as_state_storage(storage).get(key)
    return None if item is None else item.data


async def plant(storage: Storage, key: str, data: bytes) -> bytes:
    """Store these bytes as someone else would, and return what is stored then."""
    await as_state_storage(storage).put_if(key, data, etag="*")
    stored = await body(storage, key)
    assert stored is not None
    return stored


async def read_all(scope: StateScope) -> dict[str, Any]:
    """All properties of the usual turn's document, as the next turn sees them."""
    turn = context()
    await scope.load(turn)
    return scope.get(turn) or {}
