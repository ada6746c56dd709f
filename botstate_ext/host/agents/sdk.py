"""The classes of the SDK that this package uses: the only place where their modules are named."""

from __future__ import annotations

from microsoft_agents.activity import (
    Activity,
    ChannelAccount,
    ChannelId,
    ConversationAccount,
    ConversationReference,
    ResourceResponse,
)
from microsoft_agents.hosting.core import (
    AgentApplication,
    ChannelAdapter,
    ClaimsIdentity,
    MessageFactory,
    StreamingResponse,
    TurnContext,
    TurnState,
)
from microsoft_agents.hosting.core.authorization import AuthenticationConstants
from microsoft_agents.hosting.core.connector import ConnectorClientBase
from microsoft_agents.hosting.core.state.agent_state import AgentState, CachedAgentState
from microsoft_agents.hosting.core.storage import Storage, StoreItem

__all__ = [
    "Activity",
    "AgentApplication",
    "AgentState",
    "AuthenticationConstants",
    "CachedAgentState",
    "ChannelAccount",
    "ChannelAdapter",
    "ChannelId",
    "ClaimsIdentity",
    "ConnectorClientBase",
    "ConversationAccount",
    "ConversationReference",
    "MessageFactory",
    "ResourceResponse",
    "Storage",
    "StoreItem",
    "StreamingResponse",
    "TurnContext",
    "TurnState",
]
