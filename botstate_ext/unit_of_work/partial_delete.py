"""Delete a document without losing the values that could not be decoded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from ..documents.document import Document
from ..documents.quarantine import MARK, quarantined, quarantined_name
from ..documents.schema_versions import NewerVersionError
from ..errors import StateDecodeError
from .write_changes import MAX_ATTEMPTS
from .write_loop import Plan, write_until_stored

if TYPE_CHECKING:
    from .work import UnitOfWork

Undecodable: TypeAlias = Mapping[str, Mapping[str | None, str]]
"""The `Document.undecodable` of each document of a turn, by key."""

_log: Final = logging.getLogger("botstate_ext")


async def delete_decodable(work: UnitOfWork, document: Document) -> bool:
    """Remove everything from a document but the values in quarantine. If this turn could not decode
    something of the document, move the properties that cannot be decoded there, with a warning.

    Return False, and write nothing, if nothing is to be kept. The caller holds the document's lock.

    :raises StateDecodeError: the stored text is not a document, so that nothing can be removed.
    :raises StateConflictError: others were faster each time.
    :raises StateStorageError: the storage failed.
    """
    aside: dict[str, str] = {}

    def decide(found: Document, attempt: int) -> Plan | None:
        kept, aside_now = _split(found)
        aside.clear()
        aside.update(aside_now)
        if not kept:
            return None
        stored = found.stored
        removed = {name: None for name in stored if name not in kept}
        added = {name: text for name, text in kept.items() if name not in stored}
        return Plan(kept, {**removed, **added})

    try:
        is_kept = await write_until_stored(
            work, {document: decide}, attempts=MAX_ATTEMPTS, holds_lock=True
        )
    except StateDecodeError as error:
        reason = error.reason
    else:
        document.forget()
        _warn(document, aside)
        return is_kept
    raise StateDecodeError(
        f"{reason}; so it was not deleted. To delete it all the same, delete it in a unit of work "
        "that has not read it",
        scope=document.scope,
        key=document.key,
    )


def _split(document: Document) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the texts that a deletion keeps, and the new name of each property that it moves."""
    kept: dict[str, bytes] = {}
    aside: dict[str, str] = {}
    for name, text in document.stored.items():
        if MARK in name:
            kept[name] = text
            continue
        if not document.undecodable:
            continue
        version = document.stored_version(name)
        try:
            document.codecs.decode(name, text, version)
            reason = document.undecodable.get(name)
        except NewerVersionError:
            kept[name] = text  # newer code reads it where it is
            continue
        except StateDecodeError as error:
            reason = error.reason
        if reason is not None:
            moved = aside[name] = quarantined_name(name, text)
            codec = document.policies.of(moved).codec
            kept[moved] = codec.encode(quarantined(text, version, reason))
    return kept, aside


def _warn(document: Document, aside: Mapping[str, str]) -> None:
    for name, moved in aside.items():
        _log.warning(
            "A document was deleted in a turn that could not decode all of it. The property %r is "
            "kept as %r (scope %r, key %r).",
            name,
            moved,
            document.scope,
            document.key,
        )
