"""AgentsStorage: what the SDK itself stores, in a storage of this package; and the SDK's storages
as storages of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from ..errors import StateDecodeError
from ..host.agents.dialog_memory import DialogMemory
from ..host.agents.privates import cosmos_config_of, memory_of
from ..host.agents.sdk import CachedAgentState, Storage, StoreItem
from ..serialization import json_text
from ..storage import adapt
from ..storage.base import ANY, StateStorage
from ..storage.best_effort import BestEffortStorage
from ..storage.parallel import in_parallel
from ..storage.upstream_memory import SharedMemoryStorage

_Wrap: TypeAlias = Callable[[Any], StateStorage]
_ETAG: Final = "_botstate_ext_etag"


class AgentsStorage(Storage):
    """A storage of the SDK's kind over one of this package's: for sign-in, and for the
    conversations of ``AGENT_APP.proactive``.

    ``storage``: ``STATES.storage``, or any other that `StateScopes` takes.

    Items have the SDK's keys and JSON, so that what the SDK stored is found. The SDK's own
    ``ConversationState`` and ``UserState`` may use it as well: if another writer was faster, their
    save raises `StateConflictError`.
    """

    def __init__(self, storage: Any) -> None:
        self.storage = adapt.as_state_storage(storage)

    async def read(self, keys: Iterable[str], *, target_cls: Any, **_: Any) -> dict[str, Any]:
        """Return the items of these keys, made by ``target_cls``. Missing ones are left out.

        :raises ValueError: there are no keys.
        :raises StateDecodeError: an item is not JSON, or ``target_cls`` refuses it.
        :raises StateStorageError: a read failed.
        """
        wanted = tuple(dict.fromkeys(keys))
        if not wanted:
            raise ValueError("Storage.read(): Keys are required when reading.")
        stored = await self.storage.get_many(wanted)
        items = {key: _item(key, item.data, target_cls) for key, item in stored.items()}
        for key, item in items.items():
            if isinstance(item, CachedAgentState):
                vars(item)[_ETAG] = stored[key].etag
        return items

    async def write(self, changes: Mapping[str, Any]) -> None:
        """Write items, each in place of what is stored.

        :raises ValueError: there are no changes.
        :raises StateEncodeError: an item is not JSON; nothing was written.
        :raises StateConflictError: an item of the SDK's own state was written by another since it
            was read.
        :raises StateStorageError: a write failed.
        """
        if not changes:
            raise ValueError("Storage.write(): Changes are required when writing.")
        ready = [
            (key, item, json_text.dumps(item.store_item_to_json()))
            for key, item in changes.items()
            if not isinstance(item, DialogMemory)  # the turn saves it
        ]
        await in_parallel(self._put(*each) for each in ready)

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete items. Missing ones are passed over.

        :raises ValueError: there are no keys.
        """
        unwanted = tuple(dict.fromkeys(keys))
        if not unwanted:
            raise ValueError("Storage.delete(): Keys are required when deleting.")
        await in_parallel(self.storage.delete_if(key) for key in unwanted)

    async def _put(self, key: str, item: Any, data: bytes) -> None:
        if not isinstance(item, CachedAgentState):
            await self.storage.put_if(key, data, etag=ANY)
            return
        etag = await self.storage.put_if(key, data, etag=vars(item).get(_ETAG))
        vars(item)[_ETAG] = etag

    def __repr__(self) -> str:
        return f"<AgentsStorage over {self.storage!r}>"


def _as_ours(storage: Any) -> StateStorage:
    """Return the StateStorage for a storage of the Agents SDK.

    - The SDK's ``MemoryStorage``: a storage that shares its dictionary.
    - The SDK's ``BlobStorage``: a storage for the same container, with its own client.
    - The SDK's ``CosmosDBStorage``: a storage for the same container, with its own client.
    - Any other of the SDK's kind: a storage over its three methods.
    """
    if isinstance(storage, AgentsStorage):
        return storage.storage
    found = _wrapped.get(storage)
    if found is None:
        name = (type(storage).__module__, type(storage).__qualname__)
        found = _wrapped[storage] = _WRAPPERS.get(name, _wrap_other)(storage)
    return found


adapt.also_take(Storage, _as_ours)
_wrapped: Final[WeakKeyDictionary[Any, StateStorage]] = WeakKeyDictionary()


def _wrap_memory(storage: Any) -> StateStorage:
    return SharedMemoryStorage(memory_of(storage))


def _wrap_blob(storage: Any) -> StateStorage:
    from ..storage.blob.blob import BlobStorage  # an agent without Blob does not pay for it

    config = storage.config
    if config.url:
        return BlobStorage(
            account_url=config.url,
            container_name=config.container_name,
            credential=config.credential,
        )
    return BlobStorage(
        connection_string=config.connection_string, container_name=config.container_name
    )


def _wrap_cosmos(storage: Any) -> StateStorage:
    config = cosmos_config_of(storage)
    if config.url:
        return adapt.cosmos_storage(config, config.url, config.credential)
    return adapt.cosmos_storage(config, config.cosmos_db_endpoint, config.auth_key)


def _wrap_other(storage: Any) -> StateStorage:
    return BestEffortStorage(_PlainFace(storage))


# By name: importing a class to compare with it costs what its whole package costs.
_WRAPPERS: Final[dict[tuple[str, str], _Wrap]] = {
    ("microsoft_agents.hosting.core.storage.memory_storage", "MemoryStorage"): _wrap_memory,
    ("microsoft_agents.storage.blob.blob_storage", "BlobStorage"): _wrap_blob,
    ("microsoft_agents.storage.cosmos.cosmos_db_storage", "CosmosDBStorage"): _wrap_cosmos,
}


class _PlainItem(StoreItem):
    """An item as the JSON that it is."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def store_item_to_json(self) -> Any:
        return self.content

    @staticmethod
    def from_json_to_store_item(json_data: Any) -> _PlainItem:
        return _PlainItem(json_data)


class _PlainFace:
    """A storage of the SDK's kind, as the Bot Framework SDK calls its own."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage

    async def read(self, keys: list[str]) -> dict[str, Any]:
        items = await self._storage.read(keys, target_cls=_PlainItem)
        return {key: item.content for key, item in items.items()}

    async def write(self, changes: Mapping[str, Any]) -> None:
        await self._storage.write({key: _PlainItem(item) for key, item in changes.items()})

    async def delete(self, keys: list[str]) -> None:
        await self._storage.delete(keys)


def _item(key: str, data: bytes, target_cls: Any) -> Any:
    try:
        plain = json_text.loads(data)
    except StateDecodeError as error:
        raise error.located(scope=None, key=key) from error
    try:
        return target_cls.from_json_to_store_item(plain)
    except Exception:  # noqa: BLE001 - any class of the SDK's; its text may show the value
        reason = f"{target_cls.__name__} does not take it"
    # Outside of the handler: nothing that may show the value is chained.
    raise StateDecodeError(reason, key=key)
