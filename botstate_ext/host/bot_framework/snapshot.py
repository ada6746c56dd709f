"""Snapshot: a TurnContext as it is now, to be put back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from botbuilder.core import TurnContext
from msrest.serialization import Model

_UNCHANGEABLE: Final = frozenset((str, int, float, bool, type(None)))


class Snapshot:
    """Copies a TurnContext as it is now: its attributes, the content of its lists and dictionaries
    (services, handlers, turn_state), and a deep copy of the activity. Other objects are not
    copied."""

    def __init__(self, context: TurnContext) -> None:
        self._context = context
        self._attributes = dict(vars(context))
        self._contents = {
            name: held.copy()
            for name, held in self._attributes.items()
            if isinstance(held, (dict, list))
        }
        self._activity = deep_copy(context.activity)

    def restore(self) -> None:
        """Put all of it back, into the same objects: others hold them too."""
        attributes = vars(self._context)
        attributes.clear()
        attributes.update(self._attributes)
        for name, contents in self._contents.items():
            _refill(attributes[name], contents)
        _refill(vars(self._context.activity), vars(deep_copy(self._activity)))


def _refill(held: Any, contents: Any) -> None:
    held.clear()
    if isinstance(held, dict):
        held.update(contents)
    else:
        held.extend(contents)


def deep_copy(value: Any) -> Any:
    """Return a copy of an activity or of a part of one. It may be nested to any depth.

    ``copy.deepcopy`` calls itself for each level, and a client may send more levels than Python
    allows calls.
    """
    copies: dict[int, Any] = {}
    open_: list[tuple[Any, Any]] = []

    def copied(item: Any) -> Any:
        if type(item) in _UNCHANGEABLE:  # most of an activity's fifty attributes
            return item
        if not isinstance(item, (dict, list, Model)):
            return deepcopy(item, copies)
        if id(item) not in copies:
            cls: Any = type(item)
            empty = cls.__new__(cls)
            copies[id(item)] = empty
            open_.append((item, empty))
        return copies[id(item)]

    result = copied(value)
    while open_:
        source, copy = open_.pop()
        if isinstance(source, list):
            copy.extend(map(copied, source))
        else:
            held = source if isinstance(source, dict) else vars(source)
            target = copy if isinstance(copy, dict) else vars(copy)
            target.update((key, copied(each)) for key, each in held.items())
    return result
