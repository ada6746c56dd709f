"""What an import brings along, in an environment without extras."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import CorePython

# Optional, or slow to import: 47 to 240 ms each.
ONLY_WHEN_USED = ("azure.storage", "azure.identity", "botbuilder.azure", "botbuilder.dialogs")

LIST_MODULES = """
import json, sys
import botstate_ext, botstate_ext.aiohttp, botstate_ext.storage, botstate_ext.testing
for name in botstate_ext.__all__:
    getattr(botstate_ext, name)
print(json.dumps({"file": botstate_ext.__file__, "modules": sorted(sys.modules)}))
"""

BUILD_BLOB = """
from botstate_ext.storage import BlobStorage
BlobStorage(connection_string="UseDevelopmentStorage=true", container_name="bot-state")
"""


MOUNT_CONSOLE = """
from aiohttp import web
from botstate_ext import StateScopes, console
from botstate_ext.storage import MemoryStorage
console.setup(web.Application(), StateScopes(MemoryStorage()))
"""


def test_everything_public_imports_without_extras(core_python: CorePython, unpacked: Path) -> None:
    finished = core_python.run(LIST_MODULES)
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    assert Path(found["file"]).is_relative_to(unpacked)
    assert not [name for name in found["modules"] if name.startswith((*ONLY_WHEN_USED, "pytest"))]


def test_what_is_imported_only_when_used_is_not_there_without_extras(
    core_python: CorePython,
) -> None:
    for name in ONLY_WHEN_USED:
        assert "ModuleNotFoundError" in core_python.run(f"import {name}").stderr


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("botstate_ext.storage.CosmosStorage", "cosmos"),
        ("botstate_ext.storage.PostgresStorage", "postgres"),
        ("botstate_ext.storage.RedisStorage", "redis"),
        ("botstate_ext.PostgresAdvisoryLock('postgresql://localhost')", "postgres"),
        ("botstate_ext.RedisLeaseLock('redis://localhost')", "redis"),
    ],
)
def test_asking_for_a_server_without_its_extra_says_what_to_install(
    core_python: CorePython, code: str, extra: str
) -> None:
    finished = core_python.run(f"import botstate_ext.storage; {code}")
    last = finished.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert f'pip install "botstate-ext[{extra}]"' in last


def test_asking_for_blob_without_its_extra_says_what_to_install(core_python: CorePython) -> None:
    finished = core_python.run(BUILD_BLOB)
    assert finished.returncode == 1
    assert 'pip install "botstate-ext[azure]"' in finished.stderr.splitlines()[-1]


def test_mounting_the_console_without_its_extra_says_what_to_install(
    core_python: CorePython,
) -> None:
    assert core_python.run("from botstate_ext import console").returncode == 0
    finished = core_python.run(MOUNT_CONSOLE)
    assert finished.returncode == 1
    assert 'pip install "botstate-ext[console]"' in finished.stderr.splitlines()[-1]


def test_an_import_loads_optional_packages_only_when_used() -> None:
    """They are installed here, so nothing but restraint keeps them out."""
    finished = subprocess.run(
        [sys.executable, "-c", LIST_MODULES], capture_output=True, text=True, check=True
    )
    modules = json.loads(finished.stdout)["modules"]
    assert not [name for name in modules if name.startswith(ONLY_WHEN_USED)]


def test_botbuilder_azure_imports_where_its_extra_is_installed() -> None:
    code = "import botbuilder.azure, botbuilder.testing"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_bot_starts_without_what_only_some_calls_need() -> None:
    code = (
        "import sys; from botstate_ext import StateMiddleware, StateScopes; "
        "from botbuilder.core import MemoryStorage; "
        "StateMiddleware(StateScopes(MemoryStorage())); "
        "print(*sorted(name for name in sys.modules if name.startswith('botstate_ext.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[1] for name in done.stdout.split()}
    assert loaded.isdisjoint({"listing", "maintenance", "privacy", "templates", "testing", "cli"})
    assert "states" in loaded
