"""Turn locks: which turns run one after another.

``base.py`` has the rules that all share, ``places.py`` the queues of one process, ``in_process.py``
and ``blob_lease.py`` the two locks that come with the package.
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
