"""Cosmos DB, on an emulator: the contract, the SDK's own format, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("azure.cosmos", reason="the driver of Cosmos DB is not installed")

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext.errors import (
    StateConflictError,
    StateEncodeError,
    StateStorageError,
    StateTooLargeError,
)
from botstate_ext.storage import CosmosStorage, StateStorage, as_state_storage
from botstate_ext.storage.cosmos_items import item_id
from botstate_ext.testing import StorageContract
from tests import cosmos
from tests.turns import Bot

OPTIONS = {"enable_endpoint_discovery": False}  # the emulator's own address is not what it says


@pytest.fixture
async def storage(cosmos_endpoint: str, container_name: str) -> AsyncIterator[CosmosStorage]:
    async with storage_on(cosmos_endpoint, container_name) as storage:
        yield storage


def storage_on(endpoint: str, container: str, **options: Any) -> CosmosStorage:
    return CosmosStorage(
        endpoint,
        cosmos.KEY,
        database="bots",
        container=container,
        client_options=OPTIONS,
        **options,
    )


class TestContract(StorageContract):
    @pytest.fixture
    def storage(self, storage: CosmosStorage) -> StateStorage:
        return storage

    async def test_a_large_body(self, storage: StateStorage, key: str) -> None:
        body = b'{"a":"%s"}' % (b"x" * 1_000_000)
        await storage.put_if(key, body, etag=None)
        item = await storage.get(key)
        assert item is not None
        assert item.data == body
        with pytest.raises(StateTooLargeError, match="2097152"):
            await storage.put_if(key, b'{"a":"%s"}' % (b"x" * 2**21), etag=item.etag)


class Upstream:
    """The SDK's storage on the same container. Its client blocks, so it runs in a thread."""

    def __init__(self, endpoint: str, container: str, **options: Any) -> None:
        from azure.cosmos import documents
        from botbuilder.azure import CosmosDbPartitionedConfig, CosmosDbPartitionedStorage

        policy = documents.ConnectionPolicy()
        policy.EnableEndpointDiscovery = False
        self.storage = CosmosDbPartitionedStorage(
            CosmosDbPartitionedConfig(
                cosmos_db_endpoint=endpoint,
                auth_key=cosmos.KEY,
                database_id="bots",
                container_id=container,
                cosmos_client_options={"connection_policy": policy},
                **options,
            )
        )

    async def read(self, *keys: str) -> dict[str, Any]:
        return dict(await asyncio.to_thread(lambda: asyncio.run(self.storage.read(list(keys)))))

    async def write(self, **items: Any) -> None:
        await asyncio.to_thread(lambda: asyncio.run(self.storage.write(items)))


async def test_what_the_sdk_stored_is_found(
    storage: CosmosStorage, cosmos_endpoint: str, container_name: str
) -> None:
    upstream = Upstream(cosmos_endpoint, container_name)
    await upstream.write(**{"test/users/a b": {"name": "Ann", "e_tag": "*"}})
    item = await storage.get("test/users/a b")
    assert item is not None
    assert json.loads(item.data) == {"name": "Ann"}
    assert item.metadata == {}
    [info] = (await storage.list_page("test/")).items
    assert (info.key, info.etag) == ("test/users/a b", item.etag)


async def test_what_is_stored_the_sdk_reads(
    storage: CosmosStorage, cosmos_endpoint: str, container_name: str
) -> None:
    await storage.put_if("test/users/*?#x", b'{"name": "Ann"}', etag=None, metadata={"a": "1"})
    found = await Upstream(cosmos_endpoint, container_name).read("test/users/*?#x")
    assert found["test/users/*?#x"]["name"] == "Ann"


@pytest.mark.parametrize(
    ("options", "mine"),
    [({"key_suffix": "-suffix"}, {"key_suffix": "-suffix"}), ({"compatibility_mode": True}, {})],
    ids=["a suffix", "a long key"],
)
async def test_the_sdks_options_make_the_same_ids(
    cosmos_endpoint: str, container_name: str, options: dict[str, Any], mine: dict[str, Any]
) -> None:
    key = "test/users/" + ("u/" * 150 if not mine else "u")
    upstream = Upstream(cosmos_endpoint, container_name, **options)
    async with storage_on(cosmos_endpoint, container_name, **mine) as storage:
        await upstream.write(**{key: {"n": 1, "e_tag": "*"}})
        item = await storage.get(key)
        assert item is not None
        await storage.put_if(key, b'{"n": 2}', etag=item.etag)
        assert (await upstream.read(key))[key]["n"] == 2


