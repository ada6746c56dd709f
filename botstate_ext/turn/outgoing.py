"""What goes to the channel, one action at a time, and what is never held on its way there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ActivityTypes, ConversationReference, ResourceResponse

Handler: TypeAlias = Callable[[TurnContext, Any, Callable[[], Awaitable[None]]], Awaitable[Any]]

# "delay" is the adapters' own: the SDK has no name for it.
_PASSING: Final = frozenset({ActivityTypes.typing, ActivityTypes.trace, "delay"})


def passes_at_once(activity: Activity) -> bool:
    """True for what shows that the bot is at work, and for every part of a streamed message: the
    channel joins the parts by the id that it gave to the first."""
    return activity.type in _PASSING or _is_streamed(activity)


class Channel:
    """The adapter of a turn, and the handlers that were on its context; these are taken off."""

    def __init__(self, context: TurnContext) -> None:
        self.adapter = context.adapter
        self._lists: tuple[list[Handler], ...] = (
            context._on_send_activities,
            context._on_update_activity,
            context._on_delete_activity,
        )
        self._handlers = tuple(tuple(handlers) for handlers in self._lists)
        for handlers in self._lists:
            handlers.clear()  # in place: copies of the context share these lists

    def put_back_handlers(self) -> None:
        """Put them on the context again, before those that were added since."""
        for handlers, before in zip(self._lists, self._handlers, strict=True):
            handlers[:0] = before

    async def announce(self, context: TurnContext, activities: list[Activity]) -> None:
        """Call the send handlers."""
        await _call(self._handlers[0], context, activities)

    async def send(self, context: TurnContext, activity: Activity) -> ResourceResponse:
        """Send one activity."""
        activities = [activity]
        await self.announce(context, activities)
        sent = await self.adapter.send_activities(context, activities)
        return sent[0] if sent else ResourceResponse()

    async def update(self, context: TurnContext, activity: Activity) -> ResourceResponse | None:
        """Change a message that is out."""
        await _call(self._handlers[1], context, activity)
        return await self.adapter.update_activity(context, activity)

    async def delete(self, context: TurnContext, reference: ConversationReference) -> None:
        """Delete a message that is out."""
        await _call(self._handlers[2], context, reference)
        await self.adapter.delete_activity(context, reference)


@dataclass(eq=False)
class Message:
    """A message that the bot sent; ``response`` is the object that the bot got for it."""

    channel: Channel
    context: TurnContext
    activity: Activity
    response: ResourceResponse

    async def go(self) -> None:
        self.response.id = (await self.channel.send(self.context, self.activity)).id


@dataclass(eq=False)
class Update:
    """A change of a message that was out before the turn."""

    channel: Channel
    context: TurnContext
    activity: Activity
    response: ResourceResponse

    async def go(self) -> None:
        updated = await self.channel.update(self.context, self.activity)
        if updated is not None:
            self.response.id = updated.id


@dataclass(eq=False)
class Deletion:
    """The deletion of a message that was out before the turn."""

    channel: Channel
    context: TurnContext
    reference: ConversationReference

    async def go(self) -> None:
        await self.channel.delete(self.context, self.reference)


async def _call(handlers: Sequence[Handler], context: TurnContext, argument: Any) -> None:
    if handlers:
        await handlers[0](context, argument, lambda: _call(handlers[1:], context, argument))


def _is_streamed(activity: Activity) -> bool:
    data = activity.channel_data
    if isinstance(data, dict) and "streamType" in data:
        return True
    return any(_type(entity) == "streaminfo" for entity in activity.entities or ())


def _type(entity: Any) -> Any:
    return entity.get("type") if isinstance(entity, dict) else getattr(entity, "type", None)
