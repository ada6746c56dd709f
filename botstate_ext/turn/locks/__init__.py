"""Turn locks: which turns run one after another.

``base`` has the rules that all locks share, ``in_process`` is the default. Locks of several
processes are a ``lease`` each: ``blob_lease``, ``redis_lease``, ``postgres_advisory``.
``key_queue`` has the queues of one process, ``reentrancy`` knows which turn the running code is a
part of.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .base import TurnLock
from .in_process import InProcessTurnLock

if TYPE_CHECKING:
    from .blob_lease import BlobLeaseLock
    from .postgres_advisory import PostgresAdvisoryLock
    from .redis_lease import RedisLeaseLock

__all__ = [
    "BlobLeaseLock",
    "InProcessTurnLock",
    "PostgresAdvisoryLock",
    "RedisLeaseLock",
    "TurnLock",
]

# Imported when first named: each brings its driver with it.
_LAZY: Final = {
    "BlobLeaseLock": ".blob_lease",
    "PostgresAdvisoryLock": ".postgres_advisory",
    "RedisLeaseLock": ".redis_lease",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
