"""Expired values that wait for their handlers: claims, and when to try again. Pure.

An expired property with a handler is moved from the document's properties to ``$state``, so that a
new value of the same name can be set. A conditional write claims the entry for a minute. The
process that claimed it runs the handler and then removes the entry.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from ..clock import Moment, end_of

CLAIM: Final = timedelta(minutes=1)
"""The time that a claim holds if it is not renewed."""

_FIRST_DELAY: Final = timedelta(minutes=1)
_LONGEST_DELAY: Final = timedelta(hours=6)


class PropertyTimes(msgspec.Struct, omit_defaults=True, gc=False):
    """Holds the metadata of one property, in ``$state``.

    - ``lifetime``: the one that ``set(expires_after=)`` gave this value; None: the property's own.
    - ``handler``: True if it has an expiry handler, so that it may not simply be removed.
    - ``reference``: the conversation of its last write, if the property keeps it.
    """

    created: Moment | None = None
    updated: Moment | None = None
    expires: Moment | None = None
    version: int = 1
    lifetime: timedelta | None = None
    handler: bool = False
    reference: dict[str, Any] | None = None


class Expiring(msgspec.Struct, omit_defaults=True, gc=False):
    """Holds an expired value that waits for its handler.

    - ``until``: nobody may claim it before, because its handler runs, or failed; None: it is free.
    - ``attempts``: how often it was claimed.
    """

    id: str
    name: str
    value: msgspec.Raw
    expired: Moment
    created: Moment | None = None
    updated: Moment | None = None
    until: Moment | None = None
    attempts: int = 0
    reference: dict[str, Any] | None = None
    version: int = 1

    @property
    def due(self) -> datetime:
        """Return the time from which it may be claimed."""
        return self.expired if self.until is None else self.until


def waiting(name: str, text: bytes, times: PropertyTimes, now: datetime) -> Expiring:
    """Return an entry, free to be claimed, for a property that has expired."""
    return Expiring(
        id=secrets.token_urlsafe(9),
        name=name,
        value=msgspec.Raw(text),
        expired=now if times.expires is None else times.expires,
        created=times.created,
        updated=times.updated,
        reference=times.reference,
        version=times.version,
    )


def claimed(entry: Expiring, now: datetime) -> Expiring:
    """Return the entry as claimed by the caller."""
    return msgspec.structs.replace(entry, until=end_of(now, CLAIM), attempts=entry.attempts + 1)


def renewed(entry: Expiring, now: datetime) -> Expiring:
    """Return the entry with its claim prolonged."""
    return msgspec.structs.replace(entry, until=end_of(now, CLAIM))


def postponed(entry: Expiring, now: datetime) -> Expiring:
    """Return the entry after its handler failed. Each failure doubles the delay before the next
    try, from 1 minute up to 6 hours."""
    doublings = min(entry.attempts - 1, 16)
    return msgspec.structs.replace(
        entry, until=end_of(now, min(_FIRST_DELAY * 2**doublings, _LONGEST_DELAY))
    )
