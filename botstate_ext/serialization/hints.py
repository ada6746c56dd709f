"""Read plain JSON as a class that only a default named, whose annotations are not checked. Pure.

``name: str = None`` is a common idiom, and ``get(turn, Profile)`` is no declaration.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from . import json_text, jsonpickle
from .jsonpickle.defaults import field_names


def has_unchecked_fields(type_: Any) -> bool:
    """Return True for a dataclass or an attrs class."""
    return isinstance(type_, type) and bool(field_names(type_))


def read_unchecked(cls: Any, text: bytes, convert: Callable[[Any, Any], Any]) -> Any:
    """Return an instance of a class. Each field has the type of its annotation where the stored
    member can be read as one; otherwise it is the stored text, number, boolean or None. Return None
    if there is no such instance.

    ``convert`` makes a value of a type of JSON builtins, and raises if it cannot.
    """
    stored = json_text.loads(text)
    if not isinstance(stored, dict):
        return None
    annotations = _annotations(cls)
    instance = jsonpickle.new(cls, (), {})
    for name in field_names(cls) & stored.keys():
        member = stored[name]
        try:
            member = convert(member, annotations.get(name, Any))
        except Exception:  # noqa: BLE001 - an app's class may raise anything when made
            if isinstance(member, (dict, list)):
                return None
        jsonpickle.set_attribute(instance, name, member)
    jsonpickle.add_defaults(instance)
    return instance if all(hasattr(instance, name) for name in field_names(cls)) else None


@lru_cache(maxsize=1024)
def _annotations(cls: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except NameError:
        return {}
