"""Change a value in its stored form, by plain JSON from outside. Pure.

What did not change stays as it is stored, with the tags that it has: a date stays a date, a set a
set. What is new is plain JSON, and can bring no tags in.
"""

from __future__ import annotations

from typing import Any

from ..errors import StateEncodeError
from . import json_text, jsonpickle
from .jsonpickle.standard import REBUILD
from .jsonpickle.tags import (
    PREFIX,
    REDUCE,
    SEQ,
    SET,
    TUPLE,
    TYPE,
    shown,
)

_ROOT = "$"


def with_changes(stored: Any, after: Any, path: str = _ROOT) -> Any:
    """Return the stored form of a value, changed so that its plain JSON is ``after``.

    :raises StateEncodeError: a name that is new begins with a tag of jsonpickle.
    :raises StateDecodeError: the stored value has a shape that jsonpickle does not write.
    """
    before = jsonpickle.to_plain(stored)
    if json_text.canonical(before) == json_text.canonical(after):
        return stored
    if isinstance(before, dict) and isinstance(after, dict):
        pairs = _pairs(stored)
        if pairs is not None:
            return _pairs_changed(pairs, after, path)
        if _holders(stored):
            return _object_changed(json_text.loads(json_text.dumps(stored)), before, after, path)
    if isinstance(before, list) and isinstance(after, list):
        tag = _tag_of_items(stored)
        if tag is not None:
            return {**stored, tag: _items_changed(stored[tag], after, path)}
        if isinstance(stored, list):
            return _items_changed(stored, after, path)
    refuse_tags(after, path)
    return after


def refuse_tags(value: Any, path: str = _ROOT) -> None:
    """Refuse plain JSON from outside in which a name begins with a tag of jsonpickle.

    :raises StateEncodeError: one does. The message has its path.
    """
    if isinstance(value, dict):
        for name, member in value.items():
            _check_name(str(name), path)
            refuse_tags(member, f"{path}.{name}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            refuse_tags(item, f"{path}[{index}]")


def _check_name(name: str, path: str, *, in_object: bool = False) -> None:
    if name.startswith(PREFIX):
        raise StateEncodeError(
            f"{path}: the name {shown(name)} begins with {PREFIX!r}, which would make its data "
            "look like an object. Rename it"
        )
    if in_object and name[:2] == "__":
        raise StateEncodeError(f"{path}: {shown(name)} is no attribute that can be changed")


def _object_changed(copy: Any, before: dict[str, Any], after: dict[str, Any], path: str) -> Any:
    """Change the members of an object in a copy of its stored form. Return the copy."""
    holders = _holders(copy)
    is_tagged = any(name.startswith(PREFIX) for name in copy)
    for name in before.keys() - after.keys():
        for holder in holders:
            holder.pop(name, None)
    for name, member in after.items():
        step = f"{path}.{name}"
        if name in before:
            holder = next(holder for holder in holders if name in holder)
            holder[name] = with_changes(holder[name], member, step)
            continue
        _check_name(name, path, in_object=is_tagged)
        refuse_tags(member, step)
        holders[0][name] = member
    return copy


def _holders(stored: Any) -> list[dict[str, Any]]:
    """Return the dictionaries that hold the members of a stored object; none if it is no object."""
    match stored:
        case {"py/reduce": [{"py/function": function}, {"py/tuple": [_, dict() as fields]}]}:
            return [fields] if function == REBUILD else []
        case {
            "py/object": _,
            "py/state": {"__dict__": dict() as own, "__pydantic_fields_set__": _},
        }:
            return [own]
        case {"py/object": _, "py/state": dict() as state}:
            return [state]
        case {"py/state": {"py/tuple": [own, slots]} | [own, slots]}:
            return [part for part in (own, slots) if isinstance(part, dict)]
        case {"py/state": _} | {"py/reduce": _}:
            return []
        case dict():
            return [stored]
    return []


def _pairs(stored: Any) -> list[Any] | None:
    """Return the pairs of a dictionary with other keys than text; None for any other value."""
    match stored:
        case {
            "py/reduce": [{"py/type": "builtins.dict"}, _, None, None, {"py/tuple": list() as p}]
        }:
            return p
    return None


def _of_pairs(pairs: list[Any]) -> dict[str, Any]:
    return {REDUCE: [{TYPE: "builtins.dict"}, {TUPLE: []}, None, None, {TUPLE: pairs}]}


def _pairs_changed(pairs: list[Any], after: dict[str, Any], path: str) -> Any:
    kept, names = [], set()
    for pair in pairs:
        name = next(iter(jsonpickle.to_plain(_of_pairs([pair]))))
        if name in names:
            raise StateEncodeError(f"{path}: two keys in it are the same text in JSON")
        names.add(name)
        if name in after:
            key, member = pair[TUPLE]
            kept.append({TUPLE: [key, with_changes(member, after[name], f"{path}.{name}")]})
    for name in after.keys() - names:
        _check_name(name, path)
        refuse_tags(after[name], f"{path}.{name}")
        kept.append({TUPLE: [name, after[name]]})
    return _of_pairs(kept)


def _tag_of_items(stored: Any) -> str | None:
    if not isinstance(stored, dict):
        return None
    return next((tag for tag in (TUPLE, SET, SEQ) if isinstance(stored.get(tag), list)), None)


def _items_changed(stored: list[Any], after: list[Any], path: str) -> list[Any]:
    """Return the items with those kept that are still there, wherever they are now."""
    texts = [json_text.canonical(jsonpickle.to_plain(item)) for item in stored]
    places: dict[bytes, list[int]] = {}
    for index in reversed(range(len(texts))):
        places.setdefault(texts[index], []).append(index)
    changed: list[Any] = []
    for index, item in enumerate(after):
        same = places.get(json_text.canonical(item))
        if same:
            changed.append(stored[same.pop()])
        elif len(stored) == len(after):
            changed.append(with_changes(stored[index], item, f"{path}[{index}]"))
        else:
            refuse_tags(item, f"{path}[{index}]")
            changed.append(item)
    return changed
