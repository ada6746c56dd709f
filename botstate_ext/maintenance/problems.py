"""Problems: the documents that work on a whole storage left as they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, overload


class Problem(NamedTuple):
    """Names a document that was left as it was, and the reason."""

    key: str
    reason: str


class ProblemsSoFar(Sequence[Problem]):
    """Views the problems up to now, of a list that grows.

    A copy for each report would cost the square of their number.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self._problems, self._length = problems, len(problems)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Problem]: ...
    def __getitem__(self, index: int | slice) -> Problem | Sequence[Problem]:
        if isinstance(index, slice):
            return self._problems[: self._length][index]
        return self._problems[range(self._length)[index]]
