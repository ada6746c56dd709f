"""Changes: how two values differ, as a short list to show. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from .display import brief
from .tree import member_path

MAX_CHANGES: Final = 20
"""Changes that are kept of one save."""

MAX_DEPTH: Final = 12
_MAX_TEXT: Final = 120


class _Absent:
    """Takes the place of a value that is not there."""


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """Describes a value that was added, replaced or removed.

    - ``path``: the JSONPath, without the ``$``.
    - ``before``, ``after``: the beginnings of the JSON; None: there was no value, or is none.
    """

    path: str
    before: str | None
    after: str | None


def changes(name: str, before: Any, after: Any) -> Iterator[Change]:
    """Yield the differences in a property of this name. ``ABSENT``: it was not there, or is not."""
    yield from _between(property_path(name), before, after, 0)


def property_path(name: str) -> str:
    """Return the path of a property, without the ``$`` and its dot."""
    return member_path(name).removeprefix(".")


def _between(path: str, before: Any, after: Any, depth: int) -> Iterator[Change]:
    if type(before) is type(after) and isinstance(before, (dict, list)) and depth < MAX_DEPTH:
        for segment, old, new in _pairs(before, after):
            yield from _between(f"{path}{segment}", old, new, depth + 1)
    elif not _same(before, after):
        yield Change(path, _brief(before), _brief(after))


def _pairs(before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict):
        for name in before | after:
            yield member_path(name), before.get(name, ABSENT), after.get(name, ABSENT)
        return
    for index in range(max(len(before), len(after))):
        old = before[index] if index < len(before) else ABSENT
        yield f"[{index}]", old, after[index] if index < len(after) else ABSENT


def _same(before: Any, after: Any) -> bool:
    if type(before) is not type(after):
        return False
    try:
        return bool(before == after)
    except RecursionError:
        return False


def _brief(value: Any) -> str | None:
    return None if value is ABSENT else brief(value, _MAX_TEXT)
