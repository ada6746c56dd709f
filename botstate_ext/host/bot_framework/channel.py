"""HeldChannel: a turn's adapter and handlers while the turn's replies are held.

The turn's adapter is wrapped, because a send handler of the SDK cannot hold a message back. A
handler that was on the context before is called when the message is really sent, so that a
transcript tells what was said; one that the bot adds is called when the bot sends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

from botbuilder.core import BotAdapter, TurnContext
from botbuilder.schema import Activity, ConversationReference, ResourceResponse

from ..holding_adapter import HoldingAdapter
from ..protocol import Replies

Handler: TypeAlias = Callable[[TurnContext, Any, Callable[[], Awaitable[None]]], Awaitable[Any]]

_INVOKE_RESPONSE: Final = BotAdapter._INVOKE_RESPONSE_KEY


class HeldChannel:
    """See `Channel`. Wraps the context's adapter, and takes the handlers off the context."""

    def __init__(self, context: TurnContext, replies: Replies) -> None:
        self._context = context
        self._buffered = len(context.buffered_reply_activities)
        self._responded = context.responded
        self._invoke_response = context.turn_state.get(_INVOKE_RESPONSE)
        self._lists: tuple[list[Handler], ...] = (
            context._on_send_activities,
            context._on_update_activity,
            context._on_delete_activity,
        )
        self._handlers = tuple(tuple(handlers) for handlers in self._lists)
        for handlers in self._lists:
            handlers.clear()  # in place: copies of the context share these lists
        self._adapter = context.adapter
        self._wrapper = context.adapter = HoldingAdapter(replies, self._adapter)

    async def send(self, context: TurnContext, activity: Activity) -> ResourceResponse:
        activities = [activity]
        await _call(self._handlers[0], context, activities)
        sent = await self._adapter.send_activities(context, activities)
        return sent[0] if sent else ResourceResponse()

    async def update(self, context: TurnContext, activity: Activity) -> ResourceResponse | None:
        await _call(self._handlers[1], context, activity)
        return await self._adapter.update_activity(context, activity)

    async def delete(self, context: TurnContext, reference: ConversationReference) -> None:
        await _call(self._handlers[2], context, reference)
        await self._adapter.delete_activity(context, reference)

    async def announce_buffered(self) -> None:
        for activity in self._context.buffered_reply_activities[self._buffered :]:
            await _call(self._handlers[0], self._context, [activity])

    def note_invoke_response(self, context: TurnContext, activity: Activity) -> None:
        context.turn_state[_INVOKE_RESPONSE] = activity

    def take_back(self) -> None:
        context = self._context
        del context.buffered_reply_activities[self._buffered :]
        context._responded = self._responded  # its setter takes no False
        if self._invoke_response is None:
            context.turn_state.pop(_INVOKE_RESPONSE, None)
        else:
            context.turn_state[_INVOKE_RESPONSE] = self._invoke_response

    def release(self) -> None:
        if self._context.adapter is self._wrapper:
            self._context.adapter = self._adapter
        for handlers, before in zip(self._lists, self._handlers, strict=True):
            handlers[:0] = before  # before those that the bot added


async def _call(handlers: Sequence[Handler], context: TurnContext, argument: Any) -> None:
    if handlers:
        await handlers[0](context, argument, lambda: _call(handlers[1:], context, argument))
