"""Makes a StateStorage of the storage that an app has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakKeyDictionary, WeakValueDictionary

from ..host.bases import Storage
from .base import StateStorage
from .best_effort import BestEffortStorage
from .upstream_memory import SharedMemoryStorage

_Wrap: TypeAlias = Callable[[Any], StateStorage]

# The wrappers of upstream's own storages hold no reference to them, so an entry goes when the
# storage does; those of other storages do, so an entry goes when its wrapper does.
_of_upstream: Final[WeakKeyDictionary[Storage, StateStorage]] = WeakKeyDictionary()
_best_effort: Final[WeakValueDictionary[int, BestEffortStorage]] = WeakValueDictionary()
_of_other_sdks: Final[dict[type, _Wrap]] = {}


def also_take(base: type, wrap: _Wrap) -> None:
    """Let `as_state_storage` take the storages of another SDK, by their base class."""
    _of_other_sdks[base] = wrap


def is_storage(storage: Any) -> bool:
    """Return True if `as_state_storage` takes it."""
    return isinstance(storage, (Storage, *_of_other_sdks))


def as_state_storage(storage: Storage) -> StateStorage:
    """Return the StateStorage for any storage of the SDK; a StateStorage as it is.

    - The SDK's ``MemoryStorage``: a storage that shares its dictionary.
    - The SDK's ``BlobStorage``: a storage for the same container, with its own client.
    - The SDK's ``CosmosDbPartitionedStorage``: an asynchronous storage for the same container.
    - Any other, subclasses of these included, since they may read and write in their own way: a
      storage over its three methods. Its repr says what it cannot promise.

    The same storage gives the same object, as long as it is in use: the ETags and locks that are
    kept beside the items belong to it.

    :raises TypeError: ``storage`` is not a Storage.
    """
    if isinstance(storage, StateStorage):
        return storage
    for base, wrap_other in _of_other_sdks.items():
        if isinstance(storage, base):
            return wrap_other(storage)
    if not isinstance(storage, Storage):
        is_class = isinstance(storage, type)
        given = f"the class {storage.__name__}" if is_class else type(storage).__name__
        raise TypeError(
            "storage must be a storage of the SDK or of botstate_ext.storage, for example "
            f"MemoryStorage() or BlobStorage(...), not {given}."
        )
    wrap = _WRAPPERS.get((type(storage).__module__, type(storage).__qualname__))
    if wrap is None:
        return _wrap_other(storage)
    if storage not in _of_upstream:
        _of_upstream[storage] = wrap(storage)
    return _of_upstream[storage]


def _wrap_other(storage: Storage) -> StateStorage:
    wrapper = _best_effort.get(id(storage))
    if wrapper is None:
        wrapper = _best_effort[id(storage)] = BestEffortStorage(storage)
    return wrapper


def _wrap_memory(storage: Any) -> StateStorage:
    return SharedMemoryStorage(storage.memory)


def _wrap_blob(storage: Any) -> StateStorage:
    from .blob.blob import BlobStorage  # a bot without Blob does not pay for it

    # The only way to what it was made from. Its own client would be no use: closing that does not
    # close its session.
    client = storage._BlobStorage__container_client
    scheme, host, path, query, _ = urlsplit(client.url)
    account_url = urlunsplit((scheme, host, path.rpartition("/")[0], query, ""))
    return BlobStorage(
        account_url=account_url,
        container_name=client.container_name,
        credential=client.credential,
    )


def _wrap_cosmos(storage: Any) -> StateStorage:
    config = storage.config
    return cosmos_storage(config, config.cosmos_db_endpoint, config.auth_key)


def cosmos_storage(config: Any, endpoint: str, credential: Any) -> StateStorage:
    """Return the storage for the container that the configuration of either SDK names."""
    from .cosmos import CosmosStorage

    options = dict(config.cosmos_client_options or {})
    policy = options.get("connection_policy")
    if policy is not None:
        options["connection_verify"] = not policy.DisableSSLVerification
    return CosmosStorage(
        endpoint,
        credential,
        database=config.database_id,
        container=config.container_id,
        key_suffix=config.key_suffix or "",
        throughput=config.container_throughput,
        client_options=options,
    )


# By name: importing a class to compare with it costs what its whole package costs.
_WRAPPERS: Final[dict[tuple[str, str], _Wrap]] = {
    ("botbuilder.core.memory_storage", "MemoryStorage"): _wrap_memory,
    ("botbuilder.azure.blob_storage", "BlobStorage"): _wrap_blob,
    (
        "botbuilder.azure.cosmosdb_partitioned_storage",
        "CosmosDbPartitionedStorage",
    ): _wrap_cosmos,
}
