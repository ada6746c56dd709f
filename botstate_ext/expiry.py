"""The clock, and when a property expires. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Returns the time now, as an aware UTC datetime."""


def system_clock() -> datetime:
    """The machine's time, UTC."""
    return datetime.now(timezone.utc)


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


def is_expired(expires: datetime | None, now: datetime) -> bool:
    """True from the very moment ``expires`` on; a property without one never expires."""
    return expires is not None and now >= expires


def renewal_due(expires: datetime, lifetime: timedelta, now: datetime) -> bool:
    """True when a tenth of a sliding lifetime has gone by since it was last renewed."""
    return now + lifetime - expires >= lifetime / 10
