"""Helps to test a bot or a storage backend.

pytest is imported only when StorageContract is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .clock import ManualClock
from .counting import CountingStorage
from .faults import FaultyStorage, Held

if TYPE_CHECKING:
    from .contract import StorageContract

__all__ = ["CountingStorage", "FaultyStorage", "Held", "ManualClock", "StorageContract"]


def __getattr__(name: str) -> Any:
    if name == "StorageContract":
        from .contract import StorageContract

        return StorageContract
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
