"""One stored document as a unit of work sees it. Pure.

Three views of a property meet here:

- *stored*: the JSON text of each property as storage holds it now, under ``etag``;
- *live*: the values handed out to the bot, decoded when first touched and only then;
- *base*: the text each touched value came from.

What changed is what *live* says differently from *base*; it is merged into *stored*. After a
conflict only *stored* is renewed, so changes are never mixed up with what someone else wrote
meanwhile.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, Final

from ..errors import StateDecodeError, StateEncodeError
from .merge import differ
from .metadata import Metadata, is_reserved
from .pending_writes import Attempt, Changes
from .policy import Policies, PropertyPolicy
from .quarantine import quarantined, quarantined_name
from .schema_versions import FIRST
from .stored_document import StoredDocument
from .values import Values

ABSENT: Final[Any] = type("Absent", (), {"__repr__": lambda self: "ABSENT", "__slots__": ()})()
"""What :meth:`Document.get` returns for a property that is not there."""

_log: Final = logging.getLogger("botstate_ext")


class Document(StoredDocument):
    """See the module. One unit of work holds one Document a key; two never share a live value."""

    def __init__(self, key: str, scope: str, policies: Policies) -> None:
        super().__init__(key, scope, policies)
        self.live: dict[str, Any] = {}
        self._versions: dict[str, int] = {}
        self.values = Values(policies, scope, key)

    def unread(self) -> Document:
        """A document of its own for the same key, of which nothing was read."""
        other = Document(self.key, self.scope, self.policies)
        other.id, other.whose = self.id, self.whose
        return other

    def belong(self, scope: str, policies: Policies) -> None:
        """Take note of the scope of a document that was found by its key alone."""
        super().belong(scope, policies)
        self.values.scope, self.values.policies = scope, policies

    # What the bot sees

    def get(self, name: str, hint: PropertyPolicy | None = None) -> Any:
        """The live value of a property, the same object each time; ``ABSENT`` if there is none, or
        if the property's values are moved aside when they cannot be read, and this one was.

        :raises StateDecodeError: the stored text does not fit the property.
        """
        if hint is not None:
            self._take_hint(name, hint)
        if name in self._base or name in self.live:
            if not self._is_overtaken(name):
                return self.live.get(name, ABSENT)
            self.forget(name)
        text = self.stored.get(name)
        if text is None:
            return ABSENT
        version = self._version(name)
        try:
            value = self.decode(name, text, version)
        except StateDecodeError as error:
            if not self.values.is_set_aside(name, error):
                raise
            self._set_aside(name, text, version, error.reason)
            return ABSENT
        self._base[name], self._versions[name], self.live[name] = text, version, value
        if self.now is not None:
            self.lives.use(name, self.metadata.props.get(name), self.now)
        return value

    def text(self, name: str) -> bytes | None:
        """The JSON text of a property as the bot sees it, unsaved changes included; None if absent.

        One that is stored in an older version is brought forward.

        :raises StateEncodeError: its value cannot be stored.
        :raises StateDecodeError: newer code stored it, or it cannot be brought forward.
        """
        touched = name in self._base or name in self.live
        if touched and not self._is_overtaken(name):
            return self._encoded(name, self._base.get(name))
        return self._current(name, self.stored.get(name), self._version(name))

    def names(self) -> list[str]:
        """The names of the properties that the bot sees."""
        touched = {*self._base, *self.live}
        return [*(name for name in self.stored if name not in touched), *self.live]

    def set(
        self,
        name: str,
        value: Any,
        hint: PropertyPolicy | None = None,
        *,
        lifetime: timedelta | None = None,
        is_change: bool = False,
    ) -> None:
        """Give a property a value, for the property's lifetime or another; one that is a change of
        the stored value keeps the lifetime which that was given. Encoded, and so checked, when the
        document is saved.

        :raises StateDecodeError: newer code than this stored what is to be replaced.
        """
        if hint is not None:
            self.values.hints[name] = hint
        if name in self.stored:
            self.values.check_version(name, self._version(name))
        if not is_change:
            self.lives.give(name, lifetime)
        self._touch(name)
        self.live[name] = value

    def delete(self, name: str) -> None:
        """Remove a property; no error if it is absent."""
        self._touch(name)
        self.live.pop(name, None)

    def expose(self) -> dict[str, Any]:
        """The live mapping of all properties, decoded: changes to it are saved like any other."""
        for name in list(self.stored):
            self.get(name)
        return self.live

    def clear(self) -> None:
        """Remove every property."""
        for name in list(self.stored):
            self._touch(name)
        self.live.clear()

    def forget(self, name: str | None = None) -> None:
        """Detach what was handed out of one property, or of all: the next `get` reads it anew."""
        for touched in [name] if name is not None else [*self._base, *self.live]:
            self._base.pop(touched, None)
            self._versions.pop(touched, None)
            self.live.pop(touched, None)
            self.lives.forget(touched)
        if name is None:
            self.retagged = {}

    # What changed

    def changes(self) -> Changes:
        """What the bot changed and what is not saved yet.

        :raises StateEncodeError: a value cannot be stored.
        """
        changed: dict[str, bytes | None] = {}
        if not self._base and not self.live:
            return changed
        for name in [*self._base, *(name for name in self.live if name not in self._base)]:
            if is_reserved(name):
                raise self.values.cannot_store(name, "this name is reserved: choose another")
            base = self._base.get(name)
            mine = self._encoded(name, base)
            if mine is not base:
                changed[name] = mine
        return changed

    def has_changed(self, name: str) -> bool:
        """True when the bot changed this property and the change is not saved yet."""
        if name not in self._base and name not in self.live:
            return False
        base = self._base.get(name)
        try:
            return self._encoded(name, base) is not base
        except StateEncodeError:
            return True  # it was given a value that no save can store

    def sides(self, name: str) -> tuple[bytes | None, bytes | None]:
        """The text that a touched property's value came from, and the one that is stored now; None
        where it was or is absent. If they differ, both are in the version that this code knows.

        :raises StateDecodeError: newer code stored it, or it cannot be brought forward.
        """
        base, stored = self._base.get(name), self.stored.get(name)
        if not differ(base, stored):
            return base, stored
        return (
            self._current(name, base, self._versions.get(name, FIRST)),
            self._current(name, stored, self._version(name)),
        )

    def base(self, name: str) -> bytes | None:
        """The text that a touched property's value came from; None if it was absent."""
        return self._base.get(name)

    def settle(self) -> list[Attempt]:
        """After a fresh `fill`: the writes that were on their way and are found to be stored.

        What they carried is then no longer a change.
        """
        arrived = self._attempts.settle(self.etag, self.metadata.writes)
        for attempt in arrived:
            self.agree(attempt.changes)
        if arrived:
            self.marks = {m: keep for m, keep in self.marks.items() if not self.is_handled(m)}
            self._agree_on_tags()
        return arrived

    def agree(self, changes: Changes) -> None:
        """Take note that what is stored already says these changes."""
        for name, text in changes.items():
            # What was forgotten while the write was on its way is not touched any more.
            if name in self._base or name in self.live:
                self._base[name] = text
                self._versions[name] = self.policy(name).versions.current

    def take(self, fresh: Document, name: str) -> bool:
        """Take what storage holds from a fresher look at it, in which this property was changed.

        False when the bot changed the property too, meanwhile: that stays a change to be saved.
        """
        changed_meanwhile = self.has_changed(name)
        self._text, self._stored, self._metadata = None, fresh.stored, fresh.metadata
        self.etag, self.is_loaded, self.now = fresh.etag, True, fresh.now
        self.lives.ended = fresh.lives.ended
        if not changed_meanwhile:
            self.forget(name)
        return not changed_meanwhile

    def saved(
        self, stored: dict[str, bytes], metadata: Metadata, etag: str | None, changes: Changes
    ) -> None:
        """Take note that this is in storage now, and holds these changes. Without an ETag, the
        document was removed."""
        self._text, self._stored, self._metadata, self.etag = None, stored, metadata, etag
        self.agree(changes)
        self._attempts.clear()
        self.lives.saved(changes)
        self.marks.clear()
        self._agree_on_tags()

    def _encoded(self, name: str, base: bytes | None) -> bytes | None:
        """The text of a live value: ``base`` itself when the value has not changed."""
        value = self.live.get(name, ABSENT)
        if value is ABSENT:
            return None
        return self.values.encode(name, value, base, is_ours=self._all_ours)

    def _touch(self, name: str) -> None:
        if name not in self._base:
            self._base[name], self._versions[name] = self.stored.get(name), self._version(name)

    def _is_overtaken(self, name: str) -> bool:
        """True when someone else changed a property that this unit of work did not change."""
        base, stored = self._base.get(name), self.stored.get(name)
        return base is not stored and differ(base, stored) and not self.has_changed(name)

    # One value

    def _take_hint(self, name: str, hint: PropertyPolicy) -> None:
        before = self.values.hints.get(name)
        self.values.hints[name] = hint
        cls = hint.hinted_type
        if cls is None or before is not None or isinstance(self.live.get(name, ABSENT), cls):
            return
        # Something else, such as a dialog's memory, has read it before, as plain JSON.
        if not self.has_changed(name):
            self.forget(name)

    def decode(self, name: str, text: bytes, version: int) -> Any:
        """A text that is stored in this version, as the value of this property.

        :raises StateDecodeError: it does not fit the property.
        """
        return self.values.decode(name, text, version)

    def policy(self, name: str) -> PropertyPolicy:
        """The policy of a property: declared, or named by the class that a default gave."""
        return self.values.policy(name)

    def _current(self, name: str, text: bytes | None, version: int) -> bytes | None:
        return None if text is None else self.values.current(name, text, version)

    def _set_aside(self, name: str, text: bytes, version: int, reason: str) -> None:
        aside = quarantined_name(name, text)
        self._touch(name)
        self._touch(aside)
        self.live[aside] = quarantined(text, version, reason)
        _log.warning(
            "A stored value was moved aside (property %r, scope %r, key %r); it is %r now: %s",
            name,
            self.scope,
            self.key,
            aside,
            reason,
        )
