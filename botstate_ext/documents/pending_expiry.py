"""What has expired and waits for its handler: claims, and when to try again. Pure.

An expired property that has a handler is moved from the document's properties into its ``$state``,
where a new value of the same name does not meet it. One conditional write claims it for a while;
whoever claimed it runs the handler and takes it out.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from ..clock import Moment, end_of

CLAIM: Final = timedelta(minutes=1)
"""How long a claim holds unless it is renewed."""

_FIRST_DELAY: Final = timedelta(minutes=1)
_LONGEST_DELAY: Final = timedelta(hours=6)


class PropertyTimes(msgspec.Struct, omit_defaults=True):
    """What ``$state`` says of one property.

    ``lifetime``: what ``set(expires_after=)`` gave this value; None: the property's own.
    ``handler``: there is one for its end, so it is not simply dropped.
    ``reference``: the conversation of its last write, where the property keeps it.
    """

    created: Moment | None = None
    updated: Moment | None = None
    expires: Moment | None = None
    version: int = 1
    lifetime: timedelta | None = None
    handler: bool = False
    reference: dict[str, Any] | None = None


class Expiring(msgspec.Struct, omit_defaults=True):
    """An expired value that waits for its handler. ``until``: nobody touches it before, because its
    handler runs, or failed lately; None: it is free. ``attempts``: how often it was claimed."""

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
        """From when on it may be claimed."""
        return self.expired if self.until is None else self.until


def waiting(name: str, text: bytes, times: PropertyTimes, now: datetime) -> Expiring:
    """A property that has expired, free to be claimed."""
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
    """The entry, claimed by the caller."""
    return msgspec.structs.replace(entry, until=end_of(now, CLAIM), attempts=entry.attempts + 1)


def renewed(entry: Expiring, now: datetime) -> Expiring:
    """The entry, with its claim prolonged."""
    return msgspec.structs.replace(entry, until=end_of(now, CLAIM))


def postponed(entry: Expiring, now: datetime) -> Expiring:
    """The entry after its handler failed: tried again later, each time twice as late."""
    doublings = min(entry.attempts - 1, 16)
    return msgspec.structs.replace(
        entry, until=end_of(now, min(_FIRST_DELAY * 2**doublings, _LONGEST_DELAY))
    )
