"""Find the classes that a type names in its own code, so that its values may hold them. Pure."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from .allow_list import AllowList, name_of
from .jsonpickle.parts import all_attributes, parts_of

_GENERATED: Final = ("__dataclass_fields__", "__attrs_attrs__")
_ALWAYS_ALLOWED: Final = AllowList()


@lru_cache(maxsize=256)
def named_classes(type_: Any) -> frozenset[type]:
    """Return the classes that a type, and each class that it names, names in annotations, in
    defaults of ``__init__``, and in the attributes of an instance that needs no arguments.

    These come from the app's code, never from stored data. Subclasses are not among them.
    """
    found: set[type] = set()
    todo = [*_classes_in(type_)]
    for cls in todo:
        if cls not in found and not _is_known(cls):
            found.add(cls)
            todo.extend(_named_by(cls))
    return frozenset(found)


def _is_known(cls: type) -> bool:
    if cls.__module__ == "builtins":
        return True
    # A class that was made by a function, as make_dataclass does, may say that it is of "types".
    if getattr(sys.modules.get(cls.__module__), cls.__name__, None) is cls:
        return cls.__module__ in ("typing", "types", "abc", "collections.abc")
    return _ALWAYS_ALLOWED.knows(name_of(cls))


def _classes_in(annotation: Any) -> Iterator[type]:
    """Yield the classes in an annotation: of ``dict[str, Order] | None`` dict, str and Order."""
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        yield annotation
        return
    origin = typing.get_origin(annotation)
    if isinstance(origin, type):
        yield origin
    if origin is not typing.Literal:
        for argument in typing.get_args(annotation):
            yield from _classes_in(argument)
    value = getattr(annotation, "__supertype__", None) or getattr(annotation, "__bound__", None)
    if value is not None:
        yield from _classes_in(value)


def _named_by(cls: Any) -> Iterator[type]:
    for annotation in _annotations(cls):
        yield from _classes_in(annotation)
    for base in getattr(cls, "__orig_bases__", ()):
        yield from _classes_in(base)
    init = vars(cls).get("__init__")
    # That of a dataclass or an attrs class was generated from annotations, as were its defaults.
    if inspect.isfunction(init) and not any(hasattr(cls, name) for name in _GENERATED):
        for annotation in _annotations(init):
            yield from _classes_in(annotation)
        for parameter in inspect.signature(init).parameters.values():
            if parameter.default is not parameter.empty:
                yield from _classes_of(parameter.default)
    for attribute in fresh_attributes(cls).values():
        yield from _classes_of(attribute)


def _annotations(owner: Any) -> list[Any]:
    try:
        return [*typing.get_type_hints(owner).values()]
    except Exception:  # noqa: BLE001 - an annotation may be any text; what does resolve is in there
        return [*getattr(owner, "__annotations__", {}).values()]


def _classes_of(value: Any) -> Iterator[type]:
    """Yield the classes of the parts of a value, at any depth."""
    seen: set[int] = set()
    todo = [value]
    for part in todo:
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, type):
            yield part
        else:
            yield type(part)
            todo.extend(child for _, child in parts_of(part))


@lru_cache(maxsize=1024)
def needs_no_argument(cls: Any) -> bool:
    """Return True if ``cls()`` makes an instance."""
    try:
        inspect.signature(cls).bind()
    except (TypeError, ValueError):
        return False
    return True


def fresh_attributes(cls: Any) -> dict[str, Any]:
    """Return the attributes of an instance that ``cls()`` makes; empty where it needs arguments."""
    if isinstance(cls, type) and issubclass(cls, Enum):
        return {}
    if getattr(cls, "__init__", None) is object.__init__ or not needs_no_argument(cls):
        return {}
    try:
        return all_attributes(cls())
    except Exception:  # noqa: BLE001 - an app's class may raise anything; then it names nothing
        return {}
