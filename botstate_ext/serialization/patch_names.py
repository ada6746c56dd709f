"""Check the names in a patch of a typed value against the classes of the value. Pure."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

from ..errors import StateDecodeError, StateEncodeError
from .constructors import is_pydantic
from .jsonpickle.tags import shown


def check_patch(value: Any, patch: Any, *, tagged: bool, path: str = "$") -> None:
    """Check that the classes of a patched value know each name of the patch.

    ``tagged``: the value was read from tags. The names of the patch are names of attributes then,
    and this function validates the new members, since pydantic has not.

    :raises StateEncodeError: a name is not known. The message has its path.
    :raises StateDecodeError: pydantic refused a member.
    """
    if isinstance(patch, list) and isinstance(value, (list, tuple)):
        for index, (item, part) in enumerate(zip(value, patch, strict=False)):
            check_patch(item, part, tagged=tagged, path=f"{path}[{index}]")
    if not isinstance(patch, dict):
        return
    cls: Any = type(value)
    known = None if isinstance(value, dict) else _known_names(cls, tagged)
    for name, part in patch.items():
        step = f"{path}.{name}"
        if not _is_known(value, name, part, known):
            raise StateEncodeError(f"{step}: the property's type does not know {shown(name)}")
        attribute: str = known[name] if known and name in known else name
        member = _item(value, name) if isinstance(value, dict) else getattr(value, attribute, None)
        check_patch(member, part, tagged=tagged, path=step)
        if tagged and part is not None and is_pydantic(cls):
            _validate(value, attribute, step)


def _is_known(value: Any, name: str, part: Any, known: dict[str, str] | None) -> bool:
    if isinstance(value, dict):
        # Reading a TypedDict drops what it does not name.
        return part is None or _item(value, name) is not None
    if known is None:
        return True
    return name in known or name in (getattr(value, "__pydantic_extra__", None) or ())


def _item(value: dict[Any, Any], name: str) -> Any:
    return value[name] if name in value else {str(key): m for key, m in value.items()}.get(name)


@lru_cache(maxsize=1024)
def _known_names(cls: Any, tagged: bool) -> dict[str, str] | None:
    """Return the names under which fields of a class are read, each with its attribute; None for a
    class without declared fields."""
    if hasattr(cls, "__struct_fields__"):
        names = cls.__struct_fields__ if tagged else cls.__struct_encode_fields__
        return dict(zip(names, cls.__struct_fields__, strict=True))
    if is_pydantic(cls):
        by_name = tagged or cls.model_config.get("populate_by_name")
        return {
            name: attribute
            for attribute, field in cls.model_fields.items()
            for name in ({attribute} if tagged else _aliases(attribute, field, by_name))
        }
    if dataclasses.is_dataclass(cls):
        return {field.name: field.name for field in dataclasses.fields(cls)}
    if hasattr(cls, "__attrs_attrs__"):
        return {field.name: field.name for field in cls.__attrs_attrs__}
    return None


def _aliases(attribute: str, field: Any, by_name: Any) -> set[str]:
    alias = field.validation_alias or field.alias
    names = {name for name in (alias, *getattr(alias, "choices", ())) if isinstance(name, str)}
    return names | {attribute} if by_name or not alias else names


def _validate(model: Any, attribute: str, path: str) -> None:
    """Validate one attribute of a pydantic model, and set it to the validated value."""
    cls: Any = type(model)
    if attribute not in cls.model_fields:
        return
    copy = cls.model_construct(**model.__dict__)
    try:
        cls.__pydantic_validator__.validate_assignment(copy, attribute, getattr(model, attribute))
    except ValueError as error:
        kinds = {problem["type"] for problem in error.errors(include_input=False)}  # type: ignore[attr-defined]
    else:
        model.__dict__[attribute] = copy.__dict__[attribute]
        return
    if kinds <= {"frozen_field", "frozen_instance"}:
        return
    # Outside of the handler: what led to it shows the value, so nothing is chained.
    raise StateDecodeError(f"{path}: pydantic refused it: {', '.join(sorted(kinds))}")
