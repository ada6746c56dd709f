"""Finds the parts of any live value, each with its step in a path. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, time
from enum import Enum
from typing import Any

from ..allow_list import STANDARD_TYPES
from .instances import attributes_of

_STANDARD = frozenset(STANDARD_TYPES.values())


def all_attributes(instance: Any) -> dict[str, Any]:
    """Return all state of an instance by name, a Struct's fields and a pydantic model's own
    dictionaries included."""
    found = attributes_of(instance)
    fields = getattr(type(instance), "__struct_fields__", None)
    if fields is not None:
        found.update((name, getattr(instance, name)) for name in fields)
    if hasattr(type(instance), "__pydantic_private__"):
        for name in ("__pydantic_private__", "__pydantic_extra__"):
            # Absent and empty are the same to pydantic.
            found[name] = getattr(instance, name, None) or None
        # Which fields were given is lost in plain JSON, and no part of the value.
        found.pop("__pydantic_fields_set__", None)
    # What typing notes on an instance of a generic class is not state.
    found.pop("__orig_class__", None)
    return found


def parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the items, keys and attributes of a value, each after its step: "[3]" or ".name".

    Keys of dictionaries are stored data, which no message shows: their step is "[...]".
    """
    if isinstance(value, dict):
        yield from (("[...]", member) for member in dict.values(value))
        yield from (("[...]", key) for key in dict.keys(value) if type(key) is not str)
    elif isinstance(value, (list, tuple, deque)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, (set, frozenset)):
        yield from (("[...]", item) for item in value)
    elif isinstance(value, (datetime, time)):
        yield ".tzinfo", value.tzinfo
    if type(value) not in _STANDARD and not isinstance(value, (Enum, type)):
        yield from ((f".{name}", m) for name, m in all_attributes(value).items())


def find(value: Any, is_wanted: Callable[[Any], bool]) -> Iterator[tuple[str, Any]]:
    """Yield the path and the part for each part, at any depth, for which ``is_wanted`` is true.

    A path looks like "$.items[3]".
    """
    seen: set[int] = set()
    todo = [("$", value)]
    for path, part in todo:
        if id(part) in seen:
            continue
        seen.add(id(part))
        if is_wanted(part):
            yield path, part
        todo.extend((path + step, child) for step, child in parts_of(part))


def path_of_cycle(value: Any) -> str | None:
    """Return the path to a part that contains itself; None if the value is a tree."""
    open_parts: set[int] = set()

    def search(part: Any, path: str) -> str | None:
        if id(part) in open_parts:
            return path
        open_parts.add(id(part))
        for step, child in parts_of(part):
            found = search(child, path + step)
            if found is not None:
                return found
        open_parts.discard(id(part))
        return None

    try:
        return search(value, "$")
    except RecursionError:
        return None
