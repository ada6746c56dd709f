"""Items of Cosmos DB in the format of the SDK's ``CosmosDbPartitionedStorage``. Pure.

``{"id": escaped key, "realId": key, "document": {...}}``. Beside these an item has ``metadata`` and
``size``, which the SDK ignores, and drops when it writes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from hashlib import sha256
from typing import Any, Final

from ..errors import StateDecodeError, StateEncodeError, StateTooLargeError
from ..serialization import json_text
from .backend import frozen_metadata
from .base import ItemInfo, StoredItem

MAX_ITEM_BYTES: Final = 2 * 1024 * 1024
"""The size of the largest item that Cosmos DB takes."""

_MAX_ID_LENGTH: Final = 255  # of the driver that botbuilder-azure pins
_NOT_IN_IDS: Final = frozenset("\\?/#\t\n\r*")
_LARGEST_EXACT: Final = 2**53
_ETAG: Final = "e_tag"


def item_id(key: str, suffix: str = "") -> str:
    """Return the id of the item with this key, as the SDK makes it with this ``key_suffix``.

    The end of an id over 255 characters is replaced by a hash, as the SDK does in its
    ``compatibility_mode``; without that mode the SDK fails for such a key.
    """
    escaped = "".join(f"*{ord(char)}" if char in _NOT_IN_IDS else char for char in key) + suffix
    if escaped.endswith(" "):  # which the driver refuses
        escaped = f"{escaped[:-1]}*32"
    if len(escaped) <= _MAX_ID_LENGTH:
        return escaped
    digest = sha256(escaped.encode()).hexdigest()
    return escaped[: _MAX_ID_LENGTH - len(digest)] + digest


def to_item(key: str, id_: str, data: bytes, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the item that holds this JSON object.

    :raises StateEncodeError: it is no JSON object, or Cosmos DB would not give it back as it is.
    :raises StateTooLargeError: it is over 2 MB.
    """
    try:
        document = json_text.loads(data)
    except StateDecodeError:
        document = None
    if not isinstance(document, dict):
        raise StateEncodeError("Cosmos DB stores JSON objects only", key=key)
    document.pop(_ETAG, None)
    for name, value in document.items():
        problem = _problem(value)
        if problem is not None:
            raise StateEncodeError(problem, key=key, property_name=name)
    if len(data) > MAX_ITEM_BYTES:
        raise StateTooLargeError("The item", size=len(data), limit=MAX_ITEM_BYTES, key=key)
    return {
        "id": id_,
        "realId": key,
        "document": document,
        "metadata": dict(metadata or {}),
        "size": len(data),
    }


def to_stored(item: Mapping[str, Any]) -> StoredItem:
    """Return the stored item that ``item`` holds."""
    document = {name: value for name, value in item["document"].items() if name != _ETAG}
    return StoredItem(
        json_text.dumps(document), item["_etag"], frozen_metadata(item.get("metadata"))
    )


def to_info(row: Mapping[str, Any]) -> ItemInfo:
    """Return the listing's record of an item. If the SDK wrote the item, its size is 0: unknown."""
    return ItemInfo(
        row["realId"],
        row["_etag"],
        row.get("size") or 0,
        datetime.fromtimestamp(row["_ts"], timezone.utc),
        frozen_metadata(row.get("metadata")),
    )


def _problem(value: Any) -> str | None:
    """Say why Cosmos DB would not give a value back as it is; None if it would."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += (*each, *each.values())
        elif isinstance(each, list):
            waiting += each
        elif type(each) is int and abs(each) > _LARGEST_EXACT:
            return "a whole number over 2**53 would be rounded by Cosmos DB: store it as text"
        elif isinstance(each, float) and not math.isfinite(each):
            return "Cosmos DB has no NaN and no infinity: store them as text"
        elif isinstance(each, str) and not _is_unicode(each):
            return "half a character (a lone surrogate) is in it, which Cosmos DB does not store"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
