"""What a bot sent while its replies were held: one action for each, to be done later in order."""

from __future__ import annotations

from msgspec import Struct

from ..host.activity import Activity
from ..host.protocol import Channel, Context, ConversationReference, ResourceResponse


class Message(Struct, eq=False):
    """A message that the bot sent; ``response`` is the object that the bot got for it."""

    channel: Channel
    context: Context
    activity: Activity
    response: ResourceResponse

    async def go(self) -> None:
        self.response.id = (await self.channel.send(self.context, self.activity)).id


class Update(Struct, eq=False):
    """A change of a message that was out before the turn."""

    channel: Channel
    context: Context
    activity: Activity
    response: ResourceResponse

    async def go(self) -> None:
        updated = await self.channel.update(self.context, self.activity)
        if updated is not None:
            self.response.id = updated.id


class Deletion(Struct, eq=False):
    """The deletion of a message that was out before the turn."""

    channel: Channel
    context: Context
    reference: ConversationReference

    async def go(self) -> None:
        await self.channel.delete(self.context, self.reference)
