"""``$state``: what a document says about itself, and the text of a whole document. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from . import jsontext, legacy
from .errors import StateDecodeError
from .expiry import is_expired

RESERVED: Final = "$state"
"""The one entry of a document that is not a property. Always the last."""

UPSTREAM_ETAG: Final = "e_tag"
"""What upstream's adapters leave in a body. Dropped when read, never written."""

EXPIRES_AT: Final = "agentsstorageexpiresat"
"""Blob metadata: when the whole document ends. The successor SDK's proposal uses this name, for
items that end as a whole; so it is set only when every property of the document ends."""

NEXT_EXPIRY: Final = "statenextexpiry"
"""Blob metadata: when the first property of the document ends."""

FORMAT: Final = 1
WRITES_KEPT: Final = 16


class PropertyTimes(msgspec.Struct, omit_defaults=True):
    """When a property was created and last written, when it ends, and its declared version."""

    created: datetime | None = None
    updated: datetime | None = None
    expires: datetime | None = None
    version: int = 1


class Metadata(msgspec.Struct, omit_defaults=True):
    """The content of ``$state``. ``writes``: the ids of the last writes, the newest last."""

    v: int = 0  # written always, because it is never 0
    created: datetime | None = None
    updated: datetime | None = None
    props: dict[str, PropertyTimes] = {}
    writes: list[str] = []
    tags: dict[str, str] = {}

    def expired(self, now: datetime) -> list[str]:
        """The names of the properties that have ended."""
        return [name for name, entry in self.props.items() if is_expired(entry.expires, now)]


NO_METADATA: Final = Metadata()
"""Of a document that upstream wrote, or that is not there. It is never changed."""

_decoder: Final = msgspec.json.Decoder(Metadata)
_encoder: Final = msgspec.json.Encoder()


class Parsed(NamedTuple):
    """A stored text, split. ``is_ours``: its last writer was this package, not upstream's."""

    stored: dict[str, bytes]
    metadata: Metadata
    is_ours: bool


def parse_document(text: bytes) -> Parsed:
    """The text of each property, and the metadata (empty for a document that upstream wrote).

    References (``py/id``), which count over the whole document, are expanded.

    :raises StateDecodeError: this is not a document, or one of a newer format.
    """
    if legacy.has_references(text):
        document = legacy.expand_references(jsontext.loads(text))
        stored = {name: jsontext.dumps(value) for name, value in document.items()}
    else:
        stored = jsontext.split(text)
    stored.pop(UPSTREAM_ETAG, None)
    raw = stored.pop(RESERVED, None)
    if raw is None:
        return Parsed(stored, NO_METADATA, is_ours=False)
    metadata = _parse_metadata(raw)
    # Upstream keeps our entry, but writes all of a document in its own way, with spaces.
    return Parsed(stored, metadata, is_ours=raw == _encoder.encode(metadata))


def render_document(stored: Mapping[str, bytes], metadata: Metadata) -> bytes:
    """The text of a whole document."""
    return jsontext.join({**stored, RESERVED: _encoder.encode(metadata)})


def storage_metadata(stored: Mapping[str, bytes], metadata: Metadata) -> dict[str, str]:
    """What a sweep needs to know without reading the body."""
    ends = [entry.expires for entry in metadata.props.values() if entry.expires is not None]
    if not ends:
        return {}
    entries = {NEXT_EXPIRY: min(ends).isoformat()}
    if all(name in metadata.props and metadata.props[name].expires for name in stored):
        entries[EXPIRES_AT] = max(ends).isoformat()
    return entries


def _parse_metadata(raw: bytes) -> Metadata:
    try:
        metadata = _decoder.decode(raw)
    except jsontext.DecodingFailure as error:
        raise StateDecodeError(
            f"its {RESERVED} entry is damaged: {jsontext.reason(error)}"
        ) from None
    if metadata.v > FORMAT:
        raise StateDecodeError(
            f"it was written by a newer botstate_ext (format {metadata.v}; this one reads up to "
            f"{FORMAT}): upgrade this instance"
        )
    return metadata
