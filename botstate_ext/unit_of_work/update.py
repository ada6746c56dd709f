"""Atomic read-modify-write of one property."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from ..documents.document import ABSENT, Document
from ..documents.policy import PropertyPolicy
from ..documents.revision import apply_changes
from ..storage.waiting import maybe_await
from .write_loop import Plan, conflict, write_until_stored

if TYPE_CHECKING:
    from .work import UnitOfWork

MAX_ATTEMPTS: Final = 100
MAX_SECONDS: Final = 60.0

_IMMUTABLE_MODULES: Final = frozenset({"builtins", "datetime", "decimal", "uuid", "fractions"})
_IMMUTABLE: Final = (str, bytes, int, float, complex, tuple, frozenset, Enum)


async def update(
    work: UnitOfWork,
    document: Document,
    name: str,
    change: Callable[[Any], Any],
    make_default: Callable[[], Any],
    policy: PropertyPolicy,
) -> Any:
    """Return the new value, which is stored. See `StateProperty.update` for what it promises.

    The document's other properties, and what the bot changed in them, stay as they are.
    """
    async with work.writing(document):  # a save that is on its way may be storing them
        if document.has_changed(name):
            raise conflict(
                document, (name,), 0, "this turn has unsaved changes to it: save them first."
            )
    document.was_read = True  # the turn depends on it, also if `change` raises
    # A document of its own: another task of the turn may renew the shared one meanwhile.
    fresh = held = document.unloaded_copy()

    async def decide(_: Document, attempt: int) -> Plan | None:
        fresh.forget(name)
        value = await _changed(fresh, name, change, make_default, policy)
        fresh.set(name, value, policy, is_change=True)
        changes = fresh.changes()
        return Plan(apply_changes(fresh, changes), changes) if changes else None

    def finish() -> None:
        nonlocal held
        held = document if document.adopt(fresh, name) else fresh

    await write_until_stored(
        work, {fresh: decide}, attempts=MAX_ATTEMPTS, seconds=MAX_SECONDS, finish=finish
    )
    return held.get(name, policy)


async def _changed(
    fresh: Document,
    name: str,
    change: Callable[[Any], Any],
    make_default: Callable[[], Any],
    policy: PropertyPolicy,
) -> Any:
    value = fresh.get(name, policy)
    if value is ABSENT:
        value = await maybe_await(make_default())
    result = await maybe_await(change(value))
    if result is not None:
        return result
    if _can_change_in_place(value):
        return value
    raise TypeError(
        f"The function given to update() returned None for {name!r}, and the value it was given, "
        f"{type(value).__name__}, cannot be changed in place: return the new value."
    )


def _can_change_in_place(value: object) -> bool:
    if isinstance(value, (dict, list, set, bytearray)):
        return True
    cls = type(value)
    if cls.__module__ in _IMMUTABLE_MODULES or isinstance(value, _IMMUTABLE):
        return False
    # What dataclasses, msgspec, attrs and pydantic say of a class.
    for place in ("__dataclass_params__", "__struct_config__", "__attrs_props__"):
        said = getattr(cls, place, None)
        if said is not None:
            return not getattr(said, "frozen", getattr(said, "is_frozen", False))
    config = getattr(cls, "model_config", None)
    return not (isinstance(config, dict) and config.get("frozen"))
