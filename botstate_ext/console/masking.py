"""Mask: hides chosen properties before anything else in the console sees their values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..documents.quarantine import MARK


class Hidden(str):
    """Takes the place of a hidden value. A string, so that queries and templates can read it."""

    __slots__ = ()


HIDDEN: Final = Hidden("•••")


class Mask:
    """Hides the values of these properties, and of members of these names at any depth.

    Case and leading underscores of a name do not matter, and what is quarantined of a property is
    hidden as the property is. Everything in a hidden value is hidden. All that the console reads
    goes through here first. So a query or a template finds the replacement, and a filter cannot
    tell one hidden value from another.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        """:raises TypeError: ``names`` is one string, or holds something else than strings."""
        if isinstance(names, str):
            raise TypeError(f"mask takes several names: mask=({names!r},).")
        names = tuple(names)
        if not all(isinstance(name, str) for name in names):
            raise TypeError("mask takes names of properties, which are strings.")
        self._names = frozenset(map(_plain_name, names))

    def __bool__(self) -> bool:
        """Return True if something is hidden."""
        return bool(self._names)

    def hides(self, name: str) -> bool:
        """Return True if the value of this name is hidden."""
        return bool(self._names) and _plain_name(name) in self._names

    def applied(self, value: Any) -> Any:
        """Return a value without what is hidden; the value itself if nothing is to be hidden."""
        if not self._names:
            return value
        try:
            return self._copy(value)
        except RecursionError:
            return HIDDEN  # nested too deeply to be looked through

    def properties(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return properties by name without what is hidden."""
        return {
            name: HIDDEN if self.hides(name) else self.applied(value)
            for name, value in values.items()
        }

    def hides_in(self, name: str, value: Any) -> bool:
        """Return True if a property is hidden, or something in its value is."""
        if self.hides(name):
            return True
        if not self._names:
            return False
        level = [value]
        while level:
            objects = [each for each in level if isinstance(each, dict)]
            if any(self.hides(member) for each in objects for member in each):
                return True
            lists = [each for each in level if isinstance(each, list)]
            level = [v for each in objects for v in each.values()]
            level += [v for each in lists for v in each]
        return False

    def _copy(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {n: HIDDEN if self.hides(n) else self._copy(v) for n, v in value.items()}
        if isinstance(value, list):
            return [self._copy(each) for each in value]
        return value


def _plain_name(name: str) -> str:
    return name.partition(MARK)[0].lstrip("_").casefold()
