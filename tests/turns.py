"""Turns for tests, on the SDK of the environment: the real pipeline, contexts and activities.

`make test` runs the tests on the Bot Framework SDK, `make successor` on the Agents SDK. A test of
which the host is not the point takes `StateScopes`, `StateMiddleware` and the names of the SDK from
here. Where both SDKs are installed, ``BOTSTATE_HOST=agents`` chooses the second.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from botstate_ext.states.turn_session import TurnSession

HOSTS: Final = {"bot_framework": "botbuilder", "agents": "microsoft_agents"}
"""The package of each SDK."""

HOST: Final = os.environ.get("BOTSTATE_HOST") or next(
    (name for name, package in HOSTS.items() if find_spec(package)), "none"
)
ON_AGENTS: Final = HOST == "agents"

if TYPE_CHECKING or not ON_AGENTS:
    from botbuilder.core import (
        ActivityHandler,
        InvokeResponse,
        MessageFactory,
        Storage,
        TurnContext,
    )
    from botbuilder.core import MemoryStorage as UpstreamMemoryStorage
    from botbuilder.core.adapters import TestAdapter
    from botbuilder.schema import (
        Activity,
        ChannelAccount,
        ConversationAccount,
        ConversationReference,
        Entity,
        ResourceResponse,
    )

    from botstate_ext import StateMiddleware, StateScopes
else:
    from microsoft_agents.activity import (
        Activity,
        ChannelAccount,
        ConversationAccount,
        ConversationReference,
        Entity,
        InvokeResponse,
        ResourceResponse,
    )
    from microsoft_agents.hosting.core import ActivityHandler, MessageFactory, TurnContext
    from microsoft_agents.hosting.core import MemoryStorage as UpstreamMemoryStorage
    from microsoft_agents.hosting.core.storage import Storage

    from botstate_ext.agents import StateMiddleware, StateScopes
    from tests.agents.memory_adapter import MemoryAdapter as TestAdapter

__all__ = [
    "HOST",
    "ON_AGENTS",
    "Activity",
    "ActivityHandler",
    "Bot",
    "ChannelAccount",
    "ConversationAccount",
    "ConversationReference",
    "Entity",
    "InvokeResponse",
    "Logic",
    "MessageFactory",
    "ResourceResponse",
    "StateMiddleware",
    "StateScopes",
    "Storage",
    "TestAdapter",
    "TurnContext",
    "UpstreamMemoryStorage",
    "activity_of",
    "context",
    "load_all",
    "message",
    "next_step",
    "reference_to",
    "save_all",
]

Logic = Callable[[TurnContext], Awaitable[Any]]


def message(
    text: str = "hi",
    *,
    user: str | None = "user",
    conversation: str | None = "conv",
    channel: str | None = "test",
    **fields: Any,
) -> Activity:
    """A message as a channel sends it; without a user or conversation as Teams sometimes does."""
    named: dict[str, Any] = {
        "channel_id": channel,
        "from_property": user and ChannelAccount(id=user),
        "conversation": conversation and ConversationAccount(id=conversation),
    }
    return Activity(
        **{
            "type": "message",
            "id": "activity-1",
            "text": text,
            "service_url": "http://localhost",
            "recipient": ChannelAccount(id="bot"),
            **{name: value for name, value in named.items() if value is not None},
            **fields,
        }
    )


def activity_of(fields: dict[str, Any]) -> Activity:
    """An activity of the JSON that a channel sends."""
    return Activity.model_validate(fields) if ON_AGENTS else Activity.deserialize(fields)


def reference_to(activity: Activity) -> ConversationReference:
    """The SDK's reference to the activity's conversation."""
    if ON_AGENTS:
        return activity.get_conversation_reference()
    return TurnContext.get_conversation_reference(activity)


def next_step(turn: TurnContext, logic: Callable[..., Awaitable[Any]]) -> Awaitable[Any]:
    """Go on from a middleware: the one SDK gives the next step the context, the other nothing."""
    return logic(turn) if ON_AGENTS else logic()


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

    @property
    def said(self) -> list[str]:
        """The texts of all messages that were sent."""
        return [each.text for each in self.adapter.activity_buffer if each.type == "message"]


async def load_all(states: StateScopes, turn: Any) -> None:
    """Read the documents of all scopes that the activity names, as a turn does at its start."""
    await (await TurnSession(states, turn).__aenter__()).load()


async def save_all(states: StateScopes, turn: Any) -> None:
    """Save what changed in all scopes, where no middleware does."""
    await states.user._work_of(turn).save_at_end()
