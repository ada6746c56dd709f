"""From an app's storage to a StateStorage."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from botbuilder.core import MemoryStorage as UpstreamMemoryStorage
from botbuilder.core import Storage

from botstate_ext.errors import StateConflictError, StateStorageError
from botstate_ext.storage import ANY, BlobStorage, MemoryStorage, as_state_storage
from tests.storage.plain import PlainStorage
from tests.storage.upstream_kinds import (
    CopyingStorage,
    ETagStorage,
    PicklingStorage,
)


def test_ours_is_itself() -> None:
    storage = MemoryStorage()
    assert as_state_storage(storage) is storage


@pytest.mark.parametrize("thing", [None, {}, "UseDevelopmentStorage=true", MemoryStorage])
def test_what_is_no_storage_is_refused(thing: Any) -> None:
    with pytest.raises(TypeError, match="must be a storage of the SDK"):
        as_state_storage(thing)


@pytest.mark.parametrize("make", [UpstreamMemoryStorage, PlainStorage])
def test_one_storage_is_wrapped_once(make: type[Storage]) -> None:
    """Two wrappers would not know of each other's ETags and locks."""
    storage, other = make(), make()
    wrapped = as_state_storage(storage)
    assert as_state_storage(storage) is wrapped
    assert as_state_storage(other) is not wrapped


@pytest.mark.parametrize("make", [UpstreamMemoryStorage, PlainStorage])
def test_a_wrapper_keeps_no_storage_alive(make: type[Storage]) -> None:
    storage = make()
    as_state_storage(storage)
    gone = weakref.ref(storage)
    del storage
    gc.collect()
    assert gone() is None


async def test_etags_outlive_their_wrapper() -> None:
    upstream = UpstreamMemoryStorage()
    etag = await as_state_storage(upstream).put_if("key", b"{}", etag=None)
    gc.collect()
    await as_state_storage(upstream).put_if("key", b"{}", etag=etag)


async def test_a_subclass_is_not_bypassed() -> None:
    class Encrypting(UpstreamMemoryStorage):
        async def read(self, keys: list[str]) -> dict[str, Any]:
            items = await super().read(keys)
            return {key: json.loads(item["sealed"]) for key, item in items.items()}

        async def write(self, changes: dict[str, Any]) -> None:
            sealed = {key: {"sealed": json.dumps(item)} for key, item in changes.items()}
            await super().write(sealed)

    upstream = Encrypting()
    storage = as_state_storage(upstream)
    await storage.put_if("key", b'{"a": 1}', etag=None)
    assert list(upstream.memory["key"]) == ["sealed"]
    item = await storage.get("key")
    assert item is not None
    assert json.loads(item.data) == {"a": 1}


# Upstream's read calls what its driver calls deprecated.
@pytest.mark.filterwarnings("ignore:content_as_text is deprecated:DeprecationWarning")
async def test_upstreams_blob_gives_ours_on_the_same_container(
    azurite: str, container_name: str
) -> None:
    from botbuilder.azure import BlobStorage as UpstreamBlobStorage
    from botbuilder.azure import BlobStorageSettings

    upstream = UpstreamBlobStorage(BlobStorageSettings(container_name, connection_string=azurite))
    storage = as_state_storage(upstream)
    assert isinstance(storage, BlobStorage)
    assert as_state_storage(upstream) is storage
    async with storage:
        await storage.put_if("key", b'{"a": 1}', etag=None)
        await upstream.write({"other": {"b": [1]}})
        assert (await upstream.read(["key"]))["key"]["a"] == 1
        item = await storage.get("other")
        assert item is not None
        assert json.loads(item.data) == {"b": [1]}
    # Upstream has no way to close what it opened.
    await upstream._BlobStorage__container_client._pipeline._transport._transport.close()


