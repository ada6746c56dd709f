"""Where state is stored. One file per backend; all follow :class:`StateStorage`."""

from __future__ import annotations

from .adapt import as_state_storage
from .base import ANY, ItemInfo, ItemPage, StateStorage, StoredItem
from .blob import BlobStorage
from .memory import MemoryStorage

__all__ = [
    "ANY",
    "BlobStorage",
    "ItemInfo",
    "ItemPage",
    "MemoryStorage",
    "StateStorage",
    "StoredItem",
    "as_state_storage",
]
