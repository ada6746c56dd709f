"""Contract of upstream's read, write and delete."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ...errors import StateConflictError
from ...storage.base import StateStorage
from .helpers import stored


class UpstreamContract:
    """Tests upstream's ``read``, ``write`` and ``delete``."""

    async def test_upstreams_face_keeps_an_etag(self, storage: StateStorage, key: str) -> None:
        item: dict[str, Any] = {"a": 1}
        await storage.write({key: item})
        assert item["e_tag"]
        await storage.write({key: item})  # upstream's own second save
        read = (await storage.read([key, key + "2"]))[key]
        assert read == item
        assert "e_tag" not in json.loads((await stored(storage, key)).data)

    async def test_upstreams_face_refuses_a_stale_etag(
        self, storage: StateStorage, key: str
    ) -> None:
        await storage.write({key: {"a": 1}})
        mine, theirs = (await storage.read([key]))[key], (await storage.read([key]))[key]
        theirs["a"] = 2
        await storage.write({key: theirs})
        mine["a"] = 3
        with pytest.raises(StateConflictError, match="Etag conflict"):
            await storage.write({key: mine})
        assert (await storage.read([key]))[key]["a"] == 2

    async def test_upstreams_face_overwrites_without_an_etag_or_with_any(
        self, storage: StateStorage, key: str
    ) -> None:
        await storage.write({key: {"a": 1}})
        await storage.write({key: {"a": 2}})
        always: dict[str, Any] = {"a": 3, "e_tag": "*"}
        for _ in range(2):
            await storage.write({key: always})
            assert always["e_tag"] == "*"
            await storage.write({key: {"a": 4}})
        await storage.write({key: {"a": 5, "e_tag": None}})
        assert (await storage.read([key]))[key]["a"] == 5
        with pytest.raises(ValueError, match="e_tag"):
            await storage.write({key: {"a": 6, "e_tag": ""}})

    async def test_upstreams_face_creates_once_with_an_invented_etag(
        self, storage: StateStorage, key: str
    ) -> None:
        await storage.write({key: {"a": 1, "e_tag": "invented"}})
        with pytest.raises(StateConflictError, match="Etag conflict"):
            await storage.write({key: {"a": 2, "e_tag": "invented"}})

    async def test_upstreams_face_deletes(self, storage: StateStorage, key: str) -> None:
        await storage.write({key: {"a": 1}})
        await storage.delete([key, key + "absent"])
        assert await storage.read([key]) == {}
