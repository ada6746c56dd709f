"""Writes whose answers have not come, and which may be stored. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, TypeAlias

Changes: TypeAlias = Mapping[str, bytes | None]
"""The new text of each property that changed; None for one that was removed."""


class PendingWrite(NamedTuple):
    """A write that asked for this ETag (None: absence)."""

    write_id: str
    etag: str | None
    changes: Changes
    removes: bool


class PendingWrites:
    """The writes of one document that are on their way, by id."""

    def __init__(self) -> None:
        self._pending: dict[str, PendingWrite] = {}

    def add(self, write_id: str, etag: str | None, changes: Changes, *, removes: bool) -> None:
        """Note a write that asks for this ETag (None: absence) and holds these changes; or a
        removal of the whole document."""
        self._pending[write_id] = PendingWrite(write_id, etag, changes, removes)

    def confirm(self, etag: str | None, written: Collection[str]) -> list[PendingWrite]:
        """Those that are found to be stored, under this ETag; they are forgotten.

        So are those that can no longer arrive. One that asks for the ETag that is stored still may.
        """
        arrived = {
            id_: write
            for id_, write in self._pending.items()
            if id_ in written or (write.removes and etag is None)
        }
        self._pending = {
            id_: write
            for id_, write in self._pending.items()
            if write.etag == etag and id_ not in arrived
        }
        return list(arrived.values())

    def clear(self) -> None:
        """A write has succeeded, so that none before it can arrive any more."""
        self._pending.clear()
