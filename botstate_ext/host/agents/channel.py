"""HeldChannel: a turn's adapter and handlers while the turn's replies are held.

The turn's adapter is wrapped, so that nothing that sends past the context is missed. A handler that
was on the context before is called when the message is really sent, and may still suppress it; one
that the agent adds is called when the agent sends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

from ..holding_adapter import HoldingAdapter
from ..protocol import Replies
from .privates import connect, handler_lists, set_responded
from .sdk import (
    Activity,
    ChannelAdapter,
    ConnectorClientBase,
    ConversationReference,
    ResourceResponse,
    TurnContext,
)

Handler: TypeAlias = Callable[[TurnContext, Any, Callable[[], Awaitable[Any]]], Awaitable[Any]]

_INVOKE_RESPONSE: Final = ChannelAdapter.INVOKE_RESPONSE_KEY


class HeldChannel:
    """See `Channel`. Wraps the context's adapter, and takes the handlers off the context."""

    def __init__(self, context: TurnContext, replies: Replies) -> None:
        self._context = context
        self._responded = context.responded
        self._invoke_response = context.turn_state.get(_INVOKE_RESPONSE)
        self._lists: tuple[list[Handler], ...] = handler_lists(context)
        self._handlers = tuple(tuple(handlers) for handlers in self._lists)
        for handlers in self._lists:
            handlers.clear()  # in place: copies of the context share these lists
        self._adapter = context.adapter
        self._wrapper = context.adapter = HoldingAdapter(replies, self._adapter)

    async def send(self, context: TurnContext, activity: Activity) -> ResourceResponse:
        activities = [activity]

        async def send() -> Any:
            async with _connection(context, self._adapter):
                return await self._adapter.send_activities(context, activities)

        sent = await _call(self._handlers[0], context, activities, send)
        return sent[0] if sent else ResourceResponse()

    async def update(self, context: TurnContext, activity: Activity) -> ResourceResponse | None:
        async def send() -> Any:
            async with _connection(context, self._adapter):
                return await self._adapter.update_activity(context, activity)

        return await _call(self._handlers[1], context, activity, send)

    async def delete(self, context: TurnContext, reference: ConversationReference) -> None:
        async def send() -> Any:
            async with _connection(context, self._adapter):
                await self._adapter.delete_activity(context, reference)

        await _call(self._handlers[2], context, reference, send)

    async def announce_buffered(self) -> None:
        pass  # this SDK's adapter buffers, and it is asked when a reply is really sent

    def note_invoke_response(self, context: TurnContext, activity: Activity) -> None:
        context.turn_state[_INVOKE_RESPONSE] = activity

    def take_back(self) -> None:
        context = self._context
        set_responded(context, self._responded)
        if self._invoke_response is None:
            context.turn_state.pop(_INVOKE_RESPONSE, None)
        else:
            context.turn_state[_INVOKE_RESPONSE] = self._invoke_response

    def release(self) -> None:
        if self._context.adapter is self._wrapper:
            self._context.adapter = self._adapter
        for handlers, before in zip(self._lists, self._handlers, strict=True):
            handlers[:0] = before  # before those that the agent added


async def _call(
    handlers: Sequence[Handler],
    context: TurnContext,
    argument: Any,
    send: Callable[[], Awaitable[Any]],
) -> Any:
    if not handlers:
        return await send()
    return await handlers[0](
        context, argument, lambda: _call(handlers[1:], context, argument, send)
    )


@asynccontextmanager
async def _connection(context: TurnContext, adapter: Any) -> AsyncIterator[None]:
    """Give the context a connection to its channel for a block.

    The SDK closes that of a turn inside a turn when the inner one ends, and its replies may be held
    until the outer one is saved.
    """
    closed = context.services.get(ConnectorClientBase)
    if not getattr(getattr(closed, "client", None), "closed", False):
        yield
        return
    audience = context.turn_state.get(ChannelAdapter.OAUTH_SCOPE_KEY)
    fresh = await connect(adapter, context, audience)
    context.services.set(ConnectorClientBase, fresh)
    try:
        yield
    finally:
        context.services.set(ConnectorClientBase, closed)
        await fresh.close()
