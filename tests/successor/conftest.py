"""The Python of the environment that has the Agents SDK, and not ``botbuilder``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def successor() -> Path:
    """The Python that has the successor's packages."""
    python = Path(os.environ.get("SUCCESSOR_PYTHON", ROOT / ".venv-successor/bin/python"))
    if not python.exists():
        reason = (
            "no successor SDK: `make successor` installs it, or name a Python in SUCCESSOR_PYTHON"
        )
        if "SUCCESSOR_PYTHON" in os.environ or os.environ.get("BOTSTATE_REQUIRE_SUCCESSOR") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return python
