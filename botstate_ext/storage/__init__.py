"""Where state is stored: bytes under keys, with ETags. Each backend is a :class:`StateStorage`.

- The contract: ``base``, ``writes``.
- Backends: ``memory``, ``sqlite``, ``blob/``, ``postgres``, ``redis``, ``cosmos``; ``routed`` and
  ``wrapper`` stand around others.
- A cache of documents: ``document_cache``, ``warm``, and ``kept_items``, which is pure.
- The SDK's own storages made safe: ``adapt``, ``best_effort``, ``upstream_*``.
- For who writes a backend: ``backend``, which collects ``keycheck``, ``etags`` and more.
- Waiting and trying again: ``waiting``, ``retry``, ``breaker``, ``in_flight``, ``server_calls``;
  Blob has its own in ``blob/requests``, since its driver must not try again by itself.

Imports ``errors``, ``clock``, ``serialization`` and ``host``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .adapt import as_state_storage
from .base import ANY, DueItems, ItemInfo, ItemPage, ItemWrite, StateStorage, StoredItem
from .memory import MemoryStorage
from .routed import RoutedStorage

if TYPE_CHECKING:
    from .blob.blob import BlobStorage
    from .cosmos import CosmosStorage
    from .postgres import PostgresStorage
    from .redis import RedisStorage
    from .sqlite import SQLiteStorage

__all__ = [
    "ANY",
    "BlobStorage",
    "CosmosStorage",
    "DueItems",
    "ItemInfo",
    "ItemPage",
    "ItemWrite",
    "MemoryStorage",
    "PostgresStorage",
    "RedisStorage",
    "RoutedStorage",
    "SQLiteStorage",
    "StateStorage",
    "StoredItem",
    "as_state_storage",
]


# Imported when first named: a bot pays only for the storage that it uses. With the extra of each.
_LAZY: Final = {
    "BlobStorage": (".blob.blob", "azure"),
    "CosmosStorage": (".cosmos", "cosmos"),
    "PostgresStorage": (".postgres", "postgres"),
    "RedisStorage": (".redis", "redis"),
    "SQLiteStorage": (".sqlite", ""),
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        module, extra = _LAZY[name]
        try:
            return getattr(import_module(module, __name__), name)
        except ModuleNotFoundError as missing:
            raise ImportError(
                f'{name} needs {missing.name}: pip install "botstate-ext[{extra}]"'
            ) from missing
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
