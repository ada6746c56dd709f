"""The next revision of a document: what is stored now with one unit of work's changes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..clock import end_of
from ..errors import StateDecodeError, StateEncodeError
from . import document_tags
from .document import Document
from .limits import (
    PropertyLocation,
    check_depth,
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


class ConflictingProperties(Exception):
    """Properties that both sides changed, and that no rule merges."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


@dataclass(frozen=True, slots=True)
class Revision:
    """The next content of a document.

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
    """The texts to store: those stored now, with these changes.

    :raises ConflictingProperties: both sides changed a property, and its ``merge`` is missing or
        gave up.
    :raises StateDecodeError, StateEncodeError: the same of one that a function merges.
    """
    result = dict(document.stored)
    conflicting = []
    for name, mine in changes.items():
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
    """The texts that were loaded, with these changes."""
    texts = {**document.stored, **changes}
    return {name: text for name, text in texts.items() if text is not None}


def check_limits(document: Document, stored: Mapping[str, bytes], changes: Changes) -> None:
    """:raises StateTooLargeError: these texts, of which some are changes, are over a limit."""
    limits, location = document.policies.limits, PropertyLocation(document.scope, document.key)
    for name in changes:
        text = stored.get(name)
        if text is not None:
            before, where = document.stored.get(name), location._replace(property_name=name)
            check_property(before, text, document.policy(name).max_bytes, where)
            check_depth(before, text, limits.max_depth, where)
    check_document(document.stored, stored, limits.max_bytes, location)


def warn_of_limits(before: Mapping[str, bytes], document: Document, changes: Changes) -> None:
    """Log a warning when what was written has come close to a limit. ``before``: the texts that
    were stored before."""
    location = PropertyLocation(document.scope, document.key)
    for name, text in changes.items():
        if text is not None:
            limit, where = document.policy(name).max_bytes, location._replace(property_name=name)
            warn_of_property(before.get(name), text, limit, where)
    warn_of_document(before, document.stored, document.policies.limits.max_bytes, location)


def build_revision(
    document: Document,
    stored: dict[str, bytes],
    changes: Changes,
    write_id: str,
    now: datetime,
    *,
    reference: dict[str, Any] | None = None,
    expiring: list[Expiring] | None = None,
    disposes: bool = False,
) -> Revision:
    """These texts as a document that says when it was written, and by which write.

    What has expired is left out; what has a handler waits for it in ``$state``. ``reference``: the
    conversation of this write. ``expiring``: what is to wait instead. ``disposes``: a document of
    which nothing is left is removed even if nothing of it has expired.

    :raises StateTooLargeError: a change takes the document, or a property, over its limit.
    """
    check_limits(document, stored, changes)
    before, lifetimes = document.metadata, document.lifetimes
    written = {name for name, text in changes.items() if not document.yields(name, text)}
    start = now if before.updated is None else max(now, before.updated)
    if expiring is None:
        expiring = [*before.expiring, *lifetimes.newly_expiring(now)]
    metadata = Metadata(
        v=FORMAT,
        scope=document.scope,
        owner=dict(owner_after(before.owner, document.owner())),
        created=before.created or start,
        updated=start if written or document.tag_changes else before.updated or start,
        props={
            name: lifetimes.times(
                name, before, start, is_written=name in written, reference=reference
            )
            for name in stored
        },
        writes=[*before.writes, write_id][-WRITES_KEPT:],
        tags=_tags(document),
        expiring=expiring,
        handled=_handled(document, start),
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
    if document.yields(name, mine):
        return document.stored[name]
    base, theirs = document.base_and_stored(name)
    if on_conflict == "last_writer_wins" or not differ(base, theirs):
        return mine
    if theirs is None and document.expired_since_loaded(name):
        return mine  # nobody changed it: its time was over, and this is a new value
    policy = document.policy(name)
    # A rule is asked even when both sides say the same: two who add one to a counter mean two.
    if policy.merge is None and not differ(mine, theirs):
        return theirs
    try:
        return policy.merged(base, mine, theirs)
    except (StateDecodeError, StateEncodeError) as error:
        problem = error.located(scope=document.scope, key=document.key, property_name=name)
    # Outside of the handler: what led to it may show values, so nothing is chained.
    raise problem


def _tags(document: Document) -> dict[str, str]:
    """Return the next tags. Only a change is held to the limits: tags over them that another
    program stored would otherwise fail every save."""
    before = document.metadata.tags
    if not document.tag_changes:
        return before
    return document_tags.within_limits(document_tags.applied(before, document.tag_changes))


def _handled(document: Document, now: datetime) -> dict[str, datetime]:
    """The marks that still count, with the new ones; the oldest go when they are too many."""
    handled = document.metadata.handled_at(now)
    for mark, keep in document.marks.items():
        handled[mark] = end_of(now, keep).replace(microsecond=0)  # short, and precise enough
    return dict(list(handled.items())[-HANDLED_KEPT:])
