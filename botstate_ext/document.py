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
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from .attempts import Attempts, Changes
from .errors import StateDecodeError, StateEncodeError
from .lives import Lives
from .merge import differ
from .metadata import NO_METADATA, Metadata, is_reserved, parse_document
from .policy import Policies, PropertyPolicy
from .quarantine import quarantined, quarantined_name
from .values import Values
from .versions import FIRST

ABSENT: Final[Any] = type("Absent", (), {"__repr__": lambda self: "ABSENT", "__slots__": ()})()
"""What :meth:`Document.get` returns for a property that is not there."""

T = TypeVar("T")
_log: Final = logging.getLogger("botstate_ext")


class Document:
    """See the module. One unit of work holds one Document a key; two never share a live value."""

    def __init__(self, key: str, scope: str, policies: Policies) -> None:
        self.key, self.scope, self.policies = key, scope, policies
        self.id: str | None = None
        """The id that chose it, where one did: its key may hold but a hash of that."""
        self.etag: str | None = None
        self.is_loaded = False
        self.was_read = False
        self.live: dict[str, Any] = {}
        self._base: dict[str, bytes | None] = {}
        self._versions: dict[str, int] = {}
        self.values = Values(policies)
        self.lives = Lives(policies)
        self.marks: dict[str, timedelta] = {}
        """What was handled, to be noted by the next save, and for how long it is to be known."""
        self._attempts = Attempts()
        self._text: bytes | None = None
        self._stored: dict[str, bytes] = {}
        self._metadata = NO_METADATA
        self._all_ours = True
        self.now: datetime | None = None

    def belong(self, scope: str, policies: Policies) -> None:
        """Take note of the scope of a document that was found by its key alone."""
        self.scope, self.policies = scope, policies
        self.lives.policies = self.values.policies = policies

    # What storage holds

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
            self._placed(name, self.values.check_version, name, self._version(name))
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

    # What changed

    def changes(self) -> Changes:
        """What the bot changed and what is not saved yet.

        :raises StateEncodeError: a value cannot be stored.
        """
        changed: dict[str, bytes | None] = {}
        for name in [*self._base, *(name for name in self.live if name not in self._base)]:
            if is_reserved(name):
                raise self._cannot_store(name, "this name is reserved: choose another")
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

    def needs_upkeep(self) -> bool:
        """True when the bot changed nothing, and yet something is to be written: a mark, or that
        what it looked at has expired, or was used long enough after it was last renewed."""
        if self.marks:
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

    def is_handled(self, mark: str) -> bool:
        """True when storage says that what this mark stands for was handled."""
        return self.now is not None and mark in self.metadata.handled_at(self.now)

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

    def attempt(self, write_id: str, changes: Changes, *, removes: bool) -> None:
        """Note that a write with this id, holding these changes, is on its way; or a removal."""
        self._attempts.add(write_id, self.etag, changes, removes=removes)

    def settle(self) -> bool:
        """After a fresh `fill`: True if a write that was on its way is found to be stored.

        What it carried is then no longer a change.
        """
        arrived = self._attempts.settle(self.etag, self.metadata.writes)
        for changes in arrived:
            self.agree(changes)
        if arrived:
            self.marks = {m: keep for m, keep in self.marks.items() if not self.is_handled(m)}
        return bool(arrived)

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

    def _encoded(self, name: str, base: bytes | None) -> bytes | None:
        """The text of a live value: ``base`` itself when the value has not changed."""
        value = self.live.get(name, ABSENT)
        if value is ABSENT:
            return None
        try:
            return self.values.encode(name, value, base, is_ours=self._all_ours)
        except StateEncodeError as error:
            reason = error.reason
        raise self._cannot_store(name, reason)

    def _cannot_store(self, name: str, reason: str) -> StateEncodeError:
        return StateEncodeError(reason, scope=self.scope, key=self.key, property_name=name)

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
        return self._placed(name, self.values.decode, name, text, version)

    def policy(self, name: str) -> PropertyPolicy:
        """The policy of a property: declared, or named by the class that a default gave."""
        return self.values.policy(name)

    def _current(self, name: str, text: bytes | None, version: int) -> bytes | None:
        if text is None:
            return None
        return self._placed(name, self.values.current, name, text, version)

    def _version(self, name: str) -> int:
        times = self.metadata.props.get(name)
        return FIRST if times is None else times.version

    def _placed(self, name: str, read: Callable[..., T], *args: Any) -> T:
        """What ``read`` returns; what it raises gets its place."""
        try:
            return read(*args)
        except StateDecodeError as error:
            located = error.located(scope=self.scope, key=self.key, property_name=name)
        # Outside of the handler: what led to it may show the value, so nothing is chained.
        raise located

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