class TestBestEffort:
    async def test_it_says_what_it_cannot_do(self) -> None:
        storage = as_state_storage(PlainStorage())
        assert (storage.conditional, storage.lists, storage.metadata) == (False, False, False)
        assert "PlainStorage" in repr(storage)
        assert "this process only" in repr(storage)
        with pytest.raises(StateStorageError, match="cannot list"):
            await storage.list_page()

    async def test_a_backends_e_tags_are_used(self) -> None:
        upstream = ETagStorage()
        storage = as_state_storage(upstream)
        etag = await storage.put_if("key", b'{"a": 1}', etag=None)
        assert etag == upstream.items["key"]["e_tag"]
        await upstream.write({"key": {"a": 2}})
        with pytest.raises(StateConflictError):
            await storage.put_if("key", b'{"a": 3}', etag=etag)

    async def test_a_conflict_that_the_backend_finds_is_one(self) -> None:
        """Another process writes between our look and our write."""

        class Raced(ETagStorage):
            async def write(self, changes: dict[str, Any]) -> None:
                if "e_tag" in changes["key"]:
                    await super().write({"key": {"theirs": True}})
                await super().write(changes)

        storage = as_state_storage(Raced())
        etag = await storage.put_if("key", b'{"a": 1}', etag=None)
        with pytest.raises(StateConflictError):
            await storage.put_if("key", b'{"a": 2}', etag=etag)
        assert json.loads((await storage.get_many(["key"]))["key"].data) == {"theirs": True}

    async def test_anothers_write_does_not_lend_its_etag(self) -> None:
        class Overtaken(ETagStorage):
            async def write(self, changes: dict[str, Any]) -> None:
                await super().write(changes)
                if changes["key"].get("a") == 1:
                    await super().write({"key": {"theirs": True}})

        storage = as_state_storage(Overtaken())
        etag = await storage.put_if("key", b'{"a": 1}', etag=None)
        with pytest.raises(StateConflictError):
            await storage.put_if("key", b'{"a": 2}', etag=etag)

    @pytest.mark.parametrize("operation", ["read", "write", "delete"])
    async def test_a_failure_is_not_an_empty_result(self, operation: str) -> None:
        upstream = PlainStorage()
        storage = as_state_storage(upstream)
        await storage.put_if("key", b"{}", etag=None)

        async def fail(_: object) -> None:
            raise ConnectionError("secret-connection-string")

        setattr(upstream, operation, fail)
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "read": lambda: storage.get("key"),
            "write": lambda: storage.put_if("key", b"{}", etag=ANY),
            "delete": lambda: storage.delete_if("key"),
        }
        with pytest.raises(StateStorageError, match="ConnectionError") as caught:
            await calls[operation]()
        assert caught.value.maybe_written is (operation != "read")
        assert isinstance(caught.value.__cause__, ConnectionError)
        assert "secret" not in str(caught.value)

    async def test_live_objects_are_copied(self) -> None:
        upstream = PlainStorage()
        storage = as_state_storage(upstream)
        upstream.items["key"] = {"a": {1, 2}}
        item = await storage.get("key")
        assert item is not None
        assert json.loads(item.data) == {"a": {"py/set": [1, 2]}}

    @pytest.mark.parametrize("make", [PicklingStorage, CopyingStorage])
    async def test_a_storage_that_encodes_by_jsonpickle_keeps_the_classes(
        self, make: type[PlainStorage]
    ) -> None:
        """jsonpickle alone drops tags from a dictionary, and the SDK fails on what is left."""
        upstream = make()
        storage = as_state_storage(upstream)
        day = "datetime.timedelta"
        body = {"a": {"py/set": [1, 2]}, "b": [{"c": {"py/type": day}}], "d": {"e": 1}}
        etag = await storage.put_if("key", json.dumps(body).encode(), etag=None)
        assert json.loads(upstream.items["key"]) == body
        item = await storage.get("key")
        assert item is not None
        assert (json.loads(item.data), item.etag) == (body, etag)
