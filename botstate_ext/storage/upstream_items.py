"""Converts items of upstream's storages, live Python objects included, to bytes and back. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..errors import StateDecodeError, StateEncodeError
from ..serialization import json_text

_HIDDEN: Final = "\x00tag:"


def to_bytes(key: str, item: Any) -> bytes:
    """Return an item as JSON without its ``e_tag``. Other Python types get jsonpickle's tags.

    :raises StateDecodeError: the item cannot be written as JSON.
    """
    if type(item) is dict and "e_tag" in item:
        item = {name: value for name, value in item.items() if name != "e_tag"}
    try:
        encoded = msgspec.json.encode(item)
    except (UnicodeEncodeError, TypeError, RecursionError):
        return _pickled(key, item)
    # Exactly JSON: msgspec also writes dates, enums, tuples and dataclasses, whose types would be
    # lost. Tags are JSON too.
    return encoded if json_text.is_plain(item, with_tags=True) else _pickled(key, item)


def to_item(key: str, data: bytes) -> dict[str, Any]:
    """Return the plain dictionary in these bytes.

    :raises StateEncodeError: they are not a JSON object. Upstream's items can be nothing else.
    """
    try:
        item = json_text.loads(data)
    except StateDecodeError as error:
        raise StateEncodeError(error.reason, key=key) from error
    if not isinstance(item, dict):
        raise StateEncodeError("this storage holds JSON objects only", key=key)
    return item


def fingerprint(item: Any) -> bytes | None:
    """Return bytes that change when a plain item changes. They cost less than its JSON.

    None for an item that holds more than JSON: only `to_bytes` can tell if it changed.
    """
    try:
        return msgspec.msgpack.encode(item)
    except (UnicodeEncodeError, TypeError, OverflowError, RecursionError):
        return None


def _pickled(key: str, item: Any) -> bytes:
    # The SDK brings it; without the SDK, only an item with live objects needs it.
    from jsonpickle.pickler import Pickler

    try:
        flat = _with_tags(Pickler().flatten(_without_tags(item, {})))
        if isinstance(flat, dict):
            flat.pop("e_tag", None)
        return json_text.dumps(flat)
    except StateEncodeError as error:
        raise StateDecodeError(error.reason, key=key) from error
    except Exception as error:  # whatever an object's own __getstate__ raises
        reason = f"it holds something that cannot be written as JSON ({type(error).__name__})"
        raise StateDecodeError(reason, key=key) from error


def _without_tags(value: Any, seen: dict[int, Any]) -> Any:
    """Return a copy with other names for the tags: the Pickler drops names that look like its own.

    The item has such tags because this package wrote them, beside later values of another writer.
    """
    if id(value) in seen:
        return seen[id(value)]
    if type(value) is dict:
        copy: dict[Any, Any] = {}
        seen[id(value)] = copy
        for name, inner in value.items():
            is_tag = type(name) is str and name.startswith("py/")
            copy[_HIDDEN + name if is_tag else name] = _without_tags(inner, seen)
        return copy
    if type(value) is list:
        items: list[Any] = []
        seen[id(value)] = items
        items.extend(_without_tags(inner, seen) for inner in value)
        return items
    return value


def _with_tags(flat: Any) -> Any:
    if isinstance(flat, dict):
        return {name.removeprefix(_HIDDEN): _with_tags(inner) for name, inner in flat.items()}
    if isinstance(flat, list):
        return [_with_tags(inner) for inner in flat]
    return flat
