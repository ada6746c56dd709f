"""Every backend keeps the same contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from botbuilder.core import MemoryStorage as UpstreamMemoryStorage
from botbuilder.core import Storage

from botstate_ext import storage as storages
from botstate_ext.storage import (
    BlobStorage,
    MemoryStorage,
    RoutedStorage,
    SQLiteStorage,
    StateStorage,
    as_state_storage,
)
from botstate_ext.testing import CountingStorage, FaultyStorage, StorageContract
from tests.storage.plain import PlainStorage
from tests.storage.upstream_kinds import (
    ETagStorage,
    PicklingStorage,
)


class TestMemory(StorageContract):
    @pytest.fixture
    def storage(self) -> StateStorage:
        return MemoryStorage()


class TestSQLite(StorageContract):
    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[StateStorage]:
        async with SQLiteStorage(tmp_path / "state" / "bot.db") as storage:
            yield storage


class TestPostgres(StorageContract):
    @pytest.fixture
    async def storage(self, postgres_url: str, table_name: str) -> AsyncIterator[StateStorage]:
        async with storages.PostgresStorage(postgres_url, table=table_name) as storage:
            yield storage


class TestRedis(StorageContract):
    @pytest.fixture
    async def storage(self, redis_url: str, table_name: str) -> AsyncIterator[StateStorage]:
        async with storages.RedisStorage(redis_url, prefix=table_name) as storage:
            yield storage


class TestSharedUpstreamMemory(StorageContract):
    @pytest.fixture
    def storage(self) -> StateStorage:
        return as_state_storage(UpstreamMemoryStorage())


@pytest.mark.blob
class TestBlob(StorageContract):
    @pytest.fixture
    async def storage(self, azurite: str, container_name: str) -> AsyncIterator[StateStorage]:
        async with BlobStorage(connection_string=azurite, container_name=container_name) as storage:
            yield storage


class TestUpstreamBlob(StorageContract):
    @pytest.fixture
    async def storage(self, azurite: str, container_name: str) -> AsyncIterator[StateStorage]:
        # Here: the tests of the newest driver run without botbuilder-azure, which pins an old one.
        from botbuilder.azure import BlobStorage, BlobStorageSettings

        settings = BlobStorageSettings(container_name, connection_string=azurite)
        async with as_state_storage(BlobStorage(settings)) as storage:
            yield storage


@pytest.mark.parametrize("kind", [PlainStorage, ETagStorage, PicklingStorage])
class TestBestEffort(StorageContract):
    @pytest.fixture
    def storage(self, kind: type[Storage]) -> StateStorage:
        return as_state_storage(kind())


class TestWrappersForTests(StorageContract):
    @pytest.fixture
    def storage(self) -> StateStorage:
        return CountingStorage(FaultyStorage(MemoryStorage()))


@pytest.mark.parametrize("route", ["contract", "other"])
class TestRouted(StorageContract):
    """What is routed, and what is left to the default."""

    @pytest.fixture
    def storage(self, route: str) -> StateStorage:
        return RoutedStorage({route: MemoryStorage()}, default=MemoryStorage())
