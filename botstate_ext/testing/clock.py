"""A clock that stands still until it is told to move."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone


class ManualClock:
    """Stands still until a test moves it. Pass it as the ``clock`` argument of any class.

    Calling it returns its time, as an aware UTC datetime.

    :raises ValueError: ``start`` is naive.
    """

    def __init__(self, start: datetime) -> None:
        if start.utcoffset() is None:
            raise ValueError(
                "start must be aware, for example datetime(2024, 1, 1, tzinfo=timezone.utc)."
            )
        self._now = start.astimezone(timezone.utc)

    def __call__(self) -> datetime:
        return self._now

    def now(self) -> datetime:
        """Return the clock's time."""
        return self._now

    def advance(self, duration: timedelta) -> datetime:
        """Move the clock on, or back if the duration is negative. Return the new time.

        Example: ``clock.advance(timedelta(hours=1))``
        """
        self._now += duration
        return self._now

    def __repr__(self) -> str:
        return f"<ManualClock at {self._now.isoformat()}>"
