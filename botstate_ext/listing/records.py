"""DocumentRecord: what a listing tells of a document. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..documents import document_tags, metadata
from ..documents.ownership import PARTS
from ..keys.build import id_of_key, unescape
from ..keys.parse import USERS, private_readings, read_key, reads_two_ways
from ..storage.base import ItemInfo


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A stored document, as a listing tells of it.

    - ``scope``: the name of its scope. ``key``: its key in the storage.
    - ``id``: what ``.at`` takes; in the user and private scopes the user's id, in the conversation
      scope the conversation's. None where that is not known, as for an id so long that the key
      holds its hash.
    - ``channel_id``, ``user_id``, ``conversation_id``: whose it is, as far as its scope says so and
      it is known.
    - ``created``, ``updated``, ``expires``: aware UTC. ``created`` is None where upstream wrote it;
      ``expires`` is when its last property ends, and None if one does not end.
    - ``tags``: see ``set_tags``. ``size``: in bytes.
    - ``data``: the properties as plain JSON, where bodies were asked for; else None. Not shown.
    """

    scope: str
    key: str
    id: str | None
    channel_id: str | None
    user_id: str | None
    conversation_id: str | None
    created: datetime | None
    updated: datetime
    expires: datetime | None
    tags: Mapping[str, str]
    size: int
    data: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """A page of a listing. ``continuation_token`` is None when nothing is left."""

    items: tuple[DocumentRecord, ...]
    continuation_token: str | None = None


def scope_of(info: ItemInfo, namespace: str) -> str | None:
    """The scope that wrote an item under a key of upstream's; where it does not say, as the key
    reads. None: it is no document, as far as is known."""
    said = info.metadata.get(metadata.SCOPE)
    if said is not None:
        return said
    reading = read_key(info.key)
    if reading is None:
        return None
    if reading.folder == USERS:
        return "user"
    if private_readings(reading.rest, None):
        return "private" if private_readings(reading.rest, namespace) else None
    return "conversation"


def record_of(info: ItemInfo, scope: str, namespace: str) -> DocumentRecord:
    """What an item's metadata tells, or failing that its key."""
    channel, user, conversation = _whose(info, scope, namespace)
    return DocumentRecord(
        scope=scope,
        key=info.key,
        id=id_of_key(info.key) or user or conversation,
        channel_id=channel,
        user_id=user,
        conversation_id=conversation,
        created=_time(info, metadata.CREATED),
        updated=_time(info, metadata.UPDATED) or info.updated,
        expires=_time(info, metadata.EXPIRES),
        tags=document_tags.unpacked(info.metadata.get(metadata.TAGS, "")),
        size=info.size,
    )


def _whose(info: ItemInfo, scope: str, namespace: str) -> tuple[str | None, ...]:
    """The ids of channel, user and conversation."""
    if "statechannel" in info.metadata:
        return tuple(unescape(info.metadata.get(f"state{part}", "")) or None for part in PARTS)
    reading = read_key(info.key)
    if reading is None:
        return None, None, None
    if reading.folder == USERS:
        return reading.channel, reading.rest, None
    if scope == "conversation":
        return reading.channel, None, reading.rest
    readings = private_readings(reading.rest, namespace)
    if len(readings) != 1 or reads_two_ways(reading.rest):
        return reading.channel, None, None
    return reading.channel, readings[0].user, readings[0].conversation


def _time(info: ItemInfo, name: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(info.metadata[name])
    except (KeyError, ValueError):  # none of ours
        return None
    return None if time.utcoffset() is None else time
