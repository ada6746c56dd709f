"""Deliveries: what a channel delivers again is not handled again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final, Protocol

from botbuilder.schema import Activity, ActivityTypes

from ..clock import positive
from ..documents.document import Document
from ..errors import StateKeyError
from .locks.base import is_continuation
from .locks.key_queue import Places
from .locks.reentrancy import inside, is_inside

_NOT_ONCE: Final = frozenset(
    {
        ActivityTypes.invoke,  # its sender needs an answer each time
        ActivityTypes.message_update,  # their id is that of the message, however often it changes
        ActivityTypes.message_delete,
        ActivityTypes.message_reaction,
        ActivityTypes.typing,
    }
)
_LONGEST: Final = 64


class MarkedScope(Protocol):
    """The scope whose documents hold the marks."""

    def get_storage_key(self, turn_context: Any) -> str: ...
    def unloaded_document(self, turn: Any) -> Document: ...


class Deliveries:
    """The deliveries of activities to a bot. Which were handled is noted in the conversation's
    document, for ``keep``; with None nothing is noted, and every delivery is handled.

    :raises TypeError, ValueError: ``keep`` is not a duration, or not longer than zero.
    """

    def __init__(self, conversation: MarkedScope, keep: timedelta | None) -> None:
        self._conversation = conversation
        self._keep = positive(keep, "deduplicate")
        self._running = Places()

    def delivery(self, turn: Any) -> AbstractAsyncContextManager[Delivery]:
        """Run a block for one delivery, after other deliveries of the same activity here. However
        long those take: to go on beside them would be to handle it twice."""
        mark = None if self._keep is None else _mark(turn.activity)
        if mark is None or self._keep is None:
            return _UNNOTED
        try:
            place = (self._conversation.get_storage_key(turn), mark)
        except StateKeyError:
            return _UNNOTED
        if is_inside(self, place):
            return _UNNOTED  # the bot's own doing, not the channel's
        return self._after_others(place, NotedDelivery(self._conversation, turn, mark, self._keep))

    @asynccontextmanager
    async def _after_others(
        self, place: tuple[str, str], delivery: Delivery
    ) -> AsyncIterator[Delivery]:
        await self._running.take(place)
        try:
            with inside(self, place):
                yield delivery
        finally:
            self._running.pass_on(place)


class Delivery:
    """A delivery that nobody notes: it is always handled."""

    def is_handled(self) -> bool:
        """True when a turn that is finished has handled this activity. State must be loaded."""
        return False

    def note(self) -> None:
        """Let the save of this turn note that the activity is handled."""


_UNNOTED: Final = nullcontext(Delivery())


class NotedDelivery(Delivery):
    """A delivery that is noted in a document."""

    def __init__(self, conversation: MarkedScope, turn: Any, mark: str, keep: timedelta) -> None:
        self._conversation, self._turn = conversation, turn
        self._mark, self._keep = mark, keep

    def is_handled(self) -> bool:
        return self._conversation.unloaded_document(self._turn).is_handled(self._mark)

    def note(self) -> None:
        self._conversation.unloaded_document(self._turn).marks[self._mark] = self._keep


def _mark(activity: Activity) -> str | None:
    """What an activity is known by when it comes again; None if that cannot be told."""
    if not activity.id or activity.type in _NOT_ONCE or is_continuation(activity):
        return None
    return f"{_brief(str(activity.type))} {_brief(activity.id)}"


def _brief(text: str) -> str:
    """The text, or its hash: a client may send anything as type and id."""
    if len(text) <= _LONGEST and text.isprintable():
        return text
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
