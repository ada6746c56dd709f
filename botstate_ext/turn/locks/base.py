"""TurnLock: the rules of turns that run one after another, and what a lock has to bring."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias

from ...errors import StateConflictError, StateKeyError
from ...host.activity import EVENT, INVOKE, MESSAGE_REACTION, TYPING, Activity, is_continuation
from ...host.protocol import Host
from ...keys import build as keys
from .overtime import Overtime
from .reentrancy import inside, is_inside

TurnKey: TypeAlias = Callable[[Any], "str | None"]
"""``(turn) -> key``: turns of one key run one after another. None: the key of its conversation."""

OnTimeout: TypeAlias = Literal["proceed", "raise"]
"""See `TurnLock`."""

ON_TIMEOUT: Final = ("proceed", "raise")
_WAIT: Final = timedelta(seconds=10)
_INVOKE_WAIT: Final = timedelta(seconds=2)
_NEVER_WAIT: Final = frozenset({TYPING, MESSAGE_REACTION})
_BESIDE: Final = nullcontext(True)
_log: Final = logging.getLogger("botstate_ext")


class TurnLock(ABC):
    """Turns of one conversation, one after another. A lock of one's own implements `hold`.

    ``wait``: how long a turn waits for the turns before it, and ``invoke_wait`` an invoke, whose
    sender does not wait long. After that it goes on beside the one that runs, with a warning: ETags
    keep state whole in any case; a lock spares turns their conflicts. Zero: do not wait.

    ``on_timeout``: the end of a turn's wait. ``"proceed"``: it goes on, as above. If the wait of
    many turns is over, the turns of one process go on one after another, so that they do not run
    into conflicts together; each waits for the one before it at most ``wait`` again. An invoke goes
    on at once. ``"raise"``: `StateConflictError`, before its bot ran; the channel may deliver the
    activity again. Choose it where a late answer is worth nothing.

    ``by``: ``(turn) -> key``, to serialise turns by something else than their conversation, such as
    each user of a group chat apart. None from it means the conversation.

    These do not wait, and nobody waits for them: typing, reactions, ``continue_conversation`` (it
    brings a skill's reply, for which the turn that holds the lock may be waiting), a turn inside
    a turn of the same key, and an activity that names no conversation.

    :raises ValueError: ``wait`` or ``invoke_wait`` is negative, or ``on_timeout`` is none of these.
    """

    def __init__(
        self,
        *,
        wait: timedelta = _WAIT,
        invoke_wait: timedelta = _INVOKE_WAIT,
        by: TurnKey | None = None,
        on_timeout: OnTimeout = "proceed",
    ) -> None:
        if on_timeout not in ON_TIMEOUT:
            raise ValueError(f"on_timeout must be one of {ON_TIMEOUT}, not {on_timeout!r}.")
        self._on_timeout = on_timeout
        self._overtime = Overtime()
        self._wait = _not_negative(wait, "wait")
        self._invoke_wait = _not_negative(invoke_wait, "invoke_wait")
        self._by = by

    @abstractmethod
    def hold(self, key: str, wait: timedelta) -> AbstractAsyncContextManager[bool]:
        """Wait for the lock of this key, at most so long, and hold it for the block.

        The block is given True if it holds the lock, and False if the wait took too long: it runs
        all the same. A block that is cancelled, while it waits or later, leaves nothing held.

        The end of the block cannot change how the turn ended, for its state is saved by then: an
        error that is raised there is logged, and an error of the turn cannot be suppressed.

        :raises StateStorageError: the storage of the lock failed; the turn fails with it.
        """

    async def aclose(self) -> None:  # noqa: B027 - a lock that opens nothing closes nothing
        """Close the connections that the lock opened. ``StateScopes.aclose`` does so for the locks
        of its ``StateMiddleware``. Closing twice is no error, and a lock that is used again opens
        again."""

    def turn(self, turn: Any, host: Host | None = None) -> AbstractAsyncContextManager[None]:
        """Run a block as this turn, after the turns before it. ``host``: the wrapper of the turn's
        SDK, by which the turn's conversation has the key of its document. None: the activity is
        taken as it is."""
        key = self._key(turn, host)
        if key is None:
            return nullcontext()
        wait = self._wait_of(turn.activity)
        if wait is None or is_inside(self, key):
            return _Turn(self, key, _BESIDE, timedelta(0), None)
        overtime = None if turn.activity.type == INVOKE else self._overtime
        return _Turn(self, key, self.hold(key, wait), wait, overtime)

    def _key(self, turn: Any, host: Host | None) -> str | None:
        own = None if self._by is None else self._by(turn)
        if own is not None:
            return own
        try:
            activity = turn.activity if host is None else host.key_activity(turn.activity)
            return keys.conversation_key(activity)
        except StateKeyError:
            return None

    def _wait_of(self, activity: Activity) -> timedelta | None:
        """Return how long this activity waits; None if it does not take part."""
        if activity.type in _NEVER_WAIT or (activity.type == EVENT and is_continuation(activity)):
            return None
        return self._invoke_wait if activity.type == INVOKE else self._wait


class _Turn(AbstractAsyncContextManager[None]):
    """A turn of this key, after those before it. A class and no generator, for it is in
    every turn's path."""

    __slots__ = ("_end_overtime", "_hold", "_inside", "_key", "_lock", "_overtime", "_wait")

    def __init__(
        self,
        lock: TurnLock,
        key: str,
        hold: AbstractAsyncContextManager[bool],
        wait: timedelta,
        overtime: Overtime | None,
    ) -> None:
        self._lock, self._hold, self._key, self._wait = lock, hold, key, wait
        self._overtime = overtime
        self._end_overtime: Callable[[], None] | None = None
        self._inside = inside(lock, key)

    async def __aenter__(self) -> None:
        is_held = await self._hold.__aenter__()
        overtime = self._overtime
        # Who holds the lock came later than those in overtime, and comes after them.
        if not is_held or (overtime is not None and self._key in overtime.held):
            try:
                await self._go_on(is_held)
            except BaseException:
                await self._release(None, None, None)
                raise
        self._inside.__enter__()

    async def _go_on(self, is_held: bool) -> None:
        """Go on when the wait is over, after the others whose wait is.

        :raises StateConflictError: the turn is not to go on.
        """
        seconds = self._wait.total_seconds()
        if not is_held:
            if self._lock._on_timeout == "raise":
                raise StateConflictError(
                    f"this turn waited {seconds:g} s for others, and did not run. Deliver its "
                    "activity again later, or raise `wait`.",
                    key=self._key,
                )
            _log.warning(
                "A turn waited %g s for others of %r, and goes on beside them. ETags protect "
                "what both change. If its bot is slow, raise `wait`.",
                seconds,
                self._key,
            )
        if self._overtime is not None:
            self._end_overtime = await self._overtime.begin(self._key, seconds)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._inside.__exit__()
        if self._end_overtime is not None:
            self._end_overtime()
        await self._release(kind, error, trace)

    async def _release(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._hold.__aexit__(kind, error, trace)
        except Exception as failure:  # noqa: BLE001 - raised, it would be taken for the turn's own
            if failure is not error:
                _log.exception(
                    "A turn lock failed to release %r. The turn has ended all the same; turns "
                    "after it may have to wait.",
                    self._key,
                )


def _not_negative(duration: timedelta, name: str) -> timedelta:
    if not isinstance(duration, timedelta):
        raise TypeError(f"{name} must be a timedelta, not {type(duration).__name__}.")
    if duration < timedelta(0):
        raise ValueError(f"{name} must not be negative.")
    return duration
