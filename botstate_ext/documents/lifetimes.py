"""The lifetimes of one document's properties in one unit of work. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from .. import clock
from . import pending_expiry
from .metadata import Metadata
from .pending_expiry import Expiring, PropertyTimes
from .policy import Policies
from .reference import Reference

NO_TIMES: Final = PropertyTimes()
"""The times of a property that another program wrote. Never changed."""


class ExpiredProperty(NamedTuple):
    """Describes a stored property that has expired."""

    text: bytes
    times: PropertyTimes


class PropertyLifetimes:
    """When the properties of one document expire, and which sliding ones were used.

    ``expired``: the properties that are still stored and had expired at the last read.
    """

    def __init__(self, policies: Policies) -> None:
        self.policies = policies
        self.expired: dict[str, ExpiredProperty] = {}
        self._given: dict[str, timedelta | None] = {}
        self._used: set[str] = set()
        self._loaded_expiries: dict[str, datetime] = {}
        self._loaded_last_expiry: datetime | None = None

    # Reading

    def split_off_expired(
        self, stored: dict[str, bytes], metadata: Metadata, now: datetime
    ) -> None:
        """Move the properties that have expired from a document that was just read to `expired`."""
        props = metadata.props
        ended = []
        for name, times in props.items():
            if times.expires is not None and now >= times.expires:
                ended.append(name)
        for name in ended:
            times = props.pop(name)
            text = stored.pop(name, None)
            if text is not None:
                self.expired[name] = ExpiredProperty(text, times)

    def remember_loaded(
        self, touched: Iterable[str], stored: Mapping[str, bytes], metadata: Metadata
    ) -> None:
        """Note when the properties expire that were read before: they are about to be read anew."""
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

    def expired_since_loaded(self, name: str, now: datetime) -> bool:
        """Return True if the text of this property that an earlier read gave has expired by now."""
        return clock.is_expired(self._loaded_expiries.get(name), now)

    def all_expired_since_loaded(self, now: datetime) -> bool:
        """Return True if all texts that an earlier read gave have expired by now."""
        return clock.is_expired(self._loaded_last_expiry, now)

    def note_use(self, name: str, times: PropertyTimes, now: datetime) -> None:
        """Note a use of a property that expires, at most once for each tenth of its lifetime."""
        policy = self.policies.of(name)
        lifetime = policy.expires_after if times.lifetime is None else times.lifetime
        if times.expires is None or lifetime is None or not policy.sliding:
            return
        if clock.renewal_due(times.expires, lifetime, now):
            self._used.add(name)

    # Changing

    def set_lifetime(self, name: str, lifetime: timedelta | None) -> None:
        """Set the lifetime of a new value; None: the property's own."""
        self._given[name] = lifetime

    def forget(self, name: str) -> None:
        """Discard the lifetime of a value that is not to be saved."""
        self._given.pop(name, None)

    # Writing

    def need_rewrite(self, stored: Mapping[str, bytes]) -> bool:
        """Return True if an expired property is to be removed, or a sliding one to be renewed."""
        if not self._used:
            return bool(self.expired)
        return bool(self.expired) or any(name in stored for name in self._used)

    def newly_expiring(self, now: datetime) -> list[Expiring]:
        """Return an entry for each expired property that has a handler, here or elsewhere."""
        return [
            pending_expiry.waiting(name, expired.text, expired.times, now)
            for name, expired in self.expired.items()
            if expired.times.handler or self.policies.has_handler(name)
        ]

    def times(
        self,
        names: Iterable[str],
        metadata: Metadata,
        now: datetime,
        written: Collection[str],
        reference: Reference,
    ) -> dict[str, PropertyTimes]:
        """Return the times to store beside these properties, of which some are written now.

        ``reference``: returns the conversation of this write. Called for a property that keeps it.
        """
        times: dict[str, PropertyTimes] = {}
        for name in names:
            before = metadata.props.get(name) or NO_TIMES
            if name in written:
                before = self._times_written(name, before, now, reference)
            elif name in self._used and before.expires is not None:
                before = self._times_renewed(name, before, before.expires, now)
            times[name] = before
        return times

    def record_write(self, changes: Iterable[str]) -> None:
        """Note that these changes and all renewals are stored, and the expired are removed."""
        for name in changes:
            self._given.pop(name, None)
        self._used.clear()
        self.expired = {}

    def _times_written(
        self, name: str, before: PropertyTimes, now: datetime, reference: Reference
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
            reference=(reference() or before.reference) if policy.keep_reference else None,
        )

    def _times_renewed(
        self, name: str, before: PropertyTimes, expires: datetime, now: datetime
    ) -> PropertyTimes:
        own = self.policies.of(name).expires_after
        lifetime = own if before.lifetime is None else before.lifetime
        if lifetime is None:
            return before
        # Never earlier than it was: a use cannot shorten a life, whatever the clock says.
        return msgspec.structs.replace(before, expires=max(expires, clock.end_of(now, lifetime)))
