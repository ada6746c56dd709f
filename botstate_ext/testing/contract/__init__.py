"""What every StateStorage must do, as tests."""

from __future__ import annotations

import uuid

import pytest

from .items import ItemContract
from .keys import KeyContract
from .listing import ListingContract
from .transactions import TransactionContract
from .upstream import UpstreamContract

__all__ = ["StorageContract"]


class StorageContract(
    ItemContract, KeyContract, ListingContract, TransactionContract, UpstreamContract
):
    """Tests of a backend, for pytest with pytest-asyncio in auto mode. Give it the storage::

        class TestMyStorage(StorageContract):
            @pytest.fixture
            async def storage(self):
                async with MyStorage(...) as storage:
                    yield storage

    The storage may hold other items: each test takes keys of its own. What the storage declares
    that it cannot do (``conditional``, ``lists``, ``metadata``, ``any_bytes``,
    ``transactional``) is skipped.
    """

    @pytest.fixture
    def prefix(self) -> str:
        """What the keys of one test begin with."""
        return f"contract/{uuid.uuid4().hex}/"

    @pytest.fixture
    def key(self, prefix: str) -> str:
        """One key, of an item that does not exist yet."""
        return prefix + "item"
