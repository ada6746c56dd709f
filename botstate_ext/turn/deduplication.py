"""Deliveries: an activity that a channel delivers again is not handled again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

from ..clock import positive
from ..errors import StateKeyError
from ..host.activity import (
    INVOKE,
    MESSAGE_DELETE,
    MESSAGE_REACTION,
    MESSAGE_UPDATE,
    TYPING,
    Activity,
    is_continuation,
)
from ..scopes.kinds import ConversationState
from ..states.turn_session import TurnSession
from .locks.key_queue import KeyQueue
from .locks.reentrancy import inside, is_inside

_NOT_ONCE: Final = frozenset(
    {
        INVOKE,  # its sender needs an answer each time
        MESSAGE_UPDATE,  # their id is that of the message, however often it changes
        MESSAGE_DELETE,
        MESSAGE_REACTION,
        TYPING,
    }
)
_LONGEST: Final = 64
_UNMARKED: Final = nullcontext(None)


class Deliveries:
    """The deliveries of activities to a bot. A handled activity leaves a mark in the conversation's
    document, for ``keep``. With None there are no marks, and every delivery is handled.

    :raises TypeError, ValueError: ``keep`` is not a duration, or not longer than zero.
    """

    def __init__(self, conversation: ConversationState, keep: timedelta | None) -> None:
        self._conversation = conversation
        self._keep = positive(keep, "deduplicate")
        self._queue = KeyQueue()

    def delivery(self, turn: Any) -> AbstractAsyncContextManager[Delivery | None]:
        """Run a block for one delivery, after other deliveries of the same activity here. However
        long those take: to go on beside them would be to handle it twice. The block is given None
        if there is no mark: the activity is handled each time."""
        mark = None if self._keep is None else _mark(turn.activity)
        if mark is None or self._keep is None:
            return _UNMARKED
        try:
            key = (self._conversation.get_storage_key(turn), mark)
        except StateKeyError:
            return _UNMARKED
        if is_inside(self, key):
            return _UNMARKED  # the bot's own doing, not the channel's
        return self._after_others(key, Delivery(mark, self._keep))

    @asynccontextmanager
    async def _after_others(
        self, key: tuple[str, str], delivery: Delivery
    ) -> AsyncIterator[Delivery]:
        await self._queue.take(key)
        try:
            with inside(self, key):
                yield delivery
        finally:
            self._queue.pass_on(key)


class Delivery:
    """A delivery that the conversation's document keeps a mark of, for ``keep``."""

    def __init__(self, mark: str, keep: timedelta) -> None:
        self._mark, self._keep = mark, keep

    def is_handled(self, session: TurnSession) -> bool:
        """Return True if a finished turn has handled this activity. State must be loaded."""
        return session.is_handled(self._mark)

    def mark_handled(self, session: TurnSession) -> None:
        """Mark the activity as handled, when the turn is saved."""
        session.mark_handled(self._mark, self._keep)


def _mark(activity: Activity) -> str | None:
    """Return a mark that is the same each time an activity is delivered; None if it has none."""
    if not activity.id or activity.type in _NOT_ONCE or is_continuation(activity):
        return None
    return f"{_brief(str(activity.type))} {_brief(activity.id)}"


def _brief(text: str) -> str:
    """Return the text, or its hash: a client may send anything as type and id."""
    if len(text) <= _LONGEST and text.isprintable():
        return text
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
