"""Chat: a user who talks to a bot in a test, through the SDK's own pipeline."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from botbuilder.core import BotAdapter, TurnContext
from botbuilder.schema import Activity, ActivityTypes, ChannelAccount, ConversationAccount

from ..clock import Clock

MakeBot = Callable[[], "tuple[BotAdapter, Any]"]


class Replies(list[str]):
    """Holds the texts of the messages that the bot sent in one turn, in order.

    ``activities``: all activities that it sent, with cards, typing and traces.
    """

    def __init__(self, activities: list[Activity]) -> None:
        super().__init__(a.text or "" for a in activities if a.type == ActivityTypes.message)
        self.activities = activities


@dataclass
class Chat:
    """Talks to a bot as one user in one conversation.

    ``say`` runs a turn and returns the bot's replies. ``as_user`` and ``elsewhere`` return a chat
    with the same bot for another user or conversation. ``at_once`` runs several turns together.

    Example: ``assert await chat.say("Hi") == ["What is your name?"]``
    """

    start: MakeBot
    """Makes the adapter, with its middleware, and the bot: called first, and by `restart`."""
    clock: Clock
    user: str = "ann"
    conversation: str = "1"
    channel: str = "test"
    transcript: list[tuple[str, str]] = field(default_factory=list, repr=False)
    """Each text with its speaker, of all chats with this bot."""
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1), repr=False)
    _running: list[Any] = field(default_factory=list, repr=False)

    def as_user(self, user: str) -> Chat:
        """Return a chat with the same bot in the same conversation, for another user."""
        return replace(self, user=user)

    def elsewhere(self, conversation: str, *, channel: str | None = None) -> Chat:
        """Return a chat of the same user in another conversation, or on another channel."""
        return replace(self, conversation=conversation, channel=channel or self.channel)

    async def say(self, text: str, **fields: Any) -> Replies:
        """Send a message and return the bot's replies. ``fields``: more fields of its activity.

        :raises Exception: the error of the bot, or of saving its state.
        """
        return await self.send(Activity(type=ActivityTypes.message, text=text, **fields))

    async def at_once(self, *texts: str) -> list[Replies]:
        """Send messages at the same moment. Return the bot's replies to each."""
        return list(await asyncio.gather(*(self.say(text) for text in texts)))

    async def join(self, *users: str) -> Replies:
        """Add users to the conversation, by default this chat's user. Return the bot's replies."""
        members = [ChannelAccount(id=user) for user in users or (self.user,)]
        update = Activity(type=ActivityTypes.conversation_update, members_added=members)
        return await self.send(update)

    async def send(self, activity: Activity) -> Replies:
        """Send any activity as this user, and return the bot's replies."""
        adapter, bot = self._bot()
        self._address(activity)
        sent: list[Activity] = []
        turn = TurnContext(adapter, activity)
        turn.on_send_activities(_recorder(sent))
        self.transcript.append((self.user, activity.text or f"[{activity.type}]"))
        logic = bot.on_turn if hasattr(bot, "on_turn") else bot
        try:
            await adapter.run_pipeline(turn, logic)
        finally:
            self.transcript += [("bot", each.text or f"[{each.type}]") for each in sent]
        return Replies(sent)

    def restart(self) -> None:
        """Make the bot and its adapter anew, like a new process: only stored state is left."""
        self._running.clear()
        self.transcript.append(("---", "the bot was restarted"))

    def _bot(self) -> tuple[BotAdapter, Callable[[TurnContext], Awaitable[Any]] | Any]:
        if not self._running:
            self._running.append(self.start())
        adapter, bot = self._running[0]
        return adapter, bot

    def _address(self, activity: Activity) -> None:
        activity.id = activity.id or f"activity-{next(self._ids)}"
        activity.channel_id, activity.service_url = self.channel, "http://localhost"
        activity.from_property = ChannelAccount(id=self.user, name=self.user)
        activity.recipient = ChannelAccount(id="bot", name="bot")
        activity.conversation = ConversationAccount(id=self.conversation)
        activity.timestamp = activity.local_timestamp = self.clock()


def _recorder(sent: list[Activity]) -> Callable[..., Awaitable[Any]]:
    async def record(
        turn: TurnContext, activities: list[Activity], send: Callable[[], Awaitable[Any]]
    ) -> Any:
        sent.extend(activities)
        return await send()

    return record
