"""The next revision of a document: what is stored now with one unit of work's changes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .document import Changes, Document
from .errors import StateEncodeError
from .merge import OnConflict, Unmergeable, differ
from .metadata import (
    FORMAT,
    RESERVED,
    UPSTREAM_ETAG,
    WRITES_KEPT,
    Metadata,
    PropertyTimes,
    render_document,
    storage_metadata,
)


class ConflictingProperties(Exception):
    """Properties that both sides changed, and that no rule merges."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


@dataclass(frozen=True, slots=True)
class Revision:
    """What to write: ``text`` as the body, ``beside`` as the storage's own metadata."""

    stored: dict[str, bytes]
    metadata: Metadata
    text: bytes
    beside: dict[str, str]


def merged(document: Document, changes: Changes, on_conflict: OnConflict) -> dict[str, bytes]:
    """The texts to store: those stored now, with these changes.

    :raises ConflictingProperties: both sides changed a property, and its ``merge`` is missing or
        gave up.
    """
    result = dict(document.stored)
    conflicting = []
    for name, mine in changes.items():
        try:
            text = _merge_one(document, name, mine, result.get(name), on_conflict)
        except Unmergeable:
            conflicting.append(name)
            continue
        if text is None:
            result.pop(name, None)
        else:
            result[name] = text
    if conflicting:
        raise ConflictingProperties(conflicting)
    return result


def revise(
    document: Document, stored: dict[str, bytes], changes: Changes, write_id: str, now: datetime
) -> Revision:
    """These texts as a document that says when it was written, and by which write.

    :raises StateEncodeError: a property has a name that is not a property's.
    """
    for name in (RESERVED, UPSTREAM_ETAG):
        if name in stored:
            raise StateEncodeError(
                "this name is reserved: choose another",
                scope=document.scope,
                key=document.key,
                property_name=name,
            )
    before = document.metadata
    metadata = Metadata(
        v=FORMAT,
        created=before.created or now,
        updated=now,
        props={name: _times(document, name, name in changes, now) for name in stored},
        writes=[*before.writes, write_id][-WRITES_KEPT:],
        tags=before.tags,
    )
    text = render_document(stored, metadata)
    return Revision(stored, metadata, text, storage_metadata(stored, metadata))


def _merge_one(
    document: Document,
    name: str,
    mine: bytes | None,
    theirs: bytes | None,
    on_conflict: OnConflict,
) -> bytes | None:
    base = document.base(name)
    if on_conflict == "last_writer_wins" or not differ(base, theirs):
        return mine
    policy = document.policy(name)
    # A rule is asked even when both sides say the same: two who add one to a counter mean two.
    if policy.merge is None and not differ(mine, theirs):
        return theirs
    return policy.merged(base, mine, theirs)


def _times(document: Document, name: str, is_written: bool, now: datetime) -> PropertyTimes:
    before = document.metadata.props.get(name) or PropertyTimes()
    lifetime = document.lifetime(name)
    if is_written:
        expires = None if lifetime is None else now + lifetime
        return PropertyTimes(before.created or now, now, expires, before.version)
    if document.renews(name) and lifetime is not None:
        return PropertyTimes(before.created, before.updated, now + lifetime, before.version)
    return before
