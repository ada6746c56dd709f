"""JsonPath: compiles one path, and keeps it in a bounded cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, final

from ..errors import StateQueryError
from .limits import Run
from .steps import NOTHING, Place, Step, walk

CACHE_SIZE: Final = 512


@final
class JsonPath:
    """Applies an RFC 9535 path to plain JSON values: dict, list, str, int, float, bool, None.

    Example: ``JsonPath("$.items[*].price").find({"items": [{"price": 3}]}) == [3]``

    Immutable, hashable and equal by text. Compiled once: the same text gives the same object while
    it is in a cache of 512 paths. ``.$name`` is accepted as another spelling of ``$.name``.

    :raises StateQueryError: the text is not RFC 9535, or is over a limit, which the error names.
    """

    __slots__ = ("_find", "_reach", "_steps", "_text")

    _text: str
    _steps: tuple[Step, ...] | None
    _find: Callable[[Run, Any], list[Any]]
    _reach: frozenset[Place]

    def __new__(cls, path: str) -> JsonPath:
        if not isinstance(path, str):
            raise StateQueryError(f"A JSONPath is a string, not {type(path).__name__}.")
        return _compiled(path)

    @property
    def singular(self) -> bool:
        """Return True if the path finds at most one value: it has names and indexes only."""
        return self._steps is not None

    @property
    def roots(self) -> frozenset[str] | None:
        """Return the top-level names that the path can read; None if it can read any name."""
        places = self.reach(1)
        return None if () in places else frozenset(place[0] for place in places)

    def reach(self, depth: int) -> frozenset[Place]:
        """Return the places that the path can read, as names from the root down, at most ``depth``
        names each: ``{("user", "name")}``.

        All values below a place may be read; ``()`` is the whole value. Queries on ``$`` in filters
        are included. A place may lie inside another place.
        """
        return frozenset(place[:depth] for place in self._reach)

    def find(self, value: Any) -> list[Any]:
        """Return every value that the path finds, in document order. They are parts of ``value``,
        not copies.

        :raises StateQueryError: the path is over a limit on this value.
        """
        if self._steps is None:
            return self._find_within(Run(value))
        found = walk(self._steps, value)
        return [] if found is NOTHING else [found]

    def run(self, value: Any) -> Any:
        """Return the value or None for a singular path, a list of values for any other."""
        return self._answer(self.find(value))

    def run_within(self, run: Run) -> Any:
        """Do as :meth:`run`, within the budget of a run that several paths may share."""
        return self._answer(self._find_within(run))

    def first(self, value: Any, default: Any = None) -> Any:
        """Return the first value that the path finds, or the default. A null is a value."""
        found = self.find(value)
        return found[0] if found else default

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"JsonPath({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonPath) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[type[JsonPath], tuple[str]]:
        return JsonPath, (self._text,)

    def _answer(self, found: list[Any]) -> Any:
        if self._steps is None:
            return found
        return found[0] if found else None

    def _find_within(self, run: Run) -> list[Any]:
        try:
            return self._find(run, run.root)
        except RecursionError as error:
            raise StateQueryError(
                "The JSONPath is over the limit on depth: the stack that is left."
            ) from error


@lru_cache(maxsize=CACHE_SIZE)
def _compiled(text: str) -> JsonPath:
    from .compiler import Compiler, finder
    from .parse import parse
    from .reach import reach

    text = _standard(text)
    query = parse(text)
    steps, segments = Compiler().query(query)
    path = object.__new__(JsonPath)
    path._text = text
    path._steps = None if segments else steps
    path._find = finder(steps, segments)
    path._reach = reach(query)
    return path


def _standard(text: str) -> str:
    if not text.startswith(".$"):
        return text
    rest = text[2:]
    return f"${rest}" if rest.startswith((".", "[")) or not rest else f"$.{rest}"
