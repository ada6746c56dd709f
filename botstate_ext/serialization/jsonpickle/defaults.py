"""Fields that a class has gained since one of its instances was stored. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

Default: TypeAlias = Callable[[Any], Any]
"""Makes the default of a field, of the instance."""


def add_defaults(instance: Any) -> None:
    """Set each field that an instance lacks to its default; one without a default stays absent.

    Instances are restored without their constructors, which would have done that.
    """
    cls: Any = type(instance)
    defaults = _defaults(cls)
    own = getattr(instance, "__dict__", {})
    if own.keys() >= defaults.keys():
        return
    for name, default in defaults.items():
        if name not in own:
            _set_default(instance, name, default)


def _set_default(instance: Any, name: str, default: Default) -> None:
    cls: Any = type(instance)
    if name in _slots(cls) and hasattr(instance, name):
        return
    value = default(instance)
    if hasattr(cls, "__pydantic_validator__") and hasattr(cls, "model_fields"):
        instance.__dict__[name] = value
    else:
        object.__setattr__(instance, name, value)


@lru_cache(maxsize=1024)
def field_names(cls: Any) -> frozenset[str]:
    """Return the fields of a dataclass or an attrs class; empty for any other class."""
    if dataclasses.is_dataclass(cls):
        return frozenset(field.name for field in dataclasses.fields(cls))
    return frozenset(field.name for field in getattr(cls, "__attrs_attrs__", ()))


@lru_cache(maxsize=1024)
def _defaults(cls: Any) -> Mapping[str, Default]:
    if dataclasses.is_dataclass(cls):
        return {f.name: default for f in dataclasses.fields(cls) if (default := _of_dataclass(f))}
    if hasattr(cls, "__attrs_attrs__"):
        return {f.name: default for f in cls.__attrs_attrs__ if (default := _of_attrs(f.default))}
    models = getattr(cls, "model_fields", None)
    if hasattr(cls, "__pydantic_validator__") and isinstance(models, dict):
        return {n: _of_pydantic(field) for n, field in models.items() if not field.is_required()}
    return {}


def _of_dataclass(field: Any) -> Default | None:
    if field.default_factory is not dataclasses.MISSING:
        return lambda instance: field.default_factory()
    if field.default is not dataclasses.MISSING:
        return lambda instance: field.default
    return None


def _of_attrs(default: Any) -> Default | None:
    factory = getattr(default, "factory", None)
    if factory is not None and hasattr(default, "takes_self"):
        return factory if default.takes_self else lambda instance: factory()
    # attrs' own sign that there is none.
    return None if type(default).__name__ == "_Nothing" else lambda instance: default


def _of_pydantic(field: Any) -> Default:
    return lambda instance: field.get_default(
        call_default_factory=True, validated_data=instance.__dict__
    )


@lru_cache(maxsize=1024)
def _slots(cls: Any) -> frozenset[str]:
    found: set[str] = set()
    for base in cls.__mro__:
        own = base.__dict__.get("__slots__", ())
        found.update((own,) if isinstance(own, str) else own)
    return frozenset(found)
