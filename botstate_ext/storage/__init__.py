"""Where state is stored. One file per backend; all follow :class:`StateStorage`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


# Imported when first named: a bot pays only for the storage that it uses.
_LAZY = {
    "BlobStorage": ".blob.blob",
    "CosmosStorage": ".cosmos",
    "PostgresStorage": ".postgres",
    "RedisStorage": ".redis",
    "SQLiteStorage": ".sqlite",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
