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
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from ..errors import StateDecodeError, StateEncodeError
from ..serialization import json_text, jsonpickle
from ..serialization.plain_form_codec import PlainFormCodec
from ..serialization.stored_changes import refuse_tags, with_changes
from ..serialization.unknown_fields import UnknownFields
from . import document_tags
from .lifetimes import ExpiredProperty, PropertyLifetimes
from .merge import differ
from .metadata import NO_METADATA, Metadata, check_name, is_reserved, parse_document
from .ownership import Owner, nobody
from .pending_expiry import Expiring
from .pending_writes import Changes, Outcome, PendingWrite, PendingWrites
from .policy import Policies, PropertyPolicy
from .quarantine import quarantined, quarantined_name
from .schema_versions import FIRST, NewerVersionError

ABSENT: Final[Any] = type("Absent", (), {"__repr__": lambda self: "ABSENT", "__slots__": ()})()
"""Returned by :meth:`Document.get` for a property that is absent."""

MAX_DETACHED: Final = 64
"""The number of detached values that a document watches until it is saved. The oldest are checked
and let go when there are more, so that a loop of updates does not keep every value it saw."""

_UNCHANGEABLE: Final = (str, bytes, int, float, datetime, type(None))

_log: Final = logging.getLogger("botstate_ext")


class LiveProperties(dict[str, Any]):
    """Holds the live values of a document's properties by name. Refuses names that are not strings.

    :raises TypeError: a name is not a string.
    """

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            check_name(name)
        dict.__setitem__(self, name, value)

    def setdefault(self, name: str, default: Any = None) -> Any:
        check_name(name)
        return dict.setdefault(self, name, default)

    def update(self, *args: Any, **values: Any) -> None:
        for name, value in dict(*args, **values).items():
            self[name] = value

    def __ior__(self, other: Any) -> LiveProperties:  # type: ignore[override, misc]  # one form only
        self.update(other)
        return self


class _Detached(NamedTuple):
    """Holds a value that was handed out and then replaced, and its text at that time."""

    name: str
    value: Any
    text: bytes
    unknown: UnknownFields | None
    policy: PropertyPolicy | None


