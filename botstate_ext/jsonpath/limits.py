"""Limits of a JSONPath. Paths may come from outside, and they run on the event loop."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from ..errors import StateQueryError

MAX_LENGTH: Final = 2_000
"""Characters of a path."""

MAX_SEGMENTS: Final = 100
"""Segments of a path, those inside its filters included."""

MAX_NESTING: Final = 20
"""Brackets and parentheses inside one another, in a path or in a pattern."""

MAX_OPERATORS: Final = 100
"""``&&`` and ``||`` in a path."""

MAX_NUMBER: Final = 1e308
"""Numbers written in a path. Above it the next power of ten is infinite."""

MAX_PATTERN_LENGTH: Final = 500
"""Characters of a regular expression."""

MAX_PATTERN_REPEATS: Final = 10_000
"""The product of a pattern's minimum repeat counts: ``(a{1000}){1000}`` allocates a million."""

MAX_PATTERN_SECONDS: Final = 0.5
"""All regular expressions of one run together."""

MAX_DEPTH: Final = 200
"""Levels of a document that ``..`` descends."""

MAX_RESULTS: Final = 100_000
"""Values that a path, or any segment on its way, finds."""

MAX_STEPS: Final = 1_000_000
"""Values looked at in one run, filters and their own queries included."""


def over_limit(what: str, limit: float, unit: str) -> NoReturn:
    """Raise the StateQueryError that names a limit."""
    raise StateQueryError(
        f"The JSONPath is over the limit on {what}: {limit:,} {unit}. Make it simpler, or ask for"
        " less at once."
    )


class Run:
    """Counts the budget of one run of a path, or of the paths of one StateQuery together."""

    __slots__ = ("_steps", "pattern_seconds", "root")

    def __init__(self, root: Any) -> None:
        self.root = root
        self.pattern_seconds = MAX_PATTERN_SECONDS
        self._steps = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Count values that are about to be looked at.

        :raises StateQueryError: the budget is spent.
        """
        self._steps -= steps
        if self._steps < 0:
            over_limit("work", MAX_STEPS, "values looked at")

    def check_results(self, nodes: list[Any]) -> None:
        """Check the number of values that were found.

        :raises StateQueryError: there are too many.
        """
        if len(nodes) > MAX_RESULTS:
            over_limit("results", MAX_RESULTS, "values")
