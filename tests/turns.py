"""Turns for tests: the real SDK's adapter, pipeline and activities."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from botbuilder.core import TurnContext
from botbuilder.core.adapters import TestAdapter
from botbuilder.schema import Activity, ChannelAccount, ConversationAccount

from botstate_ext import StateScopes
from botstate_ext.states.turn_session import TurnSession

Logic = Callable[[TurnContext], Awaitable[Any]]


def message(
    text: str = "hi",
    *,
    user: str | None = "user",
    conversation: str | None = "conv",
    channel: str | None = "test",
) -> Activity:
    """A message as a channel sends it; without a user or conversation as Teams sometimes does."""
    return Activity(
        type="message",
        id="activity-1",
        text=text,
        channel_id=channel,
        service_url="http://localhost",
        from_property=None if user is None else ChannelAccount(id=user),
        recipient=ChannelAccount(id="bot"),
        conversation=None if conversation is None else ConversationAccount(id=conversation),
    )


def context(activity: Activity | None = None) -> TurnContext:
    """A TurnContext outside any adapter's pipeline."""
    return TurnContext(TestAdapter(), activity or message())


class Bot:
    """An adapter with middleware, and turns through its whole pipeline."""

    def __init__(self, *middleware: Any) -> None:
        self.adapter = TestAdapter()
        for one in middleware:
            self.adapter.use(one)

    async def turn(self, logic: Logic, activity: Activity | None = None) -> TurnContext:
        """Run one turn; what it raises comes out, unless `on_turn_error` is set."""
        turn_context = TurnContext(self.adapter, activity or message())
        await self.adapter.run_pipeline(turn_context, logic)
        return turn_context


async def load_all(states: StateScopes, turn: Any) -> None:
    """Read the documents of all scopes that the activity names, as a turn does at its start."""
    await (await TurnSession(states, turn).__aenter__()).load()


async def save_all(states: StateScopes, turn: Any) -> None:
    """Save what changed in all scopes, where no middleware does."""
    await states.user._work_of(turn).save_at_end()