async def test_the_sdks_own_storage_becomes_this_one(
    cosmos_endpoint: str, container_name: str
) -> None:
    upstream = Upstream(cosmos_endpoint, container_name, key_suffix="-x").storage
    storage = as_state_storage(upstream)
    assert isinstance(storage, CosmosStorage)
    assert as_state_storage(upstream) is storage
    states = StateScopes(upstream)
    count = states.user.create_property("count", int)

    async def bot(turn: Any) -> None:
        await count.set(turn, (await count.get(turn) or 0) + 1)

    async with states:
        for _ in range(3):
            await Bot(StateMiddleware(states)).turn(bot)
        item = await storage.get("test/users/user")
    assert item is not None
    assert json.loads(item.data)["count"] == 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"n": [9007199254740993]}', "rounded"),
        (b'{"n": NaN}', "NaN"),
        (b'{"n": {"a": "\\ud800"}}', "surrogate"),
    ],
    ids=["a large number", "NaN", "half a character"],
)
async def test_what_would_come_back_otherwise_is_refused(
    storage: CosmosStorage, body: bytes, reason: str
) -> None:
    with pytest.raises(StateEncodeError, match=reason) as caught:
        await storage.put_if("a/b", body, etag=None)
    assert caught.value.property_name == "n"
    assert "9007199254740993" not in str(caught.value), "no value is shown"
    assert await storage.get("a/b") is None
    await storage.put_if("a/b", b'{"n": 9007199254740992}', etag=None)


async def test_a_conflict_may_be_this_very_write(storage: CosmosStorage) -> None:
    await storage.put_if("a/b", b"{}", etag=None)
    for etag in (None, "stale"):
        with pytest.raises(StateConflictError) as caught:
            await storage.put_if("a/b", b"{}", etag=etag)
        assert caught.value.maybe_written, "the driver tries again without a word"


@pytest.mark.parametrize("late", ["create_database", "create_container"])
async def test_a_process_that_creates_too_late_finds_it(
    cosmos_endpoint: str, container_name: str, late: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver looks before it creates; another process creates in between."""
    from azure.cosmos import exceptions
    from azure.cosmos.aio import CosmosClient, DatabaseProxy

    async with storage_on(cosmos_endpoint, container_name) as storage:
        await storage.put_if("key", b"{}", etag=None)

    async def too_late(*arguments: Any, **options: Any) -> None:
        raise exists(status_code=409, message="it exists")

    exists: Any = exceptions.CosmosResourceExistsError
    kind: Any = CosmosClient if late == "create_database" else DatabaseProxy
    monkeypatch.setattr(kind, f"{late}_if_not_exists", too_late)
    async with storage_on(cosmos_endpoint, container_name) as storage:
        assert await storage.get("key") is not None


async def test_an_account_that_is_not_there_is_said(cosmos_endpoint: str) -> None:
    nowhere = CosmosStorage(
        "http://127.0.0.1:1", "bm8ga2V5", database="d", container="c", timeout=timedelta(seconds=1)
    )
    async with nowhere:
        with pytest.raises(StateStorageError) as caught:
            await nowhere.get("a/b")
    assert "bm8ga2V5" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["", "abc", "no base64!"])
def test_a_key_that_is_none_is_said_at_once(wrong: str) -> None:
    with pytest.raises(ValueError, match="credential") as caught:
        CosmosStorage("http://127.0.0.1:1", wrong, database="d", container="c")
    assert not wrong or wrong not in str(caught.value)


def test_ids_are_the_sdks_and_differ() -> None:
    pairs = [("a/b", "a*47b"), ("a ", "a*32"), ("a*", "a*42"), ("x" * 1023, "x" * 1024)]
    for one, other in pairs:
        assert item_id(one) != item_id(other)
    assert item_id("a/b c") == "a*47b c"
    assert all(len(item_id(key)) <= 255 for key in ("é" * 1024, "/" * 1024))
