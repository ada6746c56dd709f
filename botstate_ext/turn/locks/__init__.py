"""Turn locks: which turns run one after another.

``base`` has the rules that all locks share, ``in_process`` and ``blob_lease`` are the two locks
that come with the package. ``key_queue`` has the queues of one process, ``reentrancy`` knows which
turn the running code is a part of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import TurnLock
from .in_process import InProcessTurnLock

if TYPE_CHECKING:
    from .blob_lease import BlobLeaseLock

__all__ = ["BlobLeaseLock", "InProcessTurnLock", "TurnLock"]


def __getattr__(name: str) -> Any:
    if name == "BlobLeaseLock":  # imported when it is first named: it brings Blob with it
        from .blob_lease import BlobLeaseLock

        return BlobLeaseLock
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
