"""Azurite, Azure's own emulator of Blob Storage, for as long as the tests need it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import attended

INSTALLED = Path(__file__).parents[1] / ".azurite" / "node_modules" / ".bin" / "azurite-blob"

# The account and key that every Azurite has: published, and no secret.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_LISTENS = re.compile(r"successfully listens on (http://\S+)")


def find_azurite() -> Path | None:
    """The program that AZURITE in the environment names, or the one that make installed."""
    named = os.environ.get("AZURITE")
    path = Path(named) if named else INSTALLED
    return path if path.exists() else None


def is_required() -> bool:
    """True where a missing Azurite must fail the tests instead of skipping them."""
    return os.environ.get("BOTSTATE_REQUIRE_AZURITE") == "1" or bool(os.environ.get("AZURITE"))


def connection_string(endpoint: str) -> str:
    """For an account at this address, of an Azurite or of something in front of one."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        f"BlobEndpoint={endpoint}/{ACCOUNT};"
    )


@contextmanager
def running_azurite(program: Path) -> Iterator[str]:
    """The endpoint of an Azurite of its own, on a free port, with nothing in it."""
    options = [
        "--loose",
        "--skipApiVersionCheck",
        "--inMemoryPersistence",
        "--silent",
        "--disableTelemetry",
    ]
    process = attended.start(str(program), "--blobPort", "0", *options)
    try:
        yield _endpoint(process)
    finally:
        # Not terminate: it would wait for connections, and there is nothing to save.
        attended.end(process)


def _endpoint(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        found = _LISTENS.search(line)
        if found is not None:
            return found[1]
    raise RuntimeError(f"Azurite did not start: {said}")
