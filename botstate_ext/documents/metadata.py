"""The metadata of a document, stored in it as ``$state``, and the text of a document. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple

import msgspec

from ..clock import Moment, as_utc, is_expired
from ..errors import StateDecodeError
from ..serialization import json_text, jsonpickle
from ..serialization.jsonpickle.tags import PREFIX
from . import document_tags
from .ownership import owner_entries
from .pending_expiry import Expiring, PropertyTimes

RESERVED: Final = "$state"
"""The one entry of a document that is not a property. Always the last."""

UPSTREAM_ETAG: Final = "e_tag"
"""An entry that upstream's adapters leave in a body. Dropped when read, never written."""

EXPIRES_AT: Final = "agentsstorageexpiresat"
"""Blob metadata: when the whole document ends. The successor SDK's proposal uses this name, for
items that end as a whole; so it is set only when every property of the document ends."""

NEXT_EXPIRY: Final = "statenextexpiry"
"""Blob metadata: when the first property of the document ends, or the next handler is due: a time
whose text sorts as times do; or `NEVER`. An item without it has another writer."""

SCOPE: Final = "statescope"
CREATED: Final = "statecreated"
UPDATED: Final = "stateupdated"
EXPIRES: Final = "stateexpires"
TAGS: Final = "statetags"
"""Blob metadata, for listings. ``stateexpires``: when the last property expires, if all do. The
owner is stored beside these, as ``statechannel``, ``stateuser`` and ``stateconversation``."""

NEVER: Final = "never"
"""Sorts after every time."""

FORMAT: Final = 1
WRITES_KEPT: Final = 16
HANDLED_KEPT: Final = 32


class Metadata(msgspec.Struct, omit_defaults=True, gc=False):
    """Holds the content of ``$state``.

    - ``v``: the format. ``scope``: the name of the scope that wrote it. ``owner``: see `Owner`.
    - ``props``: the times of each property. ``expiring``: expired values that wait for a handler.
    - ``writes``: the ids of the last writes, the newest last.
    - ``handled``: the marks of activities that were handled, and until when each counts.
    """

    v: int = 0  # written always, because it is never 0
    scope: str = ""
    owner: dict[str, str] = {}
    created: Moment | None = None
    updated: Moment | None = None
    props: dict[str, PropertyTimes] = {}
    writes: list[str] = []
    tags: dict[str, str] = {}
    expiring: list[Expiring] = []
    handled: dict[str, Moment] = {}

    def handled_at(self, now: datetime) -> dict[str, datetime]:
        """Return the marks of handled activities that still count."""
        return {m: until for m, until in self.handled.items() if not is_expired(until, now)}

    def next_expiry(self) -> datetime | None:
        """Return when a sweep has something to do here for the first time; None: never."""
        ends = []
        for entry in self.props.values():
            if entry.expires is not None:
                ends.append(entry.expires)  # noqa: PERF401 - in every save: no frame of its own
        if not self.props and self.handled:
            ends.append(max(self.handled.values()))  # marks alone are of no use once none counts
        if self.expiring:
            ends += [entry.due for entry in self.expiring]
        return min(ends, default=None)

    def last_expiry(self, names: Iterable[str]) -> datetime | None:
        """Return when the last of these properties expires, or without properties the last mark;
        None if one never expires, or there is nothing."""
        last: datetime | None = None
        for name in names:
            end = self.props[name].expires if name in self.props else None
            if end is None:
                return None
            last = end if last is None else max(last, end)
        return max(self.handled.values(), default=None) if last is None else last


NO_METADATA: Final = Metadata()
"""The metadata of a document that upstream wrote, or that is absent. Never changed."""

_decoder: Final = msgspec.json.Decoder(Metadata)
_encoder: Final = msgspec.json.Encoder()


class Parsed(NamedTuple):
    """Holds the parts of a stored text."""

    stored: dict[str, bytes]
    metadata: Metadata


def is_reserved(name: str) -> bool:
    """True for a name that no property can have: an entry of ours or of upstream's adapters, or a
    tag of jsonpickle's, which would make the whole document look like an object."""
    return name in (RESERVED, UPSTREAM_ETAG) or name.startswith(PREFIX)


