"""Held replies: what the bot says in a turn is sent when the turn's state is saved, or never."""

from __future__ import annotations

import itertools
from collections import deque
from contextvars import ContextVar
from copy import deepcopy
from types import TracebackType
from typing import Final

from ..host.activity import INVOKE_RESPONSE, Activity, passes_at_once
from ..host.protocol import Context, ConversationReference, Host, ResourceResponse
from .outgoing import Deletion, Message, Update


class HeldReplies:
    """``replies="after_save"``: replies are held while the ``async with`` lasts. At its end they
    are sent in order, one at a time, if `release_on_exit` was called; otherwise they are dropped.

    Inside another turn that holds its replies, they are handed on to that turn instead.
    """

    def __init__(self, host: Host, context: Context) -> None:
        self._host, self._context = host, context
        self._waiting: deque[Message | Update | Deletion] = deque()
        self._responses: dict[str, ResourceResponse] = {}
        self._numbers = itertools.count(1)
        self._state_is_saved = False
        self.is_open = False

    def release_on_exit(self) -> None:
        """Let the replies be sent at the end of the block: state is saved."""
        self._state_is_saved = True

    async def __aenter__(self) -> HeldReplies:
        self._outer = _current.get()
        _current.set(self)
        self._channel = self._host.hold_replies(self._context, self)
        self.is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._state_is_saved and self.is_open:
                await self._release()
        finally:
            self._stop()
            if _current.get() is self:  # not in another task than the one that entered the block
                _current.set(self._outer)

    def _stop(self) -> None:
        """Drop what is still held, and hold no more."""
        if self.is_open:
            self.is_open = False
            if not self._state_is_saved:
                self._channel.take_back()
            self._forget_waiting()
            self._channel.release()

    # What the bot does meanwhile

    async def send(self, context: Context, activity: Activity) -> ResourceResponse:
        """Hold an activity, or send it if it is one that passes at once."""
        if passes_at_once(activity):
            return await self._channel.send(context, activity)
        if activity.type == INVOKE_RESPONSE:
            self._channel.note_invoke_response(context, activity)
        response = self._host.response(f"held-{id(self):x}-{next(self._numbers)}")
        self._responses[response.id] = response
        self._waiting.append(Message(self._channel, context, activity, response))
        return response

    def update(self, context: Context, activity: Activity) -> ResourceResponse:
        """Change a held message, or hold the change of one that is out already."""
        activity = deepcopy(activity)
        held = self._held(activity.id)
        if held is not None:
            activity.type = activity.type or held.activity.type
            held.activity = activity
            return held.response
        activity.id = self.real_id(activity.id)
        response = self._host.response(activity.id)
        self._waiting.append(Update(self._channel, context, activity, response))
        return response

    def delete(self, context: Context, reference: ConversationReference) -> None:
        """Drop a held message, or hold the deletion of one that is out already."""
        held = self._held(reference.activity_id)
        if held is not None:
            self._waiting.remove(held)
            held.response.id = None
            return
        reference = deepcopy(reference)
        reference.activity_id = self.real_id(reference.activity_id)
        self._waiting.append(Deletion(self._channel, context, reference))

    def real_id(self, activity_id: str | None) -> str | None:
        """Return the channel's id of a message that was held; any other id as it is."""
        response = self._responses.get(activity_id or "")
        real: str | None = activity_id if response is None else response.id
        return real

    def _held(self, activity_id: str | None) -> Message | None:
        response = self._responses.get(activity_id or "")
        for action in self._waiting:
            if isinstance(action, Message) and action.response is response:
                return action
        return None

    # How it ends

    async def _release(self) -> None:
        outer = self._outer
        if outer is not None and outer.is_open:
            outer._responses.update(self._responses)
            outer._waiting.extend(self._waiting)
            self._waiting.clear()
            return
        await self._channel.announce_buffered()
        # What is sent meanwhile waits behind the rest, so that the order holds.
        while self._waiting:
            await self._waiting.popleft().go()

    def _forget_waiting(self) -> None:
        for action in self._waiting:
            if isinstance(action, Message):
                action.response.id = None  # nobody shall keep an id that leads nowhere
        self._waiting.clear()


def drop_held_replies() -> None:
    """Drop the replies that the turn holds, and hold no more: an error handler of the app speaks
    next, within the turn. No error if no replies are held."""
    held = _current.get()
    if held is not None:
        held._stop()


def leave_outer_replies() -> None:
    """Let a turn in this task send for itself, and not through the turn that started the task."""
    _current.set(None)


_current: Final[ContextVar[HeldReplies | None]] = ContextVar("botstate_ext.replies", default=None)
