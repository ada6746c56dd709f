"""Time limits of tests: an answer that comes late, because the machine is busy, is no failure.

``patience.py SCRIPT ARGUMENTS`` runs a program with such a limit.
"""

from __future__ import annotations

import runpy
import sys
from datetime import timedelta
from pathlib import Path

from botstate_ext.storage import BlobStorage

# Far more than anything takes. A test that waits for an event gives up after it.
LIMIT = timedelta(minutes=5)


def extend_default_deadline() -> None:
    """Let each BlobStorage of this process that sets no deadline wait for `LIMIT`."""
    defaults = BlobStorage.__init__.__kwdefaults__
    assert defaults is not None
    assert "deadline" in defaults
    defaults["deadline"] = LIMIT


if __name__ == "__main__":
    extend_default_deadline()
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
