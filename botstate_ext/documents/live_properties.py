"""LiveProperties: the mapping of a document's values that the bot works with."""

from __future__ import annotations

from typing import Any

from .metadata import check_name


class LiveProperties(dict[str, Any]):
    """Holds the live values of a document's properties by name. Refuses names that are not strings.

    :raises TypeError: a name is not a string.
    """

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            check_name(name)
        dict.__setitem__(self, name, value)

    def setdefault(self, name: str, default: Any = None) -> Any:
        check_name(name)
        return dict.setdefault(self, name, default)

    def update(self, *args: Any, **values: Any) -> None:
        for name, value in dict(*args, **values).items():
            self[name] = value

    def __ior__(self, other: Any) -> LiveProperties:  # type: ignore[override, misc]  # one form only
        self.update(other)
        return self
