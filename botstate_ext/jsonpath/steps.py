"""A singular path: member names and indexes one after the other, which find one value or none."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, TypeAlias

Step: TypeAlias = tuple[type[Any], Any]
"""``(dict, name)`` or ``(list, index)``: what the value must be, and what to take from it."""

Place: TypeAlias = tuple[str, ...]
"""Member names from the root down; ``()`` is the root itself."""


class Nothing(Enum):
    """RFC 9535's special result: there is no value, which is not null."""

    NOTHING = "nothing"


NOTHING: Final = Nothing.NOTHING


def step(key: str | int) -> Step:
    return (dict, key) if isinstance(key, str) else (list, key)


def walk(steps: tuple[Step, ...], value: Any) -> Any:
    """The value that the steps lead to, or NOTHING."""
    for kind, key in steps:
        if not isinstance(value, kind):
            return NOTHING
        try:
            value = value[key]
        except (KeyError, IndexError):
            return NOTHING
    return value
