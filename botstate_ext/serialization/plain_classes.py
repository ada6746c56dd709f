"""Stores ordinary classes as attributes, and rebuilds them as the property's class. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from types import FunctionType
from typing import Any, Final

import msgspec

from ..errors import StateDecodeError, StateEncodeError
from . import json_text, jsonpickle
from .allow_list import AllowList, name_of
from .constructors import is_pydantic
from .named_classes import fresh_attributes

_MAY_BE_FLOAT: Final = (
    msgspec.inspect.AnyType,
    msgspec.inspect.CustomType,
    msgspec.inspect.FloatType,
)
_WITH_FIELDS: Final = (
    msgspec.inspect.DataclassType,
    msgspec.inspect.StructType,
    msgspec.inspect.TypedDictType,
)
_CONTAINERS: Final = frozenset((dict, list))


@lru_cache(maxsize=1024)
def is_plain_class(type_: Any) -> bool:
    """Return True for a class that msgspec cannot decode, except builtins and pydantic models."""
    if not isinstance(type_, type) or type_.__module__ == "builtins" or is_pydantic(type_):
        return False
    return isinstance(msgspec.inspect.type_info(type_), msgspec.inspect.CustomType)


def plain_classes_in(type_: Any) -> frozenset[type]:
    """Return the plain classes in a type annotation, in its fields' and items' types too."""
    classes = frozenset(
        node.cls
        for node in _nodes(msgspec.inspect.type_info(type_), set())
        if isinstance(node, msgspec.inspect.CustomType) and is_plain_class(node.cls)
    )
    for cls in classes:
        if not _holds_attributes_only(cls):
            raise TypeError(
                f"a {cls.__qualname__} holds more than attributes. Use a builtin type, such as "
                "list[...] or dict[str, ...], or declare no type."
            )
    return classes


def may_hold_floats(type_: Any) -> bool:
    """Return True if a value of this type can hold a float. ``Any`` can."""
    return any(
        isinstance(node, _MAY_BE_FLOAT) for node in _nodes(msgspec.inspect.type_info(type_), set())
    )


def classes_in(type_: Any) -> frozenset[type]:
    """Return the app's own classes that a type annotation reaches."""
    return frozenset(
        node.cls
        for node in _nodes(msgspec.inspect.type_info(type_), set())
        if isinstance(getattr(node, "cls", None), type)
        and not isinstance(node, msgspec.inspect.TypedDictType)
    )


def has_fields(type_: Any) -> bool:
    """Return True if a value of this type can hold an object with declared fields.

    Reading such an object drops its other members.
    """
    return any(
        isinstance(node, _WITH_FIELDS)
        or (isinstance(node, msgspec.inspect.CustomType) and is_pydantic(node.cls))
        for node in _nodes(msgspec.inspect.type_info(type_), set())
    )


def field_names_in(type_: Any) -> dict[str, tuple[str, ...]]:
    """Return the field names of each dataclass and Struct that a type annotation reaches.

    The keys are the names of the classes.
    """
    return {name_of(cls): names for cls in classes_in(type_) if (names := _field_names(cls))}


def _field_names(cls: Any) -> tuple[str, ...]:
    if is_dataclass(cls):
        return tuple(field.name for field in fields(cls))
    return tuple(getattr(cls, "__struct_fields__", ()))


def attributes(instance: object) -> dict[str, Any]:
    """Return the attributes of an instance, from its ``__dict__`` and its ``__slots__``."""
    return dict(jsonpickle.attributes_of(instance))


def _holds_attributes_only(cls: type) -> bool:
    """Return False for containers, numbers, text, and other classes that are made by C code."""
    new: Any = cls.__new__
    return new is object.__new__ or isinstance(new, FunctionType)


def rebuild(cls: Any, stored: Any, allowed: AllowList, *, tagged: bool = False) -> Any:
    """Return an instance of a plain class, made of its stored attributes without ``__init__``.

    ``tagged``: the attributes may hold jsonpickle's tags.

    :raises StateDecodeError: the stored value is not a JSON object of attributes.
    """
    if not isinstance(stored, dict):
        raise StateDecodeError(f"Expected `object`, got `{type(stored).__name__}`")
    instance = jsonpickle.new(cls, (), {})
    if isinstance(stored, jsonpickle.Instance):
        stored, tagged = stored.stored, True
    for name, item in without_tags(stored).items():
        if name.startswith("py/"):
            raise StateDecodeError(f"it holds an attribute {name!r}, which is not allowed")
        value = jsonpickle.restore(item, allowed) if tagged and type(item) in _CONTAINERS else item
        jsonpickle.set_attribute(instance, name, value)
    complete(instance)
    return instance


def complete(instance: Any) -> None:
    """Set the attributes that a class has gained since an instance of it was stored.

    Their values are those of an instance that ``cls()`` makes. It is made only if one is missing.
    """
    cls: Any = type(instance)
    names = fresh_names(cls)
    if not names:
        return
    missing = names - attributes(instance).keys()
    if missing:
        fresh = attributes(cls())
        for name in missing & fresh.keys():
            jsonpickle.set_attribute(instance, name, fresh[name])


@lru_cache(maxsize=1024)
def fresh_names(cls: Any) -> frozenset[str]:
    """Return the attribute names of an instance made by ``cls()``; empty if it needs arguments."""
    return frozenset(fresh_attributes(cls))


def dump_pydantic(model: Any) -> bytes:
    """Return the JSON text of a pydantic model.

    :raises StateEncodeError: pydantic cannot write the model.
    """
    try:
        # Its warnings show values; what it writes otherwise is found by reading it again.
        return bytes(model.model_dump_json(by_alias=True, warnings=False).encode())
    except ValueError as error:
        raise StateEncodeError(f"pydantic refused it: {type(error).__name__}") from None


def validate_pydantic(model: Any, value: Any) -> Any:
    """Return the pydantic model of a stored value.

    :raises StateDecodeError: the value is not a model of this class. The message shows no input.
    """
    try:
        return model.model_validate_json(json_text.dumps(value))
    except ValueError as error:
        listed: Any = getattr(error, "errors", None)
        problems = listed(include_input=False, include_url=False) if listed else ()
        where = "; ".join(f"{_field(model, p['loc'])}: {p['type']}" for p in problems)
    raise StateDecodeError(f"pydantic refused it: {where or 'it is no model of this class'}")


def _field(model: Any, place: Sequence[Any]) -> str:
    """Return the model's own field in an error's location.

    Deeper parts of the location are left out: they may be keys of stored data.
    """
    name = str(place[0]) if place else ""
    declared = {field.alias or own for own, field in model.model_fields.items()}
    return f"field {name!r}" if name in declared else "the model"


def without_tags(stored: Any) -> Any:
    """Return the attributes without the class name that the SDK wrote. The name is not checked."""
    if not isinstance(stored, dict):
        return stored
    state = stored.get("py/state")
    if isinstance(state, dict):
        return state
    return {name: item for name, item in stored.items() if name != "py/object"}


def _nodes(node: Any, seen: set[int]) -> Iterator[Any]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, (tuple, list)):
        for item in node:
            yield from _nodes(item, seen)
    elif isinstance(node, (msgspec.inspect.Type, msgspec.inspect.Field)):
        yield node
        for name in node.__struct_fields__:
            yield from _nodes(getattr(node, name), seen)
