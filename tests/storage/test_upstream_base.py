"""Upstream's own tests of storages, on ours and on upstream's as we wrap them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from botbuilder.core import MemoryStorage as UpstreamMemoryStorage

from botstate_ext.storage import (
    BlobStorage,
    MemoryStorage,
    SQLiteStorage,
    StateStorage,
    as_state_storage,
)

StorageBaseTests = pytest.importorskip("botbuilder.testing.storage_base_tests").StorageBaseTests

TESTS = [name for name, test in vars(StorageBaseTests).items() if isinstance(test, staticmethod)]


@pytest.fixture(params=["memory", "shared memory", "sqlite", "blob", "upstream blob"])
async def storage(
    request: pytest.FixtureRequest, container_name: str, tmp_path: Path
) -> AsyncIterator[StateStorage]:
    if request.param == "memory":
        yield MemoryStorage()
    elif request.param == "shared memory":
        yield as_state_storage(UpstreamMemoryStorage())
    elif request.param == "sqlite":
        async with SQLiteStorage(tmp_path / "bot.db") as storage:
            yield storage
    else:
        azurite = request.getfixturevalue("azurite")
        from botbuilder.azure import BlobStorage as UpstreamBlobStorage
        from botbuilder.azure import BlobStorageSettings

        settings = BlobStorageSettings(container_name, connection_string=azurite)
        is_ours = request.param == "blob"
        made = BlobStorage(settings) if is_ours else UpstreamBlobStorage(settings)
        async with as_state_storage(made) as storage:
            yield storage


@pytest.mark.parametrize("name", TESTS)
async def test_upstreams_own(storage: StateStorage, name: str) -> None:
    test: Callable[[StateStorage], Awaitable[bool]] = getattr(StorageBaseTests, name)
    assert await test(storage) is True


def test_there_are_tests() -> None:
    assert len(TESTS) >= 10
