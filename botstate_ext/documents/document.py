"""One stored document as a unit of work sees it. Pure.

A document keeps three views of each property:

- *stored*: the JSON text that storage holds now, under ``etag``;
- *live*: the value that was handed out to the bot, decoded when it was first read;
- *base*: the text that the live value came from.

A property has changed if its live value says something else than its base. Changes are merged into
the stored texts. After a conflict only the stored texts are renewed, so the bot's own changes are
never mixed up with another writer's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from ..errors import StateDecodeError, StateEncodeError
from ..serialization import jsonpickle
from ..serialization.plain_form_codec import PlainFormCodec
from . import document_tags
from .detached_values import DetachedValues
from .lifetimes import ExpiredProperty, PropertyLifetimes
from .live_properties import LiveProperties
from .merge import differ
from .metadata import NO_METADATA, Metadata, check_name, is_reserved, parse_document
from .ownership import Owner, nobody
from .pending_expiry import Expiring
from .pending_writes import Changes, Outcome, PendingWrite, PendingWrites
from .policy import Policies, PropertyPolicy
from .property_codecs import PropertyCodecs
from .quarantine import quarantined, quarantined_name
from .schema_versions import FIRST, NewerVersionError

ABSENT: Final[Any] = type("Absent", (), {"__repr__": lambda self: "ABSENT", "__slots__": ()})()
"""Returned by :meth:`Document.get` for a property that is absent."""

_log: Final = logging.getLogger("botstate_ext")


class Document:
    """Holds the document of one key in one unit of work. Two units never share a live value.

    - ``key``, ``scope``, ``policies``: its storage key, its scope's name, the scope's policies.
    - ``id``: the id that it was chosen by, if it was: the key may hold only a hash of that.
    - ``codecs``: turns the texts of its properties into values and back.
    - ``owner``: returns the document's owner, for its metadata. Called when it is written.
    - ``etag``: the ETag of the stored document; None if nothing is stored.
    - ``now``: the time of the last read.
    - ``is_loaded``: True once `fill` was called. ``was_read``: True once anyone looked into it.
    - ``marks``: the activities that the next save notes as handled, each with the time to keep it.
    - ``tag_changes``: the tags that the next save sets; None removes a tag.
    - ``undecodable``: the reason for each property that this turn could not decode; under None, of
      the whole document.
    """

    def __init__(self, key: str, scope: str, policies: Policies) -> None:
        self.key, self.scope, self.policies = key, scope, policies
        self.id: str | None = None
        self.owner: Callable[[], Owner] = nobody
        self.etag: str | None = None
        self.now: datetime | None = None
        self.is_loaded = False
        self.was_read = False
        self.marks: dict[str, timedelta] = {}
        self.tag_changes: dict[str, str | None] = {}
        self.undecodable: dict[str | None, str] = {}
        self.codecs = PropertyCodecs(key, scope, policies)
        self.lifetimes = PropertyLifetimes(policies)
        self._pending_writes = PendingWrites()
        # Of the properties of which the live value is plain JSON, as nothing names the class.
        self._plain_forms: dict[str, PropertyPolicy] = {}
        # Stored: either a text that nobody has looked into yet, or its parts.
        self._text: bytes | None = None
        self._stored: dict[str, bytes] = {}
        self._metadata = NO_METADATA
        # Touched by the bot. A name without a base was absent when it was first touched.
        self._live: dict[str, Any] = LiveProperties()
        self._base: dict[str, bytes | None] = {}
        self._base_versions: dict[str, int] = {}
        self._defaults: dict[str, bytes] = {}
        self._assigned: set[str] = set()
        self._detached: DetachedValues | None = None

    def unloaded_copy(self) -> Document:
        """Return a document for the same key of which nothing is loaded."""
        copy = Document(self.key, self.scope, self.policies)
        copy.id, copy.owner = self.id, self.owner
        return copy

    def assign_scope(self, scope: str, policies: Policies) -> None:
        """Set the scope of a document that was found by its key alone."""
        self.scope, self.policies = scope, policies
        self.codecs.scope, self.codecs.policies = scope, policies
        self.lifetimes.policies = policies

    # What is stored

    def fill(self, text: bytes | None, etag: str | None, now: datetime) -> None:
        """Replace the stored text by the one that was just read; None if nothing is stored.

        Values that were handed out stay as they are.
        """
        if self.is_loaded and self._text is None:
            self.lifetimes.remember_loaded(self._base, self._stored, self._metadata)
        self._text, self.etag, self.is_loaded = text, etag, True
        # A property that this unit of work saw expire does not come back when the clock does.
        self.now = now if self.now is None else max(self.now, now)
        self._stored, self._metadata = {}, NO_METADATA

    @property
    def stored(self) -> dict[str, bytes]:
        """Return the texts of the stored properties that have not expired. Counts as a read.

        :raises StateDecodeError: the stored text is not a document.
        """
        self.was_read = True
        if self._text is not None:
            self._parse(self._text)
        return self._stored

    @property
    def metadata(self) -> Metadata:
        """Return the content of ``$state``.

        :raises StateDecodeError: the stored text is not a document.
        """
        if self._text is not None:
            self._parse(self._text)
        return self._metadata

    def _parse(self, text: bytes) -> None:
        try:
            stored, metadata = parse_document(text)
        except StateDecodeError as error:
            reason = error.reason
        else:
            if self.now is not None:
                self.lifetimes.split_off_expired(stored, metadata, self.now)
            self._text, self._stored, self._metadata = None, stored, metadata
            return
        self.undecodable[None] = reason
        # Outside of the handler: the cause may show the text, so nothing is chained.
        raise StateDecodeError(reason, scope=self.scope, key=self.key)

    def stored_version(self, name: str) -> int:
        """Return the version in which a stored property is stored."""
        times = self.metadata.props.get(name)
        return FIRST if times is None else times.version

    @property
    def expired(self) -> Mapping[str, ExpiredProperty]:
        """Return the properties that are still stored and had expired when they were last read."""
        return self.lifetimes.expired

    def newly_expiring(self, now: datetime) -> list[Expiring]:
        """Return an entry for each property of `expired` that has an expiry handler."""
        return self.lifetimes.newly_expiring(now)

    def expired_since_loaded(self, name: str | None = None) -> bool:
        """True if the text of a property, or all texts, that an earlier read gave have expired by
        the time of the last read, so that they may be gone although nobody removed them."""
        if self.now is None:
            return False
        if name is None:
            return self.lifetimes.all_expired_since_loaded(self.now)
        return self.lifetimes.expired_since_loaded(name, self.now)

    def is_handled(self, mark: str) -> bool:
        """Return True if storage says that the activity of this mark was handled."""
        return self.now is not None and mark in self.metadata.handled_at(self.now)

    # What the bot sees

    def get(self, name: str, hint: PropertyPolicy | None = None) -> Any:
        """Return the live value of a property, the same object each time.

        Returns ``ABSENT`` if there is none, or if the stored one cannot be read and the property
        moves such values aside.

        :raises StateDecodeError: the stored text does not fit the property.
        """
        if hint is not None or name in self._plain_forms:
            self._choose_type(name, hint)
        if name in self._base or name in self._live:
            if self._text is None and self._base.get(name) is self._stored.get(name):
                return self._live.get(name, ABSENT)  # nothing was read since: by far the most
            if not self._is_overtaken(name):
                return self._live.get(name, ABSENT)
            self._detach(name)
        self.was_read = True
        if self._text is not None:
            self._parse(self._text)
        text = self._stored.get(name)
        if text is None:
            return ABSENT
        times = self._metadata.props.get(name)
        version = FIRST if times is None else times.version
        try:
            value = self.codecs.decode(name, text, version)
        except StateDecodeError as error:
            if not self.codecs.quarantines(name, error):
                self.undecodable[name] = error.reason
                raise
            self._set_aside(name, text, version, error.reason)
            return ABSENT
        self._base[name], self._base_versions[name] = text, version
        dict.__setitem__(self._live, name, value)  # a stored name is a string
        if times is not None and times.expires is not None and self.now is not None:
            self.lifetimes.note_use(name, times, self.now)
        return value

    def text(self, name: str) -> bytes | None:
        """Return the JSON text of a property as the bot sees it, unsaved changes included, in the
        version that this code knows; None if it is absent.

        :raises StateEncodeError: its value cannot be stored.
        :raises StateDecodeError: newer code stored it, or it cannot be brought forward.
        """
        touched = name in self._base or name in self._live
        if touched and not self._is_overtaken(name):
            return self._encoded(name, self._base.get(name))
        return self.codecs.current_text(name, self.stored.get(name), self.stored_version(name))

    def names(self) -> list[str]:
        """Return the names of the properties that the bot sees."""
        touched = {*self._base, *self._live}
        return [*(name for name in self.stored if name not in touched), *self._live]

    def set(
        self,
        name: str,
        value: Any,
        hint: PropertyPolicy | None = None,
        *,
        lifetime: timedelta | None = None,
        is_change: bool = False,
    ) -> None:
        """Set a property's value. It is encoded, and so checked, when the document is saved.

        ``lifetime``: how long this value lives; None: as long as the property says. With
        ``is_change`` the value is a change of the stored one, and keeps its lifetime.

        :raises StateDecodeError: the stored value has a newer version than this code knows.
        """
        if hint is not None:
            self.codecs.hints[name] = hint
        self._plain_forms.pop(name, None)
        if name in self.stored:
            times = self._metadata.props.get(name)
            if times is not None and times.version != FIRST:
                self.codecs.check_version(name, times.version)
        if not is_change:
            self.lifetimes.set_lifetime(name, lifetime)
            self._assigned.add(name)
        if not isinstance(name, str):
            check_name(name)
        dict.__setitem__(self._live, name, value)
        self._touch(name)
        self._defaults.pop(name, None)

    def set_default(self, name: str, value: Any, hint: PropertyPolicy | None = None) -> None:
        """Set the value of an absent property to a default that is handed out to the bot.

        As long as the bot does not change it, it is stored only if nobody else wrote the property.
        """
        self.set(name, value, hint)
        self._assigned.discard(name)
        if self._base[name] is not None:
            return  # the bot deleted the stored value, or it is moved aside: this replaces it
        try:
            text = self._encoded(name, None)
        except StateEncodeError:
            return  # the save refuses it
        if text is not None:
            self._defaults[name] = text

    def replace(self, name: str, value: Any) -> None:
        """Set a changed value of a property, which keeps its lifetime. The value that was handed
        out before is detached: a later change to it is an error at the save.

        :raises StateDecodeError: the stored value has a newer version than this code knows.
        :raises StateEncodeError: the value that was handed out before cannot be stored.
        """
        if name in self._live:
            self._watch(name, self._encoded(name, self._base.get(name)))
        plain_form = self._plain_forms.get(name)
        self.set(name, value, is_change=True)
        if plain_form is not None and type(value) is dict:
            self._plain_forms[name] = plain_form  # it was patched as plain JSON

    def delete(self, name: str) -> None:
        """Remove a property; no error if it is absent."""
        self._touch(name)
        self._live.pop(name, None)
        self._defaults.pop(name, None)
        self._plain_forms.pop(name, None)

    def expose(self) -> dict[str, Any]:
        """Return the live mapping of all properties, decoded. Changes to it are saved.

        A value with tags is plain JSON in it, if nothing but a later `get` may name its class.
        Changes to it keep its tags.

        :raises StateDecodeError: a property cannot be decoded for another reason.
        """
        for name in list(self.stored):
            self.get_or_plain(name)
        return self._live

    def get_or_plain(self, name: str) -> Any:
        """Return the live value of a property as `get`; as plain JSON if nothing names its class.

        :raises StateDecodeError: it cannot be decoded for another reason.
        """
        if name not in self._plain_forms:
            try:
                return self.get(name)
            except StateDecodeError as error:
                text = self.stored.get(name)
                is_newer = isinstance(error, NewerVersionError)
                if text is None or is_newer or not self._takes_plain_form(name, text):
                    raise
        return self._live.get(name, ABSENT)

    def _takes_plain_form(self, name: str, text: bytes) -> bool:
        """Make a stored value that cannot be decoded a live one as plain JSON, if it has tags."""
        policy = self.codecs.policy(name)
        if policy.declared_type or not jsonpickle.has_tags(text):
            return False
        policy = replace(policy, codec=PlainFormCodec(policy.codec), hinted_type=None)
        try:
            value = policy.codec.decode(text)
        except StateDecodeError:
            return False  # it holds what is no data
        del self.undecodable[name]
        self._touch(name)
        self._live[name], self._plain_forms[name] = value, policy
        return True

    def clear(self) -> None:
        """Remove every property. Those that this turn could not decode are moved aside."""
        kept = {}
        for name, text in self.stored.items():
            reason, version = self.undecodable.get(name), self.stored_version(name)
            if reason is not None and version > self.codecs.policy(name).versions.current:
                continue  # newer code reads it where it is
            self._touch(name)
            if reason is not None:
                kept[name] = text, version, reason
        self._live.clear()
        self._defaults.clear()
        self._plain_forms.clear()
        for name, value in kept.items():
            self._set_aside(name, *value)

    def forget(self, name: str | None = None) -> None:
        """Discard the unsaved changes of one property, or of the document: the next `get` reads
        the stored text."""
        for touched in [name] if name is not None else [*self._base, *self._live]:
            self._base.pop(touched, None)
            self._base_versions.pop(touched, None)
            self.codecs.forget(touched)
            self._live.pop(touched, None)
            self._defaults.pop(touched, None)
            self._assigned.discard(touched)
            self._plain_forms.pop(touched, None)
            self.lifetimes.forget(touched)
        if name is None:
            self.tag_changes = {}
            self._pending_writes.clear()  # none of their changes is left to be stored twice
            self._detached = None

    @property
    def tags(self) -> dict[str, str]:
        """Return the tags as the bot sees them, unsaved changes included."""
        self.was_read = True
        return document_tags.applied(self.metadata.tags, self.tag_changes)

    @tags.setter
    def tags(self, wanted: Mapping[str, str]) -> None:
        self.was_read = True
        self.tag_changes = document_tags.changes(self.metadata.tags, wanted)

    # What changed

    def changes(self) -> Changes:
        """Return the properties that the bot changed and that are not saved yet, and the defaults
        that it was handed out.

        :raises StateEncodeError: a value cannot be stored, or a value that `update` or a patch had
            replaced was changed afterwards, so that the change would be lost.
        """
        changed: dict[str, bytes | None] = {}
        if self._detached is not None:
            self._check_detached(self._detached)
        if not self._base and not self._live:
            return changed
        for name in {**self._base, **self._live}:
            if is_reserved(name):
                raise self.codecs.cannot_store(name, "this name is reserved: choose another")
            base = self._base.get(name)
            mine = self._encoded(name, base)
            if mine is not base:
                changed[name] = mine
        return changed

    def has_changed(self, name: str) -> bool:
        """Return True if the bot changed this property and the change is not saved yet."""
        if name not in self._base and name not in self._live:
            return False
        base = self._base.get(name)
        try:
            mine = self._encoded(name, base)
        except StateEncodeError:
            return True  # no save can store its value
        return mine is not base and not self.is_unchanged_default(name, mine)

    def is_unchanged_default(self, name: str, text: bytes | None) -> bool:
        """Return True if this text of a property is a default that the bot was handed out."""
        return text is not None and self._defaults.get(name) == text

    def without_defaults(self, changes: Changes) -> Changes:
        """Return the changes that the bot made itself, without the defaults it was handed out."""
        if not self._defaults:
            return changes
        return {n: t for n, t in changes.items() if not self.is_unchanged_default(n, t)}

    def without_yielding(self, changes: Changes) -> Changes:
        """Return the changes without the defaults of properties that someone else has stored."""
        if not self._defaults:
            return changes
        stored = self.stored
        made = self.without_defaults(changes)
        return {n: t for n, t in changes.items() if n in made or n not in stored}

    @property
    def has_metadata_changes(self) -> bool:
        """Return True if a mark or a tag is not saved yet."""
        return bool(self.marks or self.tag_changes)

    def needs_rewrite(self) -> bool:
        """True if a save has something to write although the bot changed no property: a mark, a
        tag, an expired property to remove, or the use of a sliding one."""
        if self.marks or self.tag_changes:
            return True
        return self._text is None and self.lifetimes.need_rewrite(self._stored)

    def base_text(self, name: str) -> bytes | None:
        """Return the text that a touched property's value came from; None if it was absent."""
        return self._base.get(name)

    def base_and_stored(self, name: str) -> tuple[bytes | None, bytes | None]:
        """Return the text that a touched property's value came from, and the one that is stored
        now; None for absent. If they differ, both are in the version that this code knows.

        :raises StateDecodeError: newer code stored it, or it cannot be brought forward.
        """
        now_stored = self._stored if self._text is None else self.stored
        base, stored = self._base.get(name), now_stored.get(name)
        if base is stored or not differ(base, stored):
            return base, stored
        return (
            self.codecs.current_text(name, base, self._base_versions.get(name, FIRST)),
            self.codecs.current_text(name, stored, self.stored_version(name)),
        )

    # What was written

    @property
    def has_pending_writes(self) -> bool:
        """Return True if the answer of a write has not come."""
        return bool(self._pending_writes)

    def add_pending_write(self, write_id: str, changes: Changes, *, removes: bool) -> PendingWrite:
        """Note a write that is about to be sent, with its changes; or a removal of the document."""
        writes = self.metadata.writes
        write = PendingWrite(
            write_id,
            self.etag,
            writes[-1] if writes else None,
            changes,
            removes=removes,
            is_repeatable=not self.without_defaults(changes) and not self.has_metadata_changes,
        )
        self._pending_writes[write_id] = write
        return write

    def settle_pending_write(self, write: PendingWrite, outcome: Outcome) -> PendingWrite:
        """Note the outcome of a write that another document of the same step told. Return it so."""
        settled = write._replace(known=outcome)
        self._pending_writes[settled.write_id] = settled
        return settled

    def confirm_pending_writes(self) -> dict[Outcome, list[PendingWrite]]:
        """After a fresh `fill`: return the pending writes by what became of them.

        The changes of those that are stored are changes no longer.
        """
        found = self._pending_writes.confirm(self.etag, self.metadata.writes)
        for write in found[Outcome.STORED]:
            self.acknowledge(write.changes)
        if found[Outcome.STORED]:
            self.marks = {m: keep for m, keep in self.marks.items() if not self.is_handled(m)}
            if self.tag_changes:
                self._drop_stored_tag_changes()
        return found

    def acknowledge(self, changes: Changes) -> None:
        """Note that these changes are stored."""
        for name, text in changes.items():
            # A property that was forgotten while the write was pending is not touched any more.
            if name in self._base or name in self._live:
                self._base[name] = text
                self._base_versions[name] = self.codecs.policy(name).versions.current
                self._defaults.pop(name, None)
                self._assigned.discard(name)
                self.undecodable.pop(name, None)

    def record_write(
        self, stored: dict[str, bytes], metadata: Metadata, etag: str | None, changes: Changes
    ) -> None:
        """Note that this content was written, with these changes. ``etag``: None if the document
        was removed."""
        self._text, self._stored, self._metadata, self.etag = None, stored, metadata, etag
        self.acknowledge(changes)
        self._pending_writes.clear()
        self.lifetimes.record_write(changes)
        self.marks.clear()
        if self.tag_changes:
            self._drop_stored_tag_changes()

    def adopt(self, fresh: Document, name: str) -> bool:
        """Take over the stored content of a copy that changed and wrote this property.

        Returns False if the bot changed the property here too: that change stays unsaved.
        """
        changed_meanwhile = self.has_changed(name)
        if fresh.now is not None:
            self.fill(None, fresh.etag, fresh.now)
        self._stored, self._metadata, self._text = fresh.stored, fresh.metadata, None
        self.lifetimes.expired = fresh.lifetimes.expired
        if not changed_meanwhile:
            self._detach(name)
        return not changed_meanwhile

    # One property

    def patched(self, name: str, patch: Any, merge: Callable[[Any, Any], Any]) -> Any:
        """Return the value of a property as the turn sees it, changed by a patch from outside.

        See `PropertyCodecs.patched`, with its errors.
        """
        text, plain_form = self.text(name), self._plain_forms.get(name)
        return self.codecs.patched(name, text, patch, merge, plain_form)

    def _encoded(self, name: str, base: bytes | None) -> bytes | None:
        """Return the text of a live value, None if it is absent; ``base`` itself if the value says
        the same."""
        value = self._live.get(name, ABSENT)
        if value is ABSENT:
            return None
        codecs = self.codecs
        unknown = codecs.unknown.get(name)
        text = codecs.encode(name, value, base, unknown, self._plain_forms.get(name))
        if text is base and name in self._assigned and codecs.policy(name).has_other_form(text):
            again = codecs.encode(name, value, None, unknown)
            text = base if again == base else again
        if text is not base and unknown:
            codecs.warn_of_lost_fields(name)
        return text

    def _detach(self, name: str) -> None:
        """Forget a property that the bot did not change, and watch the value it was handed out."""
        self._watch(name, self._base.get(name) or self._defaults.get(name))
        self.forget(name)

    def _watch(self, name: str, text: bytes | None) -> None:
        value = self._live.get(name, ABSENT)
        if text is None or value is ABSENT:
            return
        if self._detached is None:
            self._detached = DetachedValues(self.codecs)
        self._detached.watch(name, value, text, self._plain_forms.get(name))

    def _check_detached(self, detached: DetachedValues) -> None:
        for name in detached.changed():
            raise self.codecs.cannot_store(
                name,
                "a value of it was changed that update(), patch_state() or another writer had "
                "replaced before, so the change would be lost. Get the property again after that, "
                "and change what it gives",
            )

    def _touch(self, name: str) -> None:
        if name not in self._base:
            stored = self._stored if self._text is None else self.stored
            self._base[name] = stored.get(name)
            times = self._metadata.props.get(name)
            self._base_versions[name] = FIRST if times is None else times.version

    def _is_overtaken(self, name: str) -> bool:
        """Return True if someone else changed a property that this unit of work did not change."""
        base, stored = self._base.get(name), self.stored.get(name)
        return base is not stored and differ(base, stored) and not self.has_changed(name)

    def _choose_type(self, name: str, hint: PropertyPolicy | None) -> None:
        """Take a hint, and decode again what was read before as plain JSON.

        :raises StateDecodeError: nothing names the class of what was read as plain JSON.
        """
        before = self.codecs.hints.get(name)
        if hint is not None:
            self.codecs.hints[name] = hint
        if name in self._plain_forms:
            self._leave_plain_form(name)
        elif hint is not None and hint.hinted_type is not None and before is None:
            is_touched = name in self._base or name in self._live
            is_one = isinstance(self._live.get(name, ABSENT), hint.hinted_type)
            if is_touched and not is_one and not self.has_changed(name):
                self._detach(name)

    def _leave_plain_form(self, name: str) -> None:
        if self._is_overtaken(name):
            self._detach(name)
            return
        text = self._encoded(name, self._base.get(name))
        if text is None:
            return  # the bot removed it from the mapping
        try:
            value = self.codecs.decode(name, text, self.codecs.policy(name).versions.current)
        except StateDecodeError as error:
            self.undecodable[name] = error.reason
            raise
        self._watch(name, text)
        del self._plain_forms[name]
        self._live[name] = value

    def _set_aside(self, name: str, text: bytes, version: int, reason: str) -> None:
        aside = quarantined_name(name, text)
        self._touch(name)
        self._touch(aside)
        self._live[aside] = quarantined(text, version, reason)
        _log.warning(
            "A stored value was moved aside (property %r, scope %r, key %r); it is %r now: %s",
            name,
            self.scope,
            self.key,
            aside,
            reason,
        )

    def _drop_stored_tag_changes(self) -> None:
        stored = self.metadata.tags
        self.tag_changes = {n: t for n, t in self.tag_changes.items() if stored.get(n) != t}
