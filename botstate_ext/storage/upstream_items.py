"""Items as upstream's storages hold them, live Python objects included, to bytes and back. Pure."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from jsonpickle.pickler import Pickler

from .. import jsontext
from ..errors import StateDecodeError, StateEncodeError


def to_bytes(key: str, item: Any, seen: bytes | None = None) -> bytes:
    """An item as JSON, without its ``e_tag``. What is not JSON gets jsonpickle's tags.

    ``seen`` is what this gave last time: it is returned, and most of the work saved, if the item
    still says the same.

    :raises StateDecodeError: it cannot be written as JSON.
    """
    if type(item) is dict and "e_tag" in item:
        item = {name: value for name, value in item.items() if name != "e_tag"}
    try:
        encoded = msgspec.json.encode(item)
    except (UnicodeEncodeError, TypeError, RecursionError):
        return _pickled(key, item)
    if encoded == seen:
        return seen
    # Walked only now: what msgspec could encode holds no cycle.
    return encoded if is_plain(item) else _pickled(key, item)


def to_item(key: str, data: bytes) -> dict[str, Any]:
    """The plain dictionary that these bytes say.

    :raises StateEncodeError: they are not a JSON object, which is all that upstream's items can be.
    """
    try:
        item = jsontext.loads(data)
    except StateDecodeError as error:
        raise StateEncodeError(error.reason, key=key) from error
    if not isinstance(item, dict):
        raise StateEncodeError("this storage holds JSON objects only", key=key)
    return item


def is_plain(item: Any) -> bool:
    """True when an item without cycles holds JSON builtins only: exactly those, since msgspec also
    writes dates, enums, tuples and dataclasses, and their types would be lost.
    """
    pending = [item]
    while pending:
        value = pending.pop()
        kind = type(value)
        if kind is dict:
            if not all(type(name) is str for name in value):
                return False
            pending.extend(value.values())
        elif kind is list:
            pending.extend(value)
        elif kind is float:
            if not math.isfinite(value):
                return False
        elif kind is not str and kind is not int and kind is not bool and value is not None:
            return False
    return True


def _pickled(key: str, item: Any) -> bytes:
    try:
        flat = Pickler().flatten(item)
        if isinstance(flat, dict):
            flat.pop("e_tag", None)
        return jsontext.dumps(flat)
    except StateEncodeError as error:
        raise StateDecodeError(error.reason, key=key) from error
    except Exception as error:  # whatever an object's own __getstate__ raises
        reason = f"it holds something that cannot be written as JSON ({type(error).__name__})"
        raise StateDecodeError(reason, key=key) from error
