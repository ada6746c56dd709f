"""Singular paths: names and indexes only, so that they find one value or none."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, TypeAlias

Step: TypeAlias = tuple[type[Any], Any]
"""``(dict, name)`` or ``(list, index)``: the type that the value must have, and the key in it."""

Place: TypeAlias = tuple[str, ...]
"""Member names from the root down; ``()`` is the root itself."""


class Nothing(Enum):
    """Stands for RFC 9535's special result: no value. It is not null."""

    NOTHING = "nothing"


NOTHING: Final = Nothing.NOTHING


def step(key: str | int) -> Step:
    """Return the step to a name or an index."""
    return (dict, key) if isinstance(key, str) else (list, key)


def walk(steps: tuple[Step, ...], value: Any) -> Any:
    """Return the value that the steps lead to, or NOTHING."""
    for kind, key in steps:
        if not isinstance(value, kind):
            return NOTHING
        try:
            value = value[key]
        except (KeyError, IndexError):
            return NOTHING
    return value
