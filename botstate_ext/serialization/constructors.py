"""Which classes run code of the app when an instance is made from plain JSON. Pure."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, Final, get_args

_HOOKS: Final = ("__post_init__", "__attrs_pre_init__", "__attrs_post_init__")
_PYDANTIC_HOOKS: Final = (
    "validators", "field_validators", "root_validators", "model_validators",
)  # fmt: skip


@lru_cache(maxsize=1024)
def runs_code(cls: Any) -> bool:
    """Return True if reading plain JSON as this class calls a ``__post_init__``, a validator or a
    converter of the app.

    Such code may change the value each time, so instances are stored with tags, and restored as
    they were.
    """
    if any(hasattr(cls, hook) for hook in _HOOKS):
        return True
    attributes = getattr(cls, "__attrs_attrs__", None)
    if attributes is not None:
        return any(field.validator or field.converter for field in attributes)
    return is_pydantic(cls) and _pydantic_runs_code(cls)


def is_pydantic(type_: Any) -> bool:
    """Return True for a pydantic model. A model exists only if pydantic was imported already."""
    pydantic = sys.modules.get("pydantic")
    model: Any = getattr(pydantic, "BaseModel", None)
    return model is not None and isinstance(type_, type) and issubclass(type_, model)


def _pydantic_runs_code(model: Any) -> bool:
    decorators = model.__pydantic_decorators__
    if any(getattr(decorators, hook, None) for hook in _PYDANTIC_HOOKS):
        return True
    # Pydantic sets private attributes in a model_post_init, of which the app's may be a part.
    if model.__pydantic_post_init__ or model.__private_attributes__:
        return True
    own = (base for base in model.__mro__ if not base.__module__.startswith("pydantic."))
    if any("__init__" in vars(base) for base in own if base is not object):
        return True
    return any(
        _has_validator((*field.metadata, field.annotation)) for field in model.model_fields.values()
    )


def _has_validator(annotations: tuple[Any, ...]) -> bool:
    """Return True if an ``Annotated`` names a function that validates, at any depth."""
    return any(
        type(annotation).__module__ == "pydantic.functional_validators"
        or _has_validator(get_args(annotation))
        or _has_validator(getattr(annotation, "__metadata__", ()))
        for annotation in annotations
    )
