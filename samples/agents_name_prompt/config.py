"""What the environment decides. Nothing has to be set to run the sample on this machine."""

from __future__ import annotations

import os
from typing import Any

from microsoft_agents.hosting.core import AgentAuthConfiguration


class Config:
    PORT = int(os.environ.get("PORT", "3978"))
    # The file of samples/state_management_bot: what that bot knows, this agent knows.
    STATE_FILE = os.environ.get("STATE_FILE", ".state/bot.db")


class NoConnections:
    """For an agent that takes messages from anyone on this machine, without credentials. A
    registered one has ``MsalConnectionManager`` of microsoft-agents-authentication-msal."""

    def get_connection(self, connection_name: str | None = None) -> Any:
        raise LookupError("This agent has no connections.")

    def get_default_connection(self) -> Any:
        raise LookupError("This agent has no connections.")

    def get_token_provider(self, claims_identity: Any, service_url: str) -> Any:
        raise LookupError("This agent has no connections.")

    def get_default_connection_configuration(self) -> AgentAuthConfiguration:
        return AgentAuthConfiguration()
