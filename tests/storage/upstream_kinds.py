"""Storages as apps may have written them, on upstream's interface."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import jsonpickle

from tests.storage.plain import PlainStorage


class ETagStorage(PlainStorage):
    """As the SDK's Cosmos storage does it: an e_tag in what is read, checked in what is written."""

    writes = 0

    async def write(self, changes: dict[str, Any]) -> None:
        for key, item in changes.items():
            stored = self.items.get(key, {}).get("e_tag")
            if item.get("e_tag") not in (None, "*", stored):
                raise RuntimeError("Etag conflict.")
            self.writes += 1
            self.items[key] = {**deepcopy(item), "e_tag": str(self.writes)}


class PicklingStorage(PlainStorage):
    """Text by jsonpickle, as the SDK's Blob adapter stores it."""

    async def read(self, keys: list[str]) -> dict[str, Any]:
        found = {key: self.items[key] for key in keys if key in self.items}
        return {key: jsonpickle.decode(item) for key, item in found.items()}  # noqa: S301 - its way

    async def write(self, changes: dict[str, Any]) -> None:
        self.items.update({key: jsonpickle.encode(item) for key, item in changes.items()})


class CopyingStorage(PicklingStorage):
    """The same, with a copy of its own before."""

    async def write(self, changes: dict[str, Any]) -> None:
        await super().write({key: deepcopy({**item}) for key, item in changes.items()})
