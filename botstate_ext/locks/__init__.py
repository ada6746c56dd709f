"""Turn locks: which turns run one after another.

``base.py`` has the rules that all share, ``places.py`` the queues of one process, ``in_process.py``
and ``blob_lease.py`` the two locks that come with the package.
"""

from .base import TurnLock
from .blob_lease import BlobLeaseLock
from .in_process import InProcessTurnLock

__all__ = ["BlobLeaseLock", "InProcessTurnLock", "TurnLock"]
