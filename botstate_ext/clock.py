"""The clock, and when a property expires. Pure.

Whether something has expired is asked of the clock as it is. What is written down, when a property
was changed and when it will end, never goes back: a clock that does must not shorten a life. So a
clock that was wrong can make a value live longer than it should, and never shorter.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Annotated, Final, TypeAlias

import msgspec

Clock: TypeAlias = Callable[[], datetime]
"""Returns the time now, as an aware UTC datetime."""

Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
"""A stored time: one without a zone cannot be compared, and is refused when it is read."""

_FIRST: Final = datetime.min.replace(tzinfo=timezone.utc)
_LAST: Final = datetime.max.replace(tzinfo=timezone.utc)


def system_clock() -> datetime:
    """The machine's time, UTC."""
    return datetime.now(timezone.utc)


def in_utc(clock: Clock) -> Clock:
    """The same clock in UTC, where adding a day is adding 24 hours, also when a clock is changed.

    It raises ValueError when the clock gives a time without a zone.
    """

    def now() -> datetime:
        time = clock()
        if time.utcoffset() is None:
            raise ValueError("The clock must give aware times, as datetime.now(timezone.utc) is.")
        return time.astimezone(timezone.utc)

    return now


def never_back(clock: Clock) -> Clock:
    """The same clock, standing still while it is behind a time that it gave before."""
    latest: datetime | None = None

    def now() -> datetime:
        nonlocal latest
        time = clock()
        latest = time if latest is None else max(latest, time)
        return latest

    return now


def positive(duration: timedelta | None, name: str) -> timedelta | None:
    """The duration itself.

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
    """When a life that begins at ``start`` ends; the last moment there is, if that is after it."""
    try:
        return start + lifetime
    except OverflowError:
        return _LAST


def as_utc(moment: datetime) -> datetime:
    """The same moment in UTC; the first or the last that there is, if it lies outside of those."""
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        return _FIRST if moment.year == _FIRST.year else _LAST


def is_expired(expires: datetime | None, now: datetime) -> bool:
    """True from the very moment ``expires`` on; a property without one never expires."""
    return expires is not None and now >= expires


def renewal_due(expires: datetime, lifetime: timedelta, now: datetime) -> bool:
    """True when a tenth of a sliding lifetime has gone by since it was last renewed."""
    return lifetime - lifetime / 10 >= expires - now  # in this order nothing overflows
