"""The next revision of a document: the stored texts with the changes of a unit of work. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from ..clock import end_of
from ..errors import StateDecodeError, StateEncodeError
from . import document_tags
from .document import Document
from .limits import (
    PropertyLocation,
    check_document,
    check_property,
    warn_of_document,
    warn_of_property,
)
from .merge import OnConflict, Unmergeable, differ
from .metadata import FORMAT, HANDLED_KEPT, WRITES_KEPT, Metadata, render_document, storage_metadata
from .ownership import owner_after
from .pending_expiry import Expiring
from .pending_writes import Changes
from .reference import Reference, no_reference


class ConflictingProperties(Exception):
    """Properties that both sides changed, and that no rule merges."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


class Revision(Struct, frozen=True):
    """Holds the next content of a document.

    - ``stored``, ``metadata``: its properties and its ``$state``.
    - ``text``: both, as the body of the item.
    - ``item_metadata``: the item's metadata in the storage.
    - ``removes``: nothing of the document is left, so the item is to be removed.
    """

    stored: dict[str, bytes]
    metadata: Metadata
    text: bytes
    item_metadata: dict[str, str]
    removes: bool


def merge_changes(
    document: Document, changes: Changes, on_conflict: OnConflict
) -> dict[str, bytes]:
    """Return the texts to store: the stored ones, merged with these changes.

    :raises ConflictingProperties: both sides changed a property, and its ``merge`` is missing or
        gave up.
    :raises StateDecodeError, StateEncodeError: a merge function met a value that is none.
    """
    result = dict(document.stored)
    conflicting = []
    for name, mine in document.without_yielding(changes).items():
        try:
            text = _merge_one(document, name, mine, on_conflict)
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


def apply_changes(document: Document, changes: Changes) -> dict[str, bytes]:
    """Return the stored texts with these changes."""
    texts = dict(document.stored)
    for name, text in changes.items():
        if text is None:
            texts.pop(name, None)
        else:
            texts[name] = text
    return texts


def check_limits(document: Document, stored: Mapping[str, bytes], changes: Changes) -> None:
    """Check the texts that are to be stored, some of which are changes.

    :raises StateTooLargeError: a property or the document is over a limit, and has grown.
    """
    if not document.policies.has_limits:
        return
    limits, before = document.policies.limits, document.stored
    for name in changes:
        text, max_bytes = stored.get(name), document.codecs.policy(name).max_bytes
        if text is not None and (max_bytes is not None or limits.max_depth is not None):
            location = PropertyLocation(document.scope, document.key, name)
            check_property(before.get(name), text, max_bytes, limits.max_depth, location)
    if limits.max_bytes is not None:
        location = PropertyLocation(document.scope, document.key)
        check_document(before, stored, limits.max_bytes, location)


def warn_of_limits(before: Mapping[str, bytes], document: Document, changes: Changes) -> None:
    """Log a warning if a written text has come close to its limit. ``before``: the texts that
    were stored before."""
    if not document.policies.has_limits:
        return
    for name, text in changes.items():
        limit = document.codecs.policy(name).max_bytes
        if text is not None and limit is not None:
            location = PropertyLocation(document.scope, document.key, name)
            warn_of_property(before.get(name), text, limit, location)
    limit = document.policies.limits.max_bytes
    if limit is not None:
        location = PropertyLocation(document.scope, document.key)
        warn_of_document(before, document.stored, limit, location)


def build_revision(
    document: Document,
    stored: dict[str, bytes],
    changes: Changes,
    write_id: str,
    now: datetime,
    *,
    reference: Reference = no_reference,
    expiring: list[Expiring] | None = None,
    disposes: bool = False,
) -> Revision:
    """Return the document with these texts, the time of this write, and its id.

    Expired properties are left out; those with a handler wait for it in ``$state``.

    ``reference``: returns the conversation of this write. ``expiring``: the entries that wait for
    their handlers; None: those of the document. ``disposes``: remove a document of which nothing is
    left even if nothing of it has expired.

    :raises StateTooLargeError: a change takes the document, or a property, over its limit.
    """
    if document.policies.has_limits:
        check_limits(document, stored, changes)
    before, lifetimes = document.metadata, document.lifetimes
    written = document.without_yielding(changes)
    start = now if before.updated is None else max(now, before.updated)
    if expiring is None:
        expiring = before.expiring
        if lifetimes.expired:
            expiring = [*expiring, *lifetimes.newly_expiring(now)]
    metadata = Metadata(
        v=FORMAT,
        scope=document.scope,
        owner=dict(owner_after(before.owner, document.owner())),
        created=before.created or start,
        updated=start if written or document.tag_changes else before.updated or start,
        props=lifetimes.times(stored, before, start, written, reference),
        writes=[*before.writes, write_id][-WRITES_KEPT:],
        tags=_tags(document) if document.tag_changes else before.tags,
        expiring=expiring,
        handled=_handled(document, start) if before.handled or document.marks else {},
    )
    text = render_document(stored, metadata)
    is_empty = not stored and not expiring and not metadata.handled
    removes = is_empty and (disposes or bool(lifetimes.expired))
    return Revision(stored, metadata, text, storage_metadata(stored, metadata), removes)


def _merge_one(
    document: Document,
    name: str,
    mine: bytes | None,
    on_conflict: OnConflict,
) -> bytes | None:
    base, theirs = document.base_and_stored(name)
    if base is theirs or on_conflict == "last_writer_wins" or not differ(base, theirs):
        return mine
    if theirs is None and document.expired_since_loaded(name):
        return mine  # nobody changed it: its time was over, and this is a new value
    policy = document.codecs.policy(name)
    # A merge rule runs even if both sides wrote equal values: two who add one mean two.
    if policy.merge is None and not differ(mine, theirs):
        return theirs
    try:
        return policy.merged(base, mine, theirs)
    except (StateDecodeError, StateEncodeError) as error:
        problem = error.located(scope=document.scope, key=document.key, property_name=name)
    # Outside of the handler: the cause may show values, so nothing is chained.
    raise problem


def _tags(document: Document) -> dict[str, str]:
    # Only a change is held to the limits: tags over them that another program stored would
    # otherwise fail every save.
    tags = document_tags.applied(document.metadata.tags, document.tag_changes)
    return document_tags.within_limits(tags)


def _handled(document: Document, now: datetime) -> dict[str, datetime]:
    """Return the marks that still count, with the new ones; the oldest go if there are too many."""
    handled = document.metadata.handled_at(now)
    for mark, keep in document.marks.items():
        handled[mark] = end_of(now, keep).replace(microsecond=0)  # short, and precise enough
    return dict(list(handled.items())[-HANDLED_KEPT:])
