"""The clock, and when a property expires. Pure.

A property has expired if the clock says so, even if the clock was set back. Times that are stored
never go back: a clock that is wrong can make a value live longer than it should, but never shorter.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Annotated, Final, TypeAlias

import msgspec

Clock: TypeAlias = Callable[[], datetime]
"""Returns the time now, as an aware UTC datetime."""

Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
"""A stored time. One without a zone is refused when it is read: it could not be compared."""

_FIRST: Final = datetime.min.replace(tzinfo=timezone.utc)
_LAST: Final = datetime.max.replace(tzinfo=timezone.utc)


def system_clock() -> datetime:
    """Return the time of the machine, in UTC."""
    return datetime.now(timezone.utc)


def in_utc(clock: Clock) -> Clock:
    """Return the clock in UTC, so that a day is always 24 hours.

    The returned clock raises ValueError if the given one returns a time without a zone.
    """

    def now() -> datetime:
        time = clock()
        if time.utcoffset() is None:
            raise ValueError("The clock must give aware times, as datetime.now(timezone.utc) is.")
        return time.astimezone(timezone.utc)

    return now


def never_back(clock: Clock) -> Clock:
    """Return the clock without steps back: it stands still while it is behind an earlier time."""
    latest: datetime | None = None

    def now() -> datetime:
        nonlocal latest
        time = clock()
        latest = time if latest is None else max(latest, time)
        return latest

    return now


def positive(duration: timedelta | None, name: str) -> timedelta | None:
    """Return the duration.

    :raises TypeError: it is neither None nor a timedelta.
    :raises ValueError: it is zero or negative.
    """
    if duration is None:
        return None
    if not isinstance(duration, timedelta):
        raise TypeError(f"{name} must be a timedelta, not {type(duration).__name__}.")
    if duration <= timedelta(0):
        raise ValueError(f"{name} must be longer than zero. To remove a property, delete it.")
    return duration


def end_of(start: datetime, lifetime: timedelta) -> datetime:
    """Return ``start`` plus ``lifetime``; the last possible time if the result is beyond it."""
    try:
        return start + lifetime
    except OverflowError:
        return _LAST


def as_utc(moment: datetime) -> datetime:
    """Return the time in UTC; the first or last possible time if the result is beyond them."""
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        return _FIRST if moment.year == _FIRST.year else _LAST


def is_expired(expires: datetime | None, now: datetime) -> bool:
    """Return True from the moment ``expires`` on. None never expires."""
    return expires is not None and now >= expires


def renewal_due(expires: datetime, lifetime: timedelta, now: datetime) -> bool:
    """Return True if a tenth of a sliding lifetime has passed since it was last renewed."""
    return lifetime - lifetime / 10 >= expires - now  # in this order nothing overflows
