"""PlainStorage: a storage as an app may have written it, on the interface of the SDK that is
installed."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tests.turns import ON_AGENTS, Storage


class _Items:
    """No e_tags at all."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}

    async def read(self, keys: list[str]) -> dict[str, Any]:
        return {key: deepcopy(self.items[key]) for key in keys if key in self.items}

    async def write(self, changes: dict[str, Any]) -> None:
        self.items.update(deepcopy(changes))

    async def delete(self, keys: list[str]) -> None:
        for key in keys:
            self.items.pop(key, None)


if TYPE_CHECKING or not ON_AGENTS:

    class PlainStorage(_Items, Storage):
        """The Bot Framework SDK gives and takes what is stored."""

else:

    class PlainStorage(_Items, Storage):
        """The Agents SDK gives and takes objects that make JSON of themselves."""

        async def read(self, keys: list[str], *, target_cls: Any, **_: Any) -> dict[str, Any]:
            found = await super().read(keys)
            return {key: target_cls.from_json_to_store_item(item) for key, item in found.items()}

        async def write(self, changes: dict[str, Any]) -> None:
            await super().write({key: item.store_item_to_json() for key, item in changes.items()})
