"""UnknownFields: members of stored objects that their classes do not know, carried by identity.

Newer code stores a field that this code does not know. It is kept with the very object that it was
stored with, and written again with that object, wherever it is then: an item that moved in a list
keeps its own. An object that was replaced by another takes its fields with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from . import json_text
from .constructors import is_pydantic

_PARTS = (dict, list)


class UnknownFields:
    """The unknown fields of one property's value."""

    def __init__(self) -> None:
        # The object is held too, so that its id stays its own.
        self._held: dict[int, tuple[Any, dict[str, Any]]] = {}
        self._last_read: set[int] = set()
        self._written: set[int] = set()
        self._was_said = False

    def __bool__(self) -> bool:
        return bool(self._held)

    def keep(self, instance: Any, members: Mapping[str, Any]) -> None:
        """Keep these stored members with an object."""
        _, held = self._held.setdefault(id(instance), (instance, {}))
        held.update(members)
        self._last_read.add(id(instance))

    def start_reading(self) -> None:
        """Forget which objects the last read kept, so that none of them is reported as lost."""
        self._last_read.clear()

    def members_of(self, instance: Any) -> Mapping[str, Any] | None:
        """Return the stored members to write with an object; None if there are none."""
        found = self._held.get(id(instance))
        if found is None:
            return None
        self._written.add(id(instance))
        return found[1]

    def start_writing(self) -> None:
        """Forget which objects were written."""
        self._written.clear()

    def newly_lost(self) -> type | None:
        """Return the class of an object that was not written with the value, so that its unknown
        fields are lost; None if there is none, or if that was returned before."""
        lost = self._last_read - self._written
        if not lost or self._was_said:
            return None
        self._was_said = True
        return type(self._held[min(lost)][0])

    def collect(self, value: Any, stored: Any, known: Any) -> None:
        """Keep what is in the ``stored`` JSON of a value and not in the JSON that it writes."""
        if isinstance(stored, dict) and isinstance(known, dict):
            names = _names_of(value)
            more = {n: m for n, m in stored.items() if n not in known and n not in names}
            if more:
                self.keep(value, more)
            for name, member in stored.items():
                if type(member) in _PARTS and name in known:
                    self.collect(_member(value, name, names), member, known[name])
        elif isinstance(value, (list, tuple)) and isinstance(stored, list):
            for item, one, other in zip(value, stored, known, strict=False):
                if type(one) in _PARTS:
                    self.collect(item, one, other)

    def add_to(self, value: Any, text: bytes) -> bytes:
        """Return the plain JSON text of a value with the unknown fields of each object in it."""
        tree = json_text.loads(text)
        self._add(value, tree)
        return json_text.dumps(tree)

    def _add(self, value: Any, tree: Any) -> None:
        if isinstance(tree, dict):
            names = _names_of(value)
            for name, member in tree.items():
                if type(member) in _PARTS:
                    self._add(_member(value, name, names), member)
            for name, member in (self.members_of(value) or {}).items():
                tree.setdefault(name, member)
        elif isinstance(tree, list) and isinstance(value, (list, tuple)):
            for item, member in zip(value, tree, strict=False):
                if type(member) in _PARTS:
                    self._add(item, member)


def _member(value: Any, name: str, names: Mapping[str, str]) -> Any:
    """Return the live value that is written under a name; None if that cannot be told."""
    if isinstance(value, dict):
        if name in value:
            return value[name]
        return next((member for key, member in value.items() if str(key) == name), None)
    return getattr(value, names.get(name, name), None)


def _names_of(value: Any) -> Mapping[str, str]:
    cls: Any = type(value)
    return {} if isinstance(value, dict) else _names(cls)


@lru_cache(maxsize=1024)
def _names(cls: Any) -> Mapping[str, str]:
    """Return every name under which a class may have stored a field, with its attribute."""
    if hasattr(cls, "__struct_fields__"):
        return dict(zip(cls.__struct_encode_fields__, cls.__struct_fields__, strict=True))
    if is_pydantic(cls):
        return {
            name: attribute
            for attribute, field in cls.model_fields.items()
            for name in _names_of_field(attribute, field)
        }
    if dataclasses.is_dataclass(cls):
        return {field.name: field.name for field in dataclasses.fields(cls)}
    return {field.name: field.name for field in getattr(cls, "__attrs_attrs__", ())}


def _names_of_field(attribute: str, field: Any) -> set[str]:
    aliases = (field.alias, field.validation_alias, field.serialization_alias)
    choices = getattr(field.validation_alias, "choices", ())
    return {attribute, *(alias for alias in (*aliases, *choices) if isinstance(alias, str))}
