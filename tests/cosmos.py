"""The emulator of Cosmos DB from npm, for as long as the tests need it. It knows a part of the real
service: what only that does is not tested here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import attended

INSTALLED = Path(__file__).parents[1] / ".cosmos" / "node_modules" / ".bin" / "cosmosdb-server"

MENDED = Path(__file__).with_name("cosmos_absent_items.js")

# The key that every emulator of Cosmos DB has: published, and no secret.
KEY = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw=="

_LISTENS = re.compile(r"Ready to accept HTTP connections at .*:(\d+)")


def find_cosmos() -> Path | None:
    """Return the program that make installed, or None."""
    return INSTALLED if INSTALLED.exists() else None


def is_required() -> bool:
    """True where a missing emulator must fail the tests instead of skipping them."""
    return os.environ.get("BOTSTATE_REQUIRE_SERVERS") == "1"


@contextmanager
def running_cosmos(program: Path) -> Iterator[str]:
    """Start an emulator on a free port, with nothing in it, and give its endpoint."""
    process = attended.start(
        *("node", "-r", str(MENDED), str(program)),
        *("--no-ssl", "--host", "127.0.0.1", "-p", "0"),
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            found = _LISTENS.search(line)
            if found is not None:
                yield f"http://127.0.0.1:{found[1]}"
                return
        raise RuntimeError(f"The emulator of Cosmos DB did not start: {said}")
    finally:
        attended.end(process)
