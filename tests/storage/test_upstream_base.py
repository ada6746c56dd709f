"""Upstream's own tests of storages, on ours and on upstream's as we wrap them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from botbuilder.core import MemoryStorage as UpstreamMemoryStorage
from botbuilder.core import StoreItem

from benchmarks import engines
from botstate_ext.storage import BlobStorage, MemoryStorage, StateStorage, as_state_storage

StorageBaseTests = pytest.importorskip("botbuilder.testing.storage_base_tests").StorageBaseTests

TESTS = [name for name, test in vars(StorageBaseTests).items() if isinstance(test, staticmethod)]


class Counter(StoreItem):
    """An item as the SDK's own tests of its adapters write it."""

    def __init__(self, counter: int = 1, e_tag: str = "*") -> None:
        super().__init__()
        self.counter, self.e_tag = counter, e_tag


ENGINES = ("sqlite", "postgres", "redis", "cosmos")


@pytest.fixture(params=["memory", "shared memory", *ENGINES, "blob", "upstream blob"])
async def storage(
    request: pytest.FixtureRequest, container_name: str, tmp_path: Path
) -> AsyncIterator[StateStorage]:
    kind = request.param
    if kind == "memory":
        yield MemoryStorage(types=[Counter])
    elif kind == "shared memory":
        storage = as_state_storage(UpstreamMemoryStorage())
        storage._types = (Counter,)
        yield storage
    elif kind in ENGINES:
        fixtures = {"cosmos": "cosmos_endpoint"}
        named = fixtures.get(kind, f"{kind}_url")
        address = str(tmp_path) if kind == "sqlite" else request.getfixturevalue(named)
        async with engines.opened(kind, address, container_name, types=[Counter]) as storage:
            yield storage
    else:
        azurite = request.getfixturevalue("azurite")
        from botbuilder.azure import BlobStorage as UpstreamBlobStorage
        from botbuilder.azure import BlobStorageSettings

        settings = BlobStorageSettings(container_name, connection_string=azurite)
        is_ours = kind == "blob"
        made = BlobStorage(settings) if is_ours else UpstreamBlobStorage(settings)
        async with as_state_storage(made) as storage:
            storage._types = (Counter,)
            yield storage


@pytest.mark.parametrize("name", TESTS)
async def test_upstreams_own(storage: StateStorage, name: str) -> None:
    test: Callable[[StateStorage], Awaitable[bool]] = getattr(StorageBaseTests, name)
    assert await test(storage) is True


# What the SDK tests of each of its adapters beside that.


async def test_what_was_read_and_written_has_a_new_etag(storage: StateStorage) -> None:
    await storage.write({"test": Counter()})
    read = await storage.read(["test"])
    before = read["test"].e_tag
    read["test"].counter = 2
    await storage.write(read)
    again = (await storage.read(["test"]))["test"]
    assert again.counter == 2
    assert again.e_tag != before


async def test_an_asterisk_overwrites(storage: StateStorage) -> None:
    await storage.write({"user": Counter()})
    await storage.write({"user": Counter(counter=10)})
    assert (await storage.read(["user"]))["user"].counter == 10


async def test_what_is_named_is_deleted_and_nothing_else(storage: StateStorage) -> None:
    await storage.write({"test": Counter(), "test2": Counter(2), "test3": Counter(3)})
    await storage.delete(["foo", "bar"])
    assert len(await storage.read(["test", "test2", "test3", "foo"])) == 3
    await storage.delete(["test", "test2"])
    assert set(await storage.read(["test", "test2", "test3"])) == {"test3"}


def test_there_are_tests() -> None:
    assert len(TESTS) >= 10
