"""DocumentRecord: the entry of a document in a listing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..documents import document_tags, metadata
from ..keys.parse import id_of_key
from ..storage.base import ItemInfo
from .attribution import Attribution


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """Describes a stored document, as an entry of a listing.

    - ``scope``: the name of its scope. ``key``: its key in the storage.
    - ``id``: the id that ``.at`` takes; in the user and private scopes the user's id, in the
      conversation scope the conversation's. None if it is not known: the id is so long that the
      key holds its hash, or the key can be read in several ways, or the metadata disagrees with it.
    - ``channel_id``, ``user_id``, ``conversation_id``: the owner, as far as the scope has one and
      it is known.
    - ``created``, ``updated``, ``expires``: aware UTC. ``created`` is None if the SDK wrote the
      document; ``expires`` is the end of its last property, None if one does not expire.
    - ``tags``: see ``set_tags``. ``size``: in bytes.
    - ``data``: the properties as plain JSON, if bodies were asked for; else None. Not in the repr.
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
    """Holds a page of a listing. ``continuation_token`` is None on the last page."""

    items: tuple[DocumentRecord, ...]
    continuation_token: str | None = None


def record_of(info: ItemInfo, attribution: Attribution, scope: str) -> DocumentRecord:
    """Return the record of an item of this scope, without its properties."""
    user, conversation = attribution.id("user"), attribution.id("conversation")
    return DocumentRecord(
        scope=scope,
        key=info.key,
        id=id_of_key(info.key) or user or conversation,
        channel_id=attribution.channel,
        user_id=user,
        conversation_id=conversation,
        created=_time(info, metadata.CREATED),
        updated=_time(info, metadata.UPDATED) or info.updated,
        expires=_time(info, metadata.EXPIRES),
        tags=document_tags.unpacked(info.metadata.get(metadata.TAGS, "")),
        size=info.size,
    )


def _time(info: ItemInfo, name: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(info.metadata[name])
    except (KeyError, ValueError):  # none of ours
        return None
    return None if time.utcoffset() is None else time
