"""StorageContract: the rules for every StateStorage, as tests."""

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
    """Tests a backend, with pytest and pytest-asyncio in auto mode. Give it the storage::

        class TestMyStorage(StorageContract):
            @pytest.fixture
            async def storage(self):
                async with MyStorage(...) as storage:
                    yield storage

    The storage may hold other items: each test makes its own keys. If the storage declares that it
    cannot do something (``conditional``, ``lists``, ``metadata``, ``any_bytes``,
    ``transactional``), its tests are skipped.
    """

    @pytest.fixture
    def prefix(self) -> str:
        """Return the prefix of all keys of one test."""
        return f"contract/{uuid.uuid4().hex}/"

    @pytest.fixture
    def key(self, prefix: str) -> str:
        """Return the key of an item that does not exist yet."""
        return prefix + "item"
