"""How long the properties of one document live, as one unit of work sees it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from .. import clock
from . import pending_expiry
from .metadata import Metadata
from .pending_expiry import Expiring, PropertyTimes
from .policy import Policies


class ExpiredProperty(NamedTuple):
    """A property that is stored and has expired."""

    text: bytes
    times: PropertyTimes


class PropertyLifetimes:
    """See the module. It belongs to one ``Document``, which tells it what happens."""

    def __init__(self, policies: Policies) -> None:
        self.policies = policies
        self.expired: dict[str, ExpiredProperty] = {}
        self._given: dict[str, timedelta | None] = {}
        self._used: set[str] = set()
        self._loaded_expiries: dict[str, datetime] = {}
        self._loaded_last_expiry: datetime | None = None

    # What the document tells

    def split_off_expired(
        self, stored: dict[str, bytes], metadata: Metadata, now: datetime
    ) -> None:
        """Take what has expired out of a document that was just read."""
        for name in metadata.expired(now):
            times = metadata.props.pop(name)
            text = stored.pop(name, None)
            if text is not None:
                self.expired[name] = ExpiredProperty(text, times)

    def remember_loaded(
        self, touched: Iterable[str], stored: Mapping[str, bytes], metadata: Metadata
    ) -> None:
        """Remember when what was read before would have expired: it is about to be read again."""
        for name in touched:
            times = metadata.props.get(name)
            if times is not None and times.expires is not None:
                self._loaded_expiries[name] = times.expires
        if stored:
            self._loaded_last_expiry = metadata.last_expiry(stored)
        elif self.expired:
            self._loaded_last_expiry = max(
                e.times.expires for e in self.expired.values() if e.times.expires
            )
        self.expired = {}

    def set_lifetime(self, name: str, lifetime: timedelta | None) -> None:
        """A value was set with this lifetime; None: with the property's own."""
        self._given[name] = lifetime

    def note_use(self, name: str, times: PropertyTimes | None, now: datetime) -> None:
        """Note a use of a sliding property, at most once for each tenth of its lifetime."""
        if times is None or times.expires is None or not self.policies.of(name).sliding:
            return
        lifetime = self._lifetime(name, times)
        if lifetime is not None and clock.renewal_due(times.expires, lifetime, now):
            self._used.add(name)

    def forget(self, name: str) -> None:
        """What was set is not to be saved."""
        self._given.pop(name, None)

    def record_write(self, changes: Iterable[str]) -> None:
        """These changes and all renewals are stored, and what had expired is gone."""
        for name in changes:
            self._given.pop(name, None)
        self._used.clear()
        self.expired = {}

    # What the document asks

    def need_rewrite(self, stored: Mapping[str, bytes]) -> bool:
        """True when something is to be written though the bot changed nothing."""
        return bool(self.expired) or any(name in stored for name in self._used)

    def expired_since_loaded(self, name: str, now: datetime) -> bool:
        """True when what was read of this property before would have expired by now."""
        return clock.is_expired(self._loaded_expiries.get(name), now)

    def all_expired_since_loaded(self, now: datetime) -> bool:
        """True when all that was read of the document before would have expired by now."""
        return clock.is_expired(self._loaded_last_expiry, now)

    def times(
        self,
        name: str,
        metadata: Metadata,
        now: datetime,
        *,
        is_written: bool,
        reference: dict[str, Any] | None,
    ) -> PropertyTimes:
        """What to store beside a property that is stored at ``now``."""
        before = metadata.props.get(name) or PropertyTimes()
        if is_written:
            return self._times_written(name, before, now, reference)
        if before.expires is None or name not in self._used:
            return before
        lifetime = self._lifetime(name, before)
        if lifetime is None:
            return before
        # Never earlier than it was: a use cannot shorten a life, whatever the clock says.
        expires = max(before.expires, clock.end_of(now, lifetime))
        return msgspec.structs.replace(before, expires=expires)

    def newly_expiring(self, now: datetime) -> list[Expiring]:
        """What has expired and has a handler, here or in another process, to be kept for it."""
        return [
            pending_expiry.waiting(name, expired.text, expired.times, now)
            for name, expired in self.expired.items()
            if expired.times.handler or self.policies.has_handler(name)
        ]

    def _times_written(
        self,
        name: str,
        before: PropertyTimes,
        now: datetime,
        reference: dict[str, Any] | None,
    ) -> PropertyTimes:
        policy = self.policies.of(name)
        own = self._given.get(name, before.lifetime)
        lifetime = policy.expires_after if own is None else own
        return PropertyTimes(
            created=before.created or now,
            updated=now,
            expires=None if lifetime is None else clock.end_of(now, lifetime),
            version=policy.versions.current,
            lifetime=own,
            handler=before.handler or self.policies.has_handler(name),
            reference=(reference or before.reference) if policy.keep_reference else None,
        )

    def _lifetime(self, name: str, times: PropertyTimes) -> timedelta | None:
        own = self.policies.of(name).expires_after
        return own if times.lifetime is None else times.lifetime
