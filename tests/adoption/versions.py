"""A bot whose classes have two versions: the newer one has more fields. Both are stored under the
same names, as the two versions of a module are during a deploy."""

from __future__ import annotations

from typing import Any

Item: Any = None
"""The class of the version that is running; see `run`."""

Log: Any = None


def _make(version: int) -> tuple[type, type]:
    class Item:
        def __init__(self, number: int) -> None:
            self.number = number
            if version == 2:
                self.grams = number * 10

    class Log:
        if version == 2:
            seen_by_new = 0  # as a class has it that was stored without the field

        def __init__(self) -> None:
            self.turns: list[int] = []
            self.items: list[Item] = []

        def take(self, number: int) -> None:
            self.turns.append(number)
            if number % 5 == 0:
                self.items.append(Item(number))
            if version == 2:
                self.seen_by_new += 1

    for cls in (Item, Log):
        cls.__qualname__ = cls.__name__
    return Item, Log


VERSIONS = {1: _make(1), 2: _make(2)}


def run(version: int) -> None:
    """Make one version the module's own, as if its code had been deployed."""
    global Item, Log
    Item, Log = VERSIONS[version]
