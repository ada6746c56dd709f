"""Time limits of tests: an answer that comes late, because the machine is busy, is no failure.

``patience.py SCRIPT ARGUMENTS`` runs a program with such a limit.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
from datetime import timedelta
from pathlib import Path

from botstate_ext import storage as storages

# Far more than anything takes. A test that waits for an event gives up after it.
LIMIT = timedelta(minutes=5)

USUAL: dict[str, timedelta] = {}
"""The defaults of users, by the name of the storage, once they are extended."""

_DEADLINES = {
    "BlobStorage": "deadline",
    "SQLiteStorage": "busy_timeout",
    "PostgresStorage": "deadline",
    "RedisStorage": "deadline",
    "CosmosStorage": "timeout",
}


STORAGES = tuple(_DEADLINES)


def extend_default_deadlines(*names: str) -> None:
    """Let each storage of these classes, or of all, that sets no deadline wait for `LIMIT`."""
    for name in names or _DEADLINES:
        try:
            storage = getattr(storages, name)
        except ImportError:  # its driver is not installed
            continue
        deadline = _DEADLINES[name]
        defaults = storage.__init__.__kwdefaults__
        assert deadline in defaults
        USUAL.setdefault(name, defaults[deadline])
        defaults[deadline] = LIMIT


class Time:
    """A monotonic clock, and sleeping, which moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


if __name__ == "__main__":
    extend_default_deadlines("BlobStorage")
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
