"""Writes without an answer yet, which may or may not be stored. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from typing import NamedTuple, TypeAlias

from .metadata import WRITES_KEPT

Changes: TypeAlias = Mapping[str, bytes | None]
"""The new text of each property that changed; None for one that was removed."""


class Outcome(Enum):
    """Lists the outcomes of a write, as a later read of the document shows them."""

    STORED = "it is stored"
    NOT_STORED = "it is not stored, and can no longer arrive"
    ON_ITS_WAY = "it is not stored, and may still arrive"
    UNKNOWN = "it may have been stored: too much has happened since"


class PendingWrite(NamedTuple):
    """Describes a write that was sent.

    - ``etag``: the ETag that it asks for; None: absence.
    - ``anchor``: the id of the last write before it; None if the document names none.
    - ``is_repeatable``: it carries nothing that must not be stored twice.
    - ``known``: its outcome, as the storage or another document of the step told; None: unknown.
      ``ON_ITS_WAY``: its step may still arrive, even if this document has changed.
    """

    write_id: str
    etag: str | None
    anchor: str | None
    changes: Changes
    removes: bool = False
    is_repeatable: bool = False
    known: Outcome | None = None

    def outcome(self, etag: str | None, writes: Collection[str]) -> Outcome:
        """Return the outcome of this write. ``etag`` (None: absent) and ``writes``, the ids of the
        last writes, are those of the document as it was read later."""
        if self.write_id in writes or (self.removes and etag is None):
            return Outcome.STORED
        if self.known in (Outcome.STORED, Outcome.NOT_STORED):
            return self.known
        if etag == self.etag:
            return Outcome.ON_ITS_WAY
        is_known = self.is_repeatable or (etag is not None and self._would_be_in(writes))
        if not is_known:
            return Outcome.UNKNOWN
        return self.known or Outcome.NOT_STORED

    def may_hold_again(self, etag: str | None, *, is_alone: bool) -> bool:
        """Return True if the condition of this write holds now, or may hold later. ``etag``: of
        the document as it was read after the write. An ETag does not come back; absence does.
        ``is_alone``: no other write is in its step. Then a removal that finds no document is done.
        """
        if self.etag in (None, etag):
            return True
        return self.removes and (etag is None or not is_alone)

    def _would_be_in(self, writes: Collection[str]) -> bool:
        """Return True if these ids would name this write, had it been made.

        The ids stand in order and the oldest go first: where the anchor is left, so is each write
        after it. A list that is not full has lost none.
        """
        if self.anchor is None and not self.removes:  # a removal takes the ids with it
            return len(writes) < WRITES_KEPT
        return self.anchor in writes


class Trace(NamedTuple):
    """The outcome of a write as one document tells it, and whether that document is there."""

    outcome: Outcome
    is_there: bool


def joint_outcome(traces: Collection[Trace]) -> Outcome:
    """Return the outcome of several writes that were sent as one step, all or none, by the traces
    of all of them, read at one moment."""
    there = {outcome for outcome, is_there in traces if is_there}
    all_ = {outcome for outcome, _ in traces}
    if Outcome.STORED in there or all_ == {Outcome.STORED}:
        return Outcome.STORED
    # Anyone may have removed a document: that it is absent proves nothing.
    all_.discard(Outcome.STORED)
    if all_ == {Outcome.ON_ITS_WAY}:
        return Outcome.ON_ITS_WAY
    # A document without its write tells for the others, and one with another ETag keeps the whole
    # step from arriving.
    if Outcome.NOT_STORED in all_ or Outcome.ON_ITS_WAY in there:
        return Outcome.NOT_STORED
    return Outcome.UNKNOWN


class PendingWrites(dict[str, PendingWrite]):
    """Holds the unanswered writes of one document, by id.

    A write is added before it is sent. It is added again when another document tells its outcome.
    """

    def confirm(
        self, etag: str | None, writes: Collection[str]
    ) -> dict[Outcome, list[PendingWrite]]:
        """Return the writes by their outcome, as a later read of the document tells it. Forget
        those that are stored and those that cannot arrive any more."""
        found: dict[Outcome, list[PendingWrite]] = {outcome: [] for outcome in Outcome}
        for write in self.values():
            found[write.outcome(etag, writes)].append(write)
        open_ = [*found[Outcome.ON_ITS_WAY], *found[Outcome.UNKNOWN]]
        self.clear()
        self.update((write.write_id, write) for write in open_)
        return found
