"""How many examples a property-based test tries: `make slow` tries four times as many."""

from __future__ import annotations

import os


def examples(count: int) -> int:
    """Return the number of examples, of the count that `make slow` tries."""
    return count if os.environ.get("BOTSTATE_ALL_EXAMPLES") == "1" else max(count // 4, 4)
