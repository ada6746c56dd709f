"""Every backend keeps the same contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest
from botbuilder.core import MemoryStorage as UpstreamMemoryStorage
from botbuilder.core import Storage

from botstate_ext.storage import BlobStorage, MemoryStorage, StateStorage, as_state_storage
from botstate_ext.testing import CountingStorage, FaultyStorage, StorageContract


class TestMemory(StorageContract):
    @pytest.fixture
    def storage(self) -> StateStorage:
        return MemoryStorage()


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


class PlainStorage(Storage):
    """As an app may have written one: no e_tags at all."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}

    async def read(self, keys: list[str]) -> dict[str, Any]:
        return {key: deepcopy(self.items[key]) for key in keys if key in self.items}

    async def write(self, changes: dict[str, Any]) -> None:
        self.items.update(deepcopy(changes))

    async def delete(self, keys: list[str]) -> None:
        for key in keys:
            self.items.pop(key, None)


class ETagStorage(PlainStorage):
    """As the SDK's Cosmos storage does it: an e_tag in what is read, checked in what is written."""

    writes = 0

    async def write(self, changes: dict[str, Any]) -> None:
        for key, item in changes.items():
            stored = self.items.get(key, {}).get("e_tag")
            if item.get("e_tag") not in (None, "*", stored):
                raise RuntimeError("Etag conflict.")
            self.writes += 1
            self.items[key] = {**deepcopy(item), "e_tag": str(self.writes)}


@pytest.mark.parametrize("kind", [PlainStorage, ETagStorage])
class TestBestEffort(StorageContract):
    @pytest.fixture
    def storage(self, kind: type[Storage]) -> StateStorage:
        return as_state_storage(kind())


class TestWrappersForTests(StorageContract):
    @pytest.fixture
    def storage(self) -> StateStorage:
        return CountingStorage(FaultyStorage(MemoryStorage()))