def check_name(name: object) -> None:
    """:raises TypeError: the name of a property is not a string."""
    if not isinstance(name, str):
        raise TypeError(f"The name of a property is a string, not {type(name).__name__}.")


def parse_document(text: bytes) -> Parsed:
    """Return the text of each property, and the metadata (empty if upstream wrote the document).

    Expands references (``py/id``), which count over the whole document.

    :raises StateDecodeError: this is not a document, or one of a newer format.
    """
    if jsonpickle.has_references(text):
        document = jsonpickle.expand_references(json_text.loads(text))
        stored = {name: json_text.dumps(value) for name, value in document.items()}
    else:
        stored = json_text.split(text)
    stored.pop(UPSTREAM_ETAG, None)
    raw = stored.pop(RESERVED, None)
    return Parsed(stored, NO_METADATA if raw is None else _parse_metadata(raw))


def render_document(stored: Mapping[str, bytes], metadata: Metadata) -> bytes:
    """Return the text of a document."""
    return json_text.join({**stored, RESERVED: _encoded(metadata)})


def _encoded(metadata: Metadata) -> bytes:
    try:
        return _encoder.encode(metadata)
    except UnicodeEncodeError:  # a lone surrogate, which a channel can send
        entries = msgspec.to_builtins(msgspec.structs.replace(metadata, expiring=[]))
        if metadata.expiring:
            entries["expiring"] = [_plain(entry) for entry in metadata.expiring]
        return json_text.dumps(entries)


def _plain(entry: Expiring) -> dict[str, Any]:
    fields = msgspec.structs.asdict(entry)
    value = json_text.loads(bytes(fields.pop("value")))
    return {**msgspec.to_builtins(fields), "value": value}


def storage_metadata(stored: Mapping[str, bytes], metadata: Metadata) -> dict[str, str]:
    """Return the item's metadata, for sweeps, listings and erasures that do not read the body."""
    end = metadata.last_expiry(stored)
    next_expiry = metadata.next_expiry()
    entries = {NEXT_EXPIRY: NEVER if next_expiry is None else expiry_text(next_expiry)}
    if metadata.scope:
        entries[SCOPE] = metadata.scope
    entries |= owner_entries(metadata.owner)
    for name, time in ((CREATED, metadata.created), (UPDATED, metadata.updated), (EXPIRES, end)):
        if time is not None:
            entries[name] = expiry_text(time)
    tags = document_tags.trimmed(metadata.tags) if metadata.tags else None
    if tags:
        entries[TAGS] = document_tags.packed(tags)
    # Whoever removes the item at that time runs no handler, so what has one names no such time.
    if end is not None and not (
        metadata.expiring or any(times.handler for times in metadata.props.values())
    ):
        entries[EXPIRES_AT] = end.isoformat()
    return entries


def expiry_text(moment: datetime | None) -> str:
    """Return a time as `NEXT_EXPIRY` holds it: in UTC and of fixed length, so that texts sort as
    times do."""
    if moment is None:
        return NEVER
    return (moment if moment.tzinfo is timezone.utc else as_utc(moment)).isoformat(
        timespec="microseconds"
    )


def _decode_odd(raw: bytes) -> Metadata:
    """Return metadata that msgspec refuses to read: a value that waits for its handler holds NaN
    or a lone surrogate."""
    content = json_text.loads(raw)
    entries = content.get("expiring") if isinstance(content, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and "value" in entry:
            entry["value"] = msgspec.Raw(json_text.dumps(entry["value"]))
    return msgspec.convert(content, Metadata)


def _parse_metadata(raw: bytes) -> Metadata:
    try:
        try:
            metadata = _decoder.decode(raw)
        except json_text.DecodingFailure:
            metadata = _decode_odd(raw)
    except json_text.DecodingFailure as error:
        raise StateDecodeError(
            f"its {RESERVED} entry is damaged: {json_text.reason(error)}"
        ) from None
    if metadata.v > FORMAT:
        raise StateDecodeError(
            f"it was written by a newer botstate_ext (format {metadata.v}; this one reads up to "
            f"{FORMAT}): upgrade this instance"
        )
    return metadata
