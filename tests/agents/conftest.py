"""An agent whose state is this package's. The tests here need the Agents SDK, and run in an
environment without ``botbuilder``: `make successor`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

collect_ignore_glob = [] if find_spec("microsoft_agents") else ["test_*.py"]

STORAGES = ("memory", "sqlite", "blob")


@pytest.fixture(params=STORAGES)
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """Each storage that an agent is tested on."""
    from botstate_ext.storage import BlobStorage, MemoryStorage, SQLiteStorage

    made: Any = MemoryStorage()
    if request.param == "sqlite":
        made = SQLiteStorage(tmp_path / "state.db")
    elif request.param == "blob":
        made = BlobStorage(
            connection_string=request.getfixturevalue("azurite"),
            container_name=request.getfixturevalue("container_name"),
        )
    async with made:
        yield made


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Start an agent: ``await start(states, on_message, replies="after_save")``."""
    from tests.agents.world import Agent, prepared

    async with AsyncExitStack() as stack:

        async def start(*args: Any, **options: Any) -> Agent:
            return await stack.enter_async_context(prepared(*args, **options))

        yield start
