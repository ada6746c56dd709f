"""Turns of upstream and of this package, run through the SDK's own pipeline."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import botbuilder.core as sdk
from botbuilder.core import AutoSaveStateMiddleware, MemoryStorage, Storage, TurnContext
from botbuilder.core.adapters import TestAdapter
from botbuilder.schema import Activity, ChannelAccount, ConversationAccount

from botstate_ext import StateMiddleware, StateScopes

Logic = Callable[[TurnContext], Awaitable[Any]]

_adapter = TestAdapter()
_ids = itertools.count()


def activity(conversation: str = "conversation") -> Activity:
    return Activity(
        type="message",
        id=f"activity {next(_ids)}",
        text="hi",
        channel_id="test",
        service_url="http://localhost",
        from_property=ChannelAccount(id="user"),
        recipient=ChannelAccount(id="bot"),
        conversation=ConversationAccount(id=conversation),
    )


class Bot:
    """A user state and a conversation state, loaded and saved by middleware."""

    def __init__(self, user: Any, conversation: Any, middleware: Any) -> None:
        self.user, self.conversation = user, conversation
        self.is_ours = isinstance(middleware, StateMiddleware)
        self.adapter = TestAdapter()
        self.adapter.use(middleware)

    async def turn(self, logic: Logic, conversation: str = "conversation") -> None:
        context = TurnContext(self.adapter, activity(conversation))
        await self.adapter.run_pipeline(context, logic)


def upstream(storage: Storage | None = None) -> Bot:
    storage = storage or MemoryStorage()
    user, conversation = sdk.UserState(storage), sdk.ConversationState(storage)
    return Bot(user, conversation, AutoSaveStateMiddleware([user, conversation]))


def ours(storage: Storage | None = None, **options: Any) -> Bot:
    """Return a bot on this package. ``options``: those of its `StateMiddleware`."""
    states = StateScopes(storage or MemoryStorage())
    return Bot(states.user, states.conversation, StateMiddleware(states, **options))


async def empty_turn(conversation: str = "conversation") -> None:
    """Run a turn of a bot that has no state and does nothing: what the SDK costs all others."""

    async def nothing(turn: TurnContext) -> None: ...

    await _adapter.run_pipeline(TurnContext(_adapter, activity(conversation)), nothing)