class Document:
    """Holds the document of one key in one unit of work. Two units never share a live value.

    - ``key``, ``scope``, ``policies``: its storage key, its scope's name, the scope's policies.
    - ``id``: the id that it was chosen by, if it was: the key may hold only a hash of that.
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
        self.lifetimes = PropertyLifetimes(policies)
        self._pending_writes = PendingWrites()
        self._hints: dict[str, PropertyPolicy] = {}
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
        self._unknown: dict[str, UnknownFields] = {}
        self._defaults: dict[str, bytes] = {}
        self._assigned: set[str] = set()
        self._detached: list[_Detached] = []
        self._lost_changes: list[str] = []

    def unloaded_copy(self) -> Document:
        """Return a document for the same key of which nothing is loaded."""
        copy = Document(self.key, self.scope, self.policies)
        copy.id, copy.owner = self.id, self.owner
        return copy

    def assign_scope(self, scope: str, policies: Policies) -> None:
        """Set the scope of a document that was found by its key alone."""
        self.scope, self.policies = scope, policies
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
            value = self.decode(name, text, version)
        except StateDecodeError as error:
            if not self.quarantines(name, error):
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
        return self._current_text(name, self.stored.get(name), self.stored_version(name))

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
            self._hints[name] = hint
        self._plain_forms.pop(name, None)
        if name in self.stored:
            times = self._metadata.props.get(name)
            if times is not None and times.version != FIRST:
                self._check_version(name, times.version)
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
        policy = self.policy(name)
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
            if reason is not None and version > self.policy(name).versions.current:
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
            self._unknown.pop(touched, None)
            self._live.pop(touched, None)
            self._defaults.pop(touched, None)
            self._assigned.discard(touched)
            self._plain_forms.pop(touched, None)
            self.lifetimes.forget(touched)
        if name is None:
            self.tag_changes = {}
            self._pending_writes.clear()  # none of their changes is left to be stored twice
            self._detached.clear()
            self._lost_changes.clear()

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
        if self._detached or self._lost_changes:
            self._check_detached()
        if not self._base and not self._live:
            return changed
        for name in {**self._base, **self._live}:
            if is_reserved(name):
                raise self._cannot_store(name, "this name is reserved: choose another")
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
            self._current_text(name, base, self._base_versions.get(name, FIRST)),
            self._current_text(name, stored, self.stored_version(name)),
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
                self._base_versions[name] = self.policy(name).versions.current
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

    def policy(self, name: str) -> PropertyPolicy:
        """Return the policy of a property: the declared one, or the hint that a default gave."""
        declared = self.policies.declared.get(name)
        if declared is not None and declared.declared_type:
            return declared
        return self._hints.get(name) or declared or self.policies.of(name)

    def decode(self, name: str, text: bytes, version: int) -> Any:
        """Return the value of a text that is stored in this version.

        :raises StateDecodeError: it does not fit the property, or newer code stored it.
        """
        # One for all values of the property: one that was handed out before is compared as well.
        unknown = self._unknown.setdefault(name, UnknownFields())
        unknown.start_reading()
        try:
            return self.policy(name).decode(text, version, unknown)
        except StateDecodeError as error:
            located = self._located(name, error)
        # Outside of the handler: the cause may show the value, so nothing is chained.
        raise located

    def patched(self, name: str, patch: Any, merge: Callable[[Any, Any], Any]) -> Any:
        """Return the value of a property as the turn sees it, changed by a patch from outside.

        ``merge``: returns plain JSON changed by a patch. What it leaves as it was stays what it is.

        :raises StateDecodeError: what is stored, or the result, does not fit the property.
        :raises StateEncodeError: the patch brings in tags, or names that the type does not know.
        """
        policy, text = self._plain_forms.get(name) or self.policy(name), self.text(name)
        unknown = self._unknown.setdefault(name, UnknownFields())
        try:
            refuse_tags(patch)
            stored = None if text is None else json_text.loads(policy.codec.patchable(text))
            plain = merge(None if text is None else jsonpickle.to_plain(stored), patch)
            changed = json_text.dumps(with_changes(stored, plain))
            unknown.start_reading()
            return policy.codec.decode_patched(changed, patch, unknown)
        except StateDecodeError as error:
            problem: StateDecodeError | StateEncodeError = self._located(name, error)
        except StateEncodeError as error:
            problem = self._cannot_store(name, error.reason)
        except RecursionError:
            problem = self._cannot_store(name, "it is nested too deeply, or holds itself")
        # Outside of the handler: the cause may show the value, so nothing is chained.
        raise problem

    def quarantines(self, name: str, error: StateDecodeError) -> bool:
        """True if a value that gave this error is to be moved aside. A value that is only newer
        than this code never is."""
        if isinstance(error, NewerVersionError):
            return False
        return self.policy(name).on_undecodable == "quarantine"

    def _current_text(self, name: str, text: bytes | None, version: int) -> bytes | None:
        if text is None:
            return None
        try:
            return self.policy(name).current_text(text, version)
        except StateDecodeError as error:
            located = self._located(name, error)
        raise located

    def _check_version(self, name: str, version: int) -> None:
        try:
            self.policy(name).versions.check(version)
        except NewerVersionError as error:
            located = self._located(name, error)
        else:
            return
        raise located

    def _encoded(self, name: str, base: bytes | None) -> bytes | None:
        """Return the text of a live value, None if it is absent; ``base`` itself if the value says
        the same."""
        value = self._live.get(name, ABSENT)
        if value is ABSENT:
            return None
        unknown = self._unknown.get(name)
        text = self._encode(name, value, base, unknown, self._plain_forms.get(name))
        if text is base and name in self._assigned and self.policy(name).has_other_form(text):
            again = self._encode(name, value, None, unknown)
            text = base if again == base else again
        if text is not base and unknown:
            self._warn_of_lost_fields(name, unknown)
        return text

    def _encode(
        self,
        name: str,
        value: Any,
        base: bytes | None,
        unknown: UnknownFields | None,
        policy: PropertyPolicy | None = None,
    ) -> bytes:
        policy = policy or self.policy(name)
        # A class that only a default named binds its own instances and nothing else.
        if policy.hinted_type is not None and not isinstance(value, policy.hinted_type):
            policy = self.policies.of(name)
        try:
            mine = policy.codec.encode(value, base, unknown)
        except StateEncodeError as error:
            reason = error.reason
        else:
            if base is None or mine is base:
                return mine
            # Texts differ also by upstream's spaces and escapes, and by a field that a class
            # gained, so the base is compared as this code would write it.
            return base if _rewritten(policy, base) == mine else mine
        raise self._cannot_store(name, reason)

    def _warn_of_lost_fields(self, name: str, unknown: UnknownFields) -> None:
        lost = unknown.newly_lost()
        if lost is not None:
            _log.warning(
                "Newer code stored fields that this code does not know, and their object, of the "
                "class %s, was replaced or removed: they are not stored any more (property %r, "
                "scope %r, key %r). Change the object in place to keep them.",
                lost.__name__,
                name,
                self.scope,
                self.key,
            )

    def _detach(self, name: str) -> None:
        """Forget a property that the bot did not change, and watch the value it was handed out."""
        self._watch(name, self._base.get(name) or self._defaults.get(name))
        self.forget(name)

    def _watch(self, name: str, text: bytes | None) -> None:
        value = self._live.get(name, ABSENT)
        if text is None or value is ABSENT or isinstance(value, _UNCHANGEABLE):
            return
        policy = self._plain_forms.get(name)
        self._detached.append(_Detached(name, value, text, self._unknown.get(name), policy))
        if len(self._detached) > MAX_DETACHED:
            oldest = self._detached.pop(0)
            if self._was_changed(oldest):
                self._lost_changes.append(oldest.name)

    def _check_detached(self) -> None:
        lost = [*self._lost_changes, *(d.name for d in self._detached if self._was_changed(d))]
        if lost:
            raise self._cannot_store(
                lost[0],
                "a value of it was changed that update(), patch_state() or another writer had "
                "replaced before, so the change would be lost. Get the property again after that, "
                "and change what it gives",
            )

    def _was_changed(self, detached: _Detached) -> bool:
        try:
            return self._encode(*detached) is not detached.text
        except StateEncodeError:
            return True

    def _cannot_store(self, name: str, reason: str) -> StateEncodeError:
        return StateEncodeError(reason, scope=self.scope, key=self.key, property_name=name)

    def _located(self, name: str, error: StateDecodeError) -> StateDecodeError:
        return error.located(scope=self.scope, key=self.key, property_name=name)

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
        before = self._hints.get(name)
        if hint is not None:
            self._hints[name] = hint
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
            value = self.decode(name, text, self.policy(name).versions.current)
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


def _rewritten(policy: PropertyPolicy, text: bytes) -> bytes | None:
    """Return a stored text as this code would write it; None if it cannot be read."""
    try:
        return policy.codec.reencode(text)
    except (StateDecodeError, StateEncodeError):
        return None
