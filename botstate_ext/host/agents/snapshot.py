"""Snapshot: a TurnContext as it is now, to be put back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from pydantic import BaseModel

from .privates import services_of
from .sdk import TurnContext

_OF_A_MODEL: Final = ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


class Snapshot:
    """Copies a TurnContext as it is now: its attributes, the content of its lists, dictionaries and
    services, and a deep copy of the activity. Other objects are not copied."""

    def __init__(self, context: TurnContext) -> None:
        self._context = context
        self._attributes = dict(vars(context))
        self._contents = {
            name: held.copy()
            for name, held in self._attributes.items()
            if isinstance(held, (dict, list))
        }
        self._services = dict(services_of(context))
        self._activity = deep_copy(context.activity)

    def restore(self) -> None:
        """Put all of it back, into the same objects: others hold them too."""
        attributes = vars(self._context)
        attributes.clear()
        attributes.update(self._attributes)
        for name, contents in self._contents.items():
            _refill(attributes[name], contents)
        _refill(services_of(self._context), self._services)
        activity, fresh = self._context.activity, deep_copy(self._activity)
        _refill(vars(activity), vars(fresh))
        _copy_marks(fresh, activity)


def _refill(held: Any, contents: Any) -> None:
    held.clear()
    if isinstance(held, dict):
        held.update(contents)
    else:
        held.extend(contents)


def deep_copy(value: Any) -> Any:
    """Return a copy of an activity, or of what is in one, however deeply it is nested.

    ``copy.deepcopy`` calls itself for each level, and a client may send more levels than Python
    allows calls.
    """
    copies: dict[int, Any] = {}
    open_: list[tuple[Any, Any]] = []

    def copied(item: Any) -> Any:
        if not isinstance(item, (dict, list, BaseModel)):
            return deepcopy(item, copies)
        if id(item) not in copies:
            cls: Any = type(item)
            copies[id(item)] = empty = cls.__new__(cls)
            open_.append((item, empty))
        return copies[id(item)]

    result = copied(value)
    while open_:
        source, copy = open_.pop()
        if isinstance(source, list):
            copy.extend(map(copied, source))
            continue
        if isinstance(source, BaseModel):
            _copy_marks(source, copy)
            extra = source.__pydantic_extra__
            if extra is not None:
                object.__setattr__(copy, "__pydantic_extra__", copied(extra))
            source, copy = vars(source), vars(copy)
        copy.update((key, copied(each)) for key, each in source.items())
    return result


def _copy_marks(source: BaseModel, copy: BaseModel) -> None:
    """Copy what pydantic keeps beside a model's fields: which of them were set, and more."""
    for name in _OF_A_MODEL:
        kept = getattr(source, name, None)
        object.__setattr__(copy, name, kept if kept is None else kept.copy())
