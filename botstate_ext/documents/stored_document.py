"""What storage holds of one document: its text, split when it is first asked for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from ..errors import StateDecodeError
from . import document_tags
from .lifetimes import Lives
from .metadata import NO_METADATA, Metadata, parse_document
from .ownership import Owner, nobody
from .pending_writes import Attempts, Changes
from .policy import Policies
from .schema_versions import FIRST


class StoredDocument:
    """The half of a `Document` that storage fills: see there."""

    def __init__(self, key: str, scope: str, policies: Policies) -> None:
        self.key, self.scope, self.policies = key, scope, policies
        self.id: str | None = None
        """The id that chose it, where one did: its key may hold but a hash of that."""
        self.whose: Callable[[], Owner] = nobody
        """Tells whose it is, as the scope says. Asked when it is written."""
        self.retagged: dict[str, str | None] = {}
        """The tags that the next save sets, or with None removes."""
        self.etag: str | None = None
        self.is_loaded = False
        self.was_read = False
        self.lives = Lives(policies)
        self.marks: dict[str, timedelta] = {}
        """What was handled, to be noted by the next save, and for how long it is to be known."""
        self.now: datetime | None = None
        self._base: dict[str, bytes | None] = {}
        self._attempts = Attempts()
        self._text: bytes | None = None
        self._stored: dict[str, bytes] = {}
        self._metadata = NO_METADATA
        self._all_ours = True

    def belong(self, scope: str, policies: Policies) -> None:
        """Take note of the scope of a document that was found by its key alone."""
        self.scope, self.policies = scope, policies
        self.lives.policies = policies

    def fill(self, text: bytes | None, etag: str | None, now: datetime) -> None:
        """Take what storage holds now (None: nothing). Values handed out stay as they are."""
        if self.is_loaded and self._text is None:
            self.lives.leave(self._base, self._stored, self._metadata)
        self._text, self.etag, self.is_loaded = text, etag, True
        # What this unit of work has seen expire does not come back when the clock does.
        self.now = now if self.now is None else max(self.now, now)
        self._stored, self._metadata = {}, NO_METADATA

    @property
    def stored(self) -> dict[str, bytes]:
        """The texts of the stored properties that have not expired. Who asks has read them.

        :raises StateDecodeError: the stored text is not a document.
        """
        self.was_read = True
        if self._text is not None:
            self._split(self._text)
        return self._stored

    @property
    def metadata(self) -> Metadata:
        """What ``$state`` says.

        :raises StateDecodeError: the stored text is not a document.
        """
        if self._text is not None:
            self._split(self._text)
        return self._metadata

    def _split(self, text: bytes) -> None:
        try:
            stored, metadata, is_ours = parse_document(text)
        except StateDecodeError as error:
            reason = error.reason
        else:
            self._take_split(stored, metadata, is_ours)
            return
        # Outside of the handler: what led to it may show the text, so nothing is chained.
        raise StateDecodeError(reason, scope=self.scope, key=self.key)

    def _take_split(self, stored: dict[str, bytes], metadata: Metadata, is_ours: bool) -> None:
        if self.now is not None:
            self.lives.part(stored, metadata, self.now)
        self._text, self._stored, self._metadata = None, stored, metadata
        self._all_ours = self._all_ours and is_ours

    def needs_upkeep(self) -> bool:
        """True when the bot changed nothing, and yet something is to be written: a note, or that
        what it looked at has expired, or was used long enough after it was last renewed."""
        if self.has_notes:
            return True
        return self._text is None and self.lives.need_upkeep(self._stored)

    def has_expired(self, name: str | None = None) -> bool:
        """True when what was read of a property, or of the whole document, before the last look at
        it is past its time now, and so may be gone although nobody removed it."""
        if self.now is None:
            return False
        if name is None:
            return self.lives.had_all_ended(self.now)
        return self.lives.had_ended(name, self.now)

    @property
    def has_notes(self) -> bool:
        """True when something that is no property is not saved yet: a mark, or tags."""
        return bool(self.marks or self.retagged)

    @property
    def tags(self) -> dict[str, str]:
        """The tags as the bot sees them, unsaved changes included."""
        self.was_read = True
        return document_tags.applied(self.metadata.tags, self.retagged)

    @tags.setter
    def tags(self, wanted: Mapping[str, str]) -> None:
        self.was_read = True
        self.retagged = document_tags.changes(self.metadata.tags, wanted)

    def _agree_on_tags(self) -> None:
        said = self.metadata.tags
        self.retagged = {n: text for n, text in self.retagged.items() if said.get(n) != text}

    def is_handled(self, mark: str) -> bool:
        """True when storage says that what this mark stands for was handled."""
        return self.now is not None and mark in self.metadata.handled_at(self.now)

    def attempt(self, write_id: str, changes: Changes, *, removes: bool) -> None:
        """Note that a write with this id, holding these changes, is on its way; or a removal."""
        self._attempts.add(write_id, self.etag, changes, removes=removes)

    def _version(self, name: str) -> int:
        times = self.metadata.props.get(name)
        return FIRST if times is None else times.version
