"""The backend that docs/storages.md writes is a whole one."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from typing import Any

import pytest

from botstate_ext.storage import StateStorage
from botstate_ext.testing import StorageContract
from tests.docs.test_snippets import ROOT, blocks


def written_backend() -> Any:
    """The class that the page writes."""
    [code] = [code for _, code in blocks(ROOT / "docs" / "storages.md") if "class Table" in code]
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(ast.parse(code), "storages.md", "exec"), names)  # noqa: S102 - our own page
    return names["TableStorage"]


class TestTableStorage(StorageContract):
    @pytest.fixture
    async def storage(self) -> AsyncIterator[StateStorage]:
        async with written_backend()({}) as storage:
            yield storage
