"""Translation: reads objects that another SDK than the app's has stored. Pure."""

from __future__ import annotations

from typing import Any, Protocol


class Translation(Protocol):
    """Finds the class of the app's SDK for a class of the other SDK."""

    def find(self, name: str) -> type | None:
        """Return this SDK's class for the other's class of this stored name; None if the name is
        none of the other's, or the package of the class is not installed."""

    def make(self, cls: Any, args: tuple[Any, ...], members: dict[str, Any]) -> Any:
        """Return an object of this SDK's class, made of the arguments and the attributes that the
        other's object had. They hold objects of this SDK already.

        :raises Exception: of any kind: it cannot be made of these.
        """
