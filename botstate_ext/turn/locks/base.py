"""TurnLock: the rules of turns that run one after another, and what a lock has to bring."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, TypeAlias

from ...errors import StateKeyError
from ...host.activity import INVOKE, MESSAGE_REACTION, TYPING, Activity, is_continuation
from ...keys import build as keys
from .reentrancy import inside, is_inside

TurnKey: TypeAlias = Callable[[Any], "str | None"]
"""``(turn) -> key``: turns of one key run one after another. None: the key of its conversation."""

_WAIT: Final = timedelta(seconds=10)
_INVOKE_WAIT: Final = timedelta(seconds=2)
_NEVER_WAIT: Final = frozenset({TYPING, MESSAGE_REACTION})
_BESIDE: Final = nullcontext(True)
_log: Final = logging.getLogger("botstate_ext")


class TurnLock(ABC):
    """Turns of one conversation, one after another. A lock of one's own implements `hold`.

    ``wait``: how long a turn waits for the turns before it, and ``invoke_wait`` an invoke, whose
    sender does not wait long. After that it goes on beside them, with a warning: what keeps state
    whole are the ETags; a lock spares turns their conflicts. Zero: do not wait.

    ``by``: ``(turn) -> key``, to serialise turns by something else than their conversation, such as
    each user of a group chat apart. None from it means the conversation.

    These do not wait, and nobody waits for them: typing, reactions, ``continue_conversation`` (it
    brings a skill's reply, for which the turn that holds the place may be waiting), a turn inside
    a turn of the same key, and an activity that names no conversation.

    :raises ValueError: ``wait`` or ``invoke_wait`` is negative.
    """

    def __init__(
        self,
        *,
        wait: timedelta = _WAIT,
        invoke_wait: timedelta = _INVOKE_WAIT,
        by: TurnKey | None = None,
    ) -> None:
        self._wait = _not_negative(wait, "wait")
        self._invoke_wait = _not_negative(invoke_wait, "invoke_wait")
        self._by = by

    @abstractmethod
    def hold(self, key: str, wait: timedelta) -> AbstractAsyncContextManager[bool]:
        """Wait at most so long for the place of this key, and hold it for the block.

        The block is given True when it holds the place, and False when it took too long: it runs
        all the same. A block that is cancelled, while it waits or later, leaves nothing held.

        :raises StateStorageError: what the lock is kept in failed; the turn fails with it.
        """

    def turn(self, turn: Any) -> AbstractAsyncContextManager[None]:
        """Run a block as this turn, after those before it."""
        key = self._key(turn)
        if key is None:
            return nullcontext()
        wait = self._wait_of(turn.activity)
        if wait is None or is_inside(self, key):
            return _Place(self, key, _BESIDE, timedelta(0))
        return _Place(self, key, self.hold(key, wait), wait)

    def _key(self, turn: Any) -> str | None:
        own = None if self._by is None else self._by(turn)
        if own is not None:
            return own
        try:
            return keys.conversation_key(turn.activity)
        except StateKeyError:
            return None

    def _wait_of(self, activity: Activity) -> timedelta | None:
        """How long this activity waits; None if it does not take part."""
        if activity.type in _NEVER_WAIT or is_continuation(activity):
            return None
        return self._invoke_wait if activity.type == INVOKE else self._wait


class _Place(AbstractAsyncContextManager[None]):
    """A turn of this key, in the place that it waits for. A class and no generator, for it is in
    every turn's path."""

    __slots__ = ("_hold", "_inside", "_key", "_wait")

    def __init__(
        self, lock: TurnLock, key: str, hold: AbstractAsyncContextManager[bool], wait: timedelta
    ) -> None:
        self._hold, self._key, self._wait = hold, key, wait
        self._inside = inside(lock, key)

    async def __aenter__(self) -> None:
        if not await self._hold.__aenter__():
            _log.warning(
                "A turn waited %g s for others of %r, and goes on beside them. ETags protect "
                "what both change. If its bot is slow, raise `wait`.",
                self._wait.total_seconds(),
                self._key,
            )
        self._inside.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._inside.__exit__()
        return await self._hold.__aexit__(kind, error, trace)


def _not_negative(duration: timedelta, name: str) -> timedelta:
    if not isinstance(duration, timedelta):
        raise TypeError(f"{name} must be a timedelta, not {type(duration).__name__}.")
    if duration < timedelta(0):
        raise ValueError(f"{name} must not be negative.")
    return duration
