"""Compares JSON values as RFC 9535, 2.3.5.2.2, defines. To Python itself True equals 1."""

from __future__ import annotations

from typing import Any, Final

from .limits import Run

NUMBERS: Final = frozenset({int, float})
LONG: Final = 1024
"""Characters of a string that cost about as much to compare as one step."""


def equal(run: Run, left: Any, right: Any) -> bool:
    """Return ``left == right``. Nothing equals only Nothing."""
    kind = type(left)
    if kind is not type(right):
        return kind in NUMBERS and type(right) in NUMBERS and bool(left == right)
    if kind is dict or kind is list:
        return _equal_trees(run, left, right)
    if kind is str and len(left) > LONG:
        run.spend(len(left) // LONG)
    return bool(left == right)


def less(run: Run, left: Any, right: Any) -> bool:
    """Return ``left < right``, for numbers, and for strings by code point; False for all else."""
    kind = type(left)
    if kind is str:
        if len(left) > LONG:
            run.spend(len(left) // LONG)
        return type(right) is str and left < right
    return kind in NUMBERS and type(right) in NUMBERS and bool(left < right)


def _equal_trees(run: Run, left: Any, right: Any) -> bool:
    # Not recursive: two values nested ten thousand levels deep must not end the interpreter.
    pairs = [(left, right)]
    while pairs:
        left, right = pairs.pop()
        kind = type(left)
        if kind is not type(right) or (kind is not dict and kind is not list):
            if not equal(run, left, right):
                return False
            continue
        if len(left) != len(right):
            return False
        run.spend(len(left))
        if kind is dict:
            if left.keys() != right.keys():
                return False
            pairs.extend((value, right[name]) for name, value in left.items())
        else:
            pairs.extend(zip(left, right, strict=True))
    return True
