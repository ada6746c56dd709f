"""What every benchmark prints: the machine, the versions, and a table."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

PACKAGES = ("botstate-ext", "botbuilder-core", "msgspec", "jsonpickle", "aiohttp")
DRIVERS = ("azure-storage-blob", "azure-core", "psycopg", "redis")


def machine(*packages: str) -> str:
    """One line: processor, system, Python and the versions that matter."""
    there = {distribution.name for distribution in metadata.distributions()}
    named = (*PACKAGES, *(name for name in DRIVERS if name in there), *packages)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in named)
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"{platform.python_implementation()} {platform.python_version()}; {versions}"
    )


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table under a title."""
    cells = [list(heads), ["---"] * len(heads), *([str(cell) for cell in row] for row in rows)]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([f"### {title}", "", *lines, ""])


def load() -> str:
    """What others do on this machine, as far as it tells."""
    return f"load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
