"""AllowList: the exact classes that stored data may name. No other name is ever looked up.

A name is never a prefix, and never a path to walk. Stored data says "module.Name". If a table has
exactly this text, its class is found; if not, the answer is None and nothing is imported.
"""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import uuid
from collections.abc import Iterable, Mapping
from importlib import import_module
from types import GenericAlias, ModuleType
from typing import Any, Final, TypeAlias

from .agents_sdk_types import AGENTS_SDK_TYPES
from .sdk_types import SDK_TYPES
from .translation import Translation

__all__ = ["STANDARD_TYPES", "AllowList", "Types", "allow_list", "name_of"]

Types: TypeAlias = Iterable[type | ModuleType] | Mapping[str, type]


def name_of(cls: type) -> str:
    """Return the class's name as jsonpickle writes it: "module.QualifiedName"."""
    return f"{cls.__module__}.{cls.__qualname__}"


STANDARD_TYPES: Final[Mapping[str, type]] = {
    name_of(cls): cls
    for cls in (
        bool, int, float, complex, str, bytes, list, dict, tuple, set, frozenset,
        dt.datetime, dt.date, dt.time, dt.timedelta, dt.timezone,
        decimal.Decimal, uuid.UUID,
        collections.OrderedDict, collections.defaultdict, collections.Counter, collections.deque,
    )
}  # fmt: skip
"""Python's own value types, which every list allows."""


class AllowList:
    """Lists the classes that untyped values may hold.

    They are the app's classes, the SDK's data classes and Python's value types.

    ``types``: the app's classes. Subclasses are not allowed with them. If two have the same name,
    the later one counts. ``aliases``: maps an old stored name to the class of today, for a class
    that has moved or that ran as ``__main__``. ``translation``: reads what another SDK stored.
    """

    def __init__(
        self,
        types: Iterable[type] = (),
        aliases: Mapping[str, type] | None = None,
        translation: Translation | None = None,
    ) -> None:
        self._types = {name_of(cls): cls for cls in _classes(types)}
        self._aliases = dict(zip(aliases or (), _classes((aliases or {}).values()), strict=True))
        self._moved = {name_of(cls): cls for cls in self._aliases.values()}
        self.translation = translation
        self._translated: set[str] = set()
        self._found: dict[str, type | None] = {}
        self._allowed: set[type] = set()

    def __repr__(self) -> str:
        return f"AllowList({', '.join(sorted(self._types))})"

    def knows(self, name: str) -> bool:
        """Return True if a table has this name. Imports nothing."""
        if name in self._found:
            return True
        name = _modern(name)
        module, _, cls = name.rpartition(".")
        return (
            name in self._types
            or name in self._aliases
            or name in self._moved
            or name in STANDARD_TYPES
            or cls in SDK_TYPES.get(module, ())
            or cls in AGENTS_SDK_TYPES.get(module, ())
        )

    def find(self, name: str) -> type | None:
        """Return the class with this name; None if it is not allowed or its package is absent.

        Imports at most one module: the module of the SDK that the table has for this name.
        """
        if name not in self._found:
            # Only what is known is remembered: a stored name must not fill the memory.
            if not self.knows(name):
                return None
            self._found[name] = self._look_up(_modern(name))
        return self._found[name]

    def _look_up(self, name: str) -> type | None:
        for table in (self._types, self._aliases, self._moved, STANDARD_TYPES):
            if name in table:
                return table[name]
        found = None if self.translation is None else self.translation.find(name)
        if found is None:
            return _sdk_class(name)
        self._translated.add(name)
        return found

    def is_translated(self, name: str) -> bool:
        """Return True if another SDK's class has this name, and `find` gives a class of the app's
        SDK for it."""
        return self.find(name) is not None and _modern(name) in self._translated

    def allows(self, cls: type) -> bool:
        """Return True if instances of exactly this class may be stored."""
        if cls in self._allowed:
            return True
        if self.find(name_of(cls)) is not cls:
            return False
        self._allowed.add(cls)
        return True

    def name_of(self, cls: type) -> str:
        """Return the name under which the class is written, allowed or not."""
        return name_of(cls)

    def extended(self, *types: type) -> AllowList:
        """Return a list that also allows these classes. Does not change this one."""
        return AllowList((*self._types.values(), *types), self._aliases, self.translation)


def allow_list(types: Types, translation: Translation | None = None) -> AllowList:
    """Return the allow-list for the ``types`` of `StateScopes`.

    ``types``: classes, and modules for the classes that are defined in them now; or a mapping of
    classes by the names under which they are or were stored.
    """
    if isinstance(types, Mapping):
        return AllowList(types.values(), types, translation)
    if isinstance(types, (type, ModuleType)):
        name = types.__name__.rpartition(".")[2]
        raise TypeError(f"types takes several classes or modules: types=[{name}].")
    classes = (cls for each in types for cls in _classes_of(each))
    return AllowList(classes, translation=translation)


def _classes_of(given: Any) -> Iterable[Any]:
    """Return the classes that a module defines, also within classes; anything else as it is.

    What it imports from elsewhere is not among them.
    """
    if not isinstance(given, ModuleType):
        return [given]
    found: list[type] = []
    todo: list[Any] = [given]
    for owner in todo:
        for value in list(vars(owner).values()):
            # Not isinstance: an app's proxy may fail when it is asked for its class.
            is_class = issubclass(type(value), type)
            if is_class and value.__module__ == given.__name__ and value not in found:
                found.append(value)
                todo.append(value)
    if not found:
        raise TypeError(
            f"types: the module {given.__name__} defines no class. Give the module in which the "
            "classes are written, or the classes."
        )
    return found


def _modern(name: str) -> str:
    # What Python 2 called __builtin__, jsonpickle before 0.9.6 wrote for every builtin.
    return f"builtins.{name[12:]}" if name.startswith("__builtin__.") else name


def _classes(types: Iterable[object]) -> list[type]:
    classes = []
    for cls in types:
        # In Python 3.10 list[int] says that it is a type.
        if not isinstance(cls, type) or isinstance(cls, GenericAlias):
            raise TypeError(f"types and aliases take classes, not {type(cls).__name__}.")
        classes.append(cls)
    return classes


def _sdk_class(name: str) -> type | None:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_module(module), attribute, None)
    except ImportError:
        return None
    return found if isinstance(found, type) and name_of(found) == name else None
