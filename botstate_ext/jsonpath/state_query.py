"""StateQuery: runs several JSONPaths in one query, each with a key for its answer. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from ..errors import StateQueryError
from . import JsonPath
from .limits import Run
from .steps import Place

MAX_SELECTORS: Final = 100
"""Paths in one query."""

MAX_JSON_LENGTH: Final = 100_000
"""Characters of the text given to add_from_json."""


class StateQuery:
    """Runs several paths, each under a key.

    Example: ``StateQuery({"First": "$.Firstname"}).run({"Firstname": "Ann"}) == {"First": "Ann"}``

    The answer is a dictionary with the same keys, in the same order.

    :raises StateQueryError: a path is not valid, or there are more than 100.
    """

    def __init__(self, selectors: Mapping[str, str | JsonPath] | None = None) -> None:
        self._paths: dict[str, JsonPath] = {}
        self._add_all((selectors or {}).items())

    @property
    def selectors(self) -> Mapping[str, JsonPath]:
        """Return a read-only view of the paths by key."""
        return MappingProxyType(self._paths)

    def add(self, key: str, path: str | JsonPath) -> StateQuery:
        """Add one path, and return this query.

        :raises StateQueryError: the key is taken, the path is not valid, or there are 100 already.
        """
        self._add_all([(key, path)])
        return self

    def add_from_json(self, text: str) -> StateQuery:
        """Add the paths of a JSON object, ``{"First": "$.Firstname"}``, and return this query. If
        it raises, it adds none.

        :raises StateQueryError: as :meth:`add`; or the text is not a JSON object of strings with
            each key once, or has more than 100,000 characters.
        """
        if len(text) > MAX_JSON_LENGTH:
            raise StateQueryError(
                f"The selectors are over the limit on their JSON: {MAX_JSON_LENGTH:,} characters."
            )
        try:
            # As pairs, because a dictionary would drop a key that is there twice.
            pairs = json.loads(text, object_pairs_hook=_Pairs)
        except (ValueError, RecursionError) as error:
            raise StateQueryError(f"The selectors are not JSON: {error}.") from error
        if not isinstance(pairs, _Pairs):
            raise StateQueryError('Selectors are a JSON object: {"First": "$.Firstname"}.')
        self._add_all(pairs)
        return self

    def run(self, value: Any) -> dict[str, Any]:
        """Return the answers from one plain JSON value: for a singular path its value or None, for
        any other a list. They are parts of ``value``, not copies.

        :raises StateQueryError: a path, or all of them together, are over a limit on this value.
        """
        run = Run(value)
        return {key: path.run_within(run) for key, path in self._paths.items()}

    def reach(self, depth: int) -> frozenset[Place]:
        """Return the places that any of the paths can read; see :meth:`JsonPath.reach`."""
        return frozenset(place for path in self._paths.values() for place in path.reach(depth))

    def __repr__(self) -> str:
        return f"StateQuery({ {key: str(path) for key, path in self._paths.items()} })"

    def _add_all(self, pairs: Iterable[tuple[str, str | JsonPath]]) -> None:
        added = dict(self._paths)
        for key, path in pairs:
            if not isinstance(key, str):
                raise StateQueryError(f"The key of a selector is a string, not {key!r}.")
            if key in added:
                raise StateQueryError(f"The key {key!r} has a selector already.")
            if len(added) >= MAX_SELECTORS:
                raise StateQueryError(f"The query is over the limit on selectors: {MAX_SELECTORS}.")
            added[key] = path if isinstance(path, JsonPath) else JsonPath(path)
        self._paths = added


class _Pairs(list[tuple[str, Any]]):
    """Holds the members of a JSON object in a type of its own: a JSON array is a plain list."""
