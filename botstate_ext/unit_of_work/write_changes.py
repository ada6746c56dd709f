"""How the changes of a turn are written: merged with what others wrote since it was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ..documents.document import Document
from ..documents.merge import differ
from ..documents.pending_writes import Changes
from ..documents.revision import ConflictingProperties, merge_changes
from ..errors import StateError
from .write_loop import Plan, confirm_pending_writes, conflict, write_until_stored

if TYPE_CHECKING:
    from .work import UnitOfWork

# By measurement: of 64 who write one document at once, all are through after 16 attempts.
MAX_ATTEMPTS: Final = 30


async def write_changes(
    work: UnitOfWork, changes: Mapping[Document, Changes], *, force: bool = False
) -> None:
    """Write the changes of each document, merged with what others wrote since it was read; those of
    several documents in one step, all or none.

    ``force`` writes each document even if nothing changed.

    :raises StateConflictError: they cannot be merged, or others were faster each time.
    :raises StateStorageError: the storage failed. With ``maybe_written`` the step may be stored.
        Of several documents, ``saved`` and ``not_saved`` of the error tell which were written.
    """
    decisions: dict[Document, _Decision] = {}
    for document, its in changes.items():
        decisions[document] = _Decision(work, its, force)
    async with work.writing(*decisions):
        try:
            for document, each in decisions.items():
                if document.has_pending_writes:
                    # Of an earlier save that failed: something else has read the document since.
                    confirm_pending_writes(work, document)
                    each.drop_stored(document)
            await write_until_stored(work, decisions, attempts=MAX_ATTEMPTS, holds_lock=True)
        except StateError as error:
            if len(decisions) > 1:
                error.saved = tuple(d.key for d, each in decisions.items() if each.is_done)
                error.not_saved = tuple(d.key for d, each in decisions.items() if not each.is_done)
            raise


class _Decision:
    """Decides how to write one document: the `Decide` of one save.

    - ``is_done``: True once nothing is left to write.
    """

    def __init__(self, work: UnitOfWork, changes: Changes, force: bool) -> None:
        self._work, self._changes, self._force = work, changes, force
        self._was_there = self.is_done = False

    def drop_stored(self, document: Document) -> None:
        """Drop the changes that an earlier write has stored."""
        left = {n: t for n, t in self._changes.items() if differ(document.base_text(n), t)}
        self._changes = left

    def __call__(self, document: Document, attempt: int) -> Plan | None:
        """Return the stored texts with the changes; None if they say the same already.

        :raises StateConflictError: this turn may not be merged with what was written since.
        """
        if attempt > 1 and self._is_gone(document, attempt):
            self.is_done = True
            return None
        self._was_there = document.etag is not None
        if document.marks:
            self._check_not_handled(document, attempt)
        try:
            stored = merge_changes(document, self._changes, self._work.on_conflict)
        except ConflictingProperties as found:
            raise conflict(
                document,
                found.names,
                attempt,
                "this turn changed it, and so did someone else since it was read. Give the "
                'property a merge="fields", "append" or a function, or change it with update().',
            ) from None
        self.is_done = (
            stored == document.stored and not self._force and not document.needs_rewrite()
        )
        if self.is_done:
            document.acknowledge(self._changes)
            return None
        return Plan(stored, self._changes)

    def _is_gone(self, document: Document, attempt: int) -> bool:
        """Look at a document that someone else wrote meanwhile. Return True if it was removed, and
        this turn has only used it.

        :raises StateConflictError: this turn may not be merged with what was written since.
        """
        self.drop_stored(document)
        if self._is_deleted(document):
            # A default that was handed out does not bring a document back.
            self._changes = document.without_defaults(self._changes)
        has_changes = bool(self._changes) or document.has_metadata_changes
        if not has_changes and document.etag is None:
            return True
        self._check_again_allowed(document, attempt - 1)
        return False

    def _check_not_handled(self, document: Document, attempt: int) -> None:
        if any(document.is_handled(mark) for mark in document.marks):
            raise conflict(
                document,
                self._changes,
                attempt,
                "another delivery of this turn's activity was handled since it was read.",
            )

    def _is_deleted(self, document: Document) -> bool:
        return self._was_there and document.etag is None and not document.expired_since_loaded()

    def _check_again_allowed(self, document: Document, attempt: int) -> None:
        if not document.without_defaults(self._changes) and not document.tag_changes:
            return  # nothing but upkeep and defaults, which conflict with nobody
        if self._work.on_conflict in ("raise", "replay"):
            reason = "someone else wrote it since it was read."
            raise conflict(document, self._changes, attempt, reason)
        if self._is_deleted(document):
            raise conflict(
                document,
                self._changes,
                attempt,
                "it was deleted since it was read, and what this turn changed is not brought back.",
            )
