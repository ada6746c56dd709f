"""Where state is stored. One file per backend; all follow :class:`StateStorage`."""

from __future__ import annotations

from .adapt import as_state_storage
from .base import ANY, DueItems, ItemInfo, ItemPage, StateStorage, StoredItem
from .blob import BlobStorage
from .memory import MemoryStorage
from .routed import RoutedStorage

__all__ = [
    "ANY",
    "BlobStorage",
    "DueItems",
    "ItemInfo",
    "ItemPage",
    "MemoryStorage",
    "RoutedStorage",
    "StateStorage",
    "StoredItem",
    "as_state_storage",
]
