"""Where state is stored. One file per backend; all follow :class:`StateStorage`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .adapt import as_state_storage
from .base import ANY, DueItems, ItemInfo, ItemPage, StateStorage, StoredItem
from .memory import MemoryStorage
from .routed import RoutedStorage

if TYPE_CHECKING:
    from .blob.blob import BlobStorage

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


def __getattr__(name: str) -> Any:
    if name == "BlobStorage":  # imported when it is first named: a bot without Blob does not pay
        from .blob.blob import BlobStorage

        return BlobStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
