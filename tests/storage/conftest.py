"""Fixtures of the storage tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from botstate_ext.storage import BlobStorage
from tests.storage.front import Front, front_of


@pytest.fixture
async def blob(azurite: str, container_name: str) -> AsyncIterator[BlobStorage]:
    """A BlobStorage on a container that does not exist yet."""
    async with BlobStorage(connection_string=azurite, container_name=container_name) as storage:
        yield storage


@pytest.fixture
async def front(azurite_endpoint: str) -> AsyncIterator[Front]:
    """A server in front of Azurite."""
    async with front_of(azurite_endpoint) as front:
        yield front
