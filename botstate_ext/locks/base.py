"""TurnLock: the rules of turns that run one after another, and what a lock has to bring."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import timedelta
from typing import Any, Final, TypeAlias

from botbuilder.schema import Activity, ActivityEventNames, ActivityTypes

from .. import keys
from ..errors import StateKeyError
from .inside import inside, is_inside

TurnKey: TypeAlias = Callable[[Any], "str | None"]
"""``(turn) -> key``: turns of one key run one after another. None: the key of its conversation."""

_WAIT: Final = timedelta(seconds=10)
_INVOKE_WAIT: Final = timedelta(seconds=2)
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
            return self._beside(key)
        return self._after_others(key, wait)

    @asynccontextmanager
    async def _beside(self, key: str) -> AsyncIterator[None]:
        with inside(self, key):
            yield

    @asynccontextmanager
    async def _after_others(self, key: str, wait: timedelta) -> AsyncIterator[None]:
        async with self.hold(key, wait) as is_held:
            if not is_held:
                _log.warning(
                    "A turn waited %g s for others of %r, and goes on beside them. ETags protect "
                    "what both change. If its bot is slow, raise `wait`.",
                    wait.total_seconds(),
                    key,
                )
            with inside(self, key):
                yield

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
        if activity.type in (ActivityTypes.typing, ActivityTypes.message_reaction):
            return None
        if is_continuation(activity):
            return None
        return self._invoke_wait if activity.type == ActivityTypes.invoke else self._wait


def is_continuation(activity: Activity) -> bool:
    """True for what ``continue_conversation`` makes: no channel sent it."""
    kind: tuple[str, str | None] = (activity.type, activity.name)
    return kind == (ActivityTypes.event, ActivityEventNames.continue_conversation)


def _not_negative(duration: timedelta, name: str) -> timedelta:
    if not isinstance(duration, timedelta):
        raise TypeError(f"{name} must be a timedelta, not {type(duration).__name__}.")
    if duration < timedelta(0):
        raise ValueError(f"{name} must not be negative.")
    return duration
