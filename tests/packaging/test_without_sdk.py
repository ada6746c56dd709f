"""The package in an environment without the Bot Framework SDK."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

# As if it were not installed, in a process of its own: the SDK's packages cannot be found.
WITHOUT_SDK = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("botbuilder", "botframework", "msrest"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""

NEED_SDK = (
    "BotScopeState",
    "ConversationState",
    "PrivateConversationState",
    "SharedState",
    "StateMiddleware",
    "StateScopes",
    "UserState",
    "WorkflowState",
)


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_SDK + dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_package_imports_and_lists_all_its_names() -> None:
    done = run("""
        import botstate_ext
        assert set(botstate_ext.__all__) <= set(dir(botstate_ext))
        print(len(botstate_ext.__all__))
    """)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


def test_only_names_that_need_the_sdk_are_refused() -> None:
    done = run("""
        import botstate_ext
        for name in botstate_ext.__all__:
            if name == "BlobLeaseLock":
                continue  # needs Blob's packages
            try:
                getattr(botstate_ext, name)
            except ImportError:
                print(name)
    """)
    assert done.returncode == 0, done.stderr
    assert tuple(done.stdout.split()) == NEED_SDK


@pytest.mark.parametrize("name", NEED_SDK)
def test_a_name_that_needs_the_sdk_says_what_to_install(name: str) -> None:
    done = run(f"from botstate_ext import {name}")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert f"botstate_ext.{name}" in last
    assert "pip install" in last
    assert "botbuilder-core" in last


def test_the_storages_and_the_test_doubles_work() -> None:
    done = run("""
        import asyncio
        from botstate_ext.storage import MemoryStorage, RoutedStorage
        from botstate_ext.testing import CountingStorage, FaultyStorage, ManualClock

        async def main():
            storage = CountingStorage(FaultyStorage(RoutedStorage({}, default=MemoryStorage())))
            await storage.put_if("bot/1", b"{}", etag=None)
            await storage.write({"item": {"a": 1}})
            assert (await storage.get("bot/1")).data == b"{}"
            assert (await storage.read(["item"]))["item"]["a"] == 1
            print(sorted([item.key async for item in storage.list_items()]))

        asyncio.run(main())
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['bot/1', 'item']"


def test_a_broken_sdk_is_not_taken_for_a_missing_one() -> None:
    done = run("""
        sys.meta_path.pop(0)

        class Broken:
            def find_spec(self, name, path=None, target=None):
                if name == "msrest" or name.startswith("msrest."):
                    raise ModuleNotFoundError("No module named 'msrest'", name="msrest")

        sys.meta_path.insert(0, Broken())
        from botstate_ext.storage import MemoryStorage
    """)
    assert "ModuleNotFoundError: No module named 'msrest'" in done.stderr
