"""What the environment decides. Nothing has to be set to run the sample on this machine."""

from __future__ import annotations

import os
import sys


class DefaultConfig:
    """The names with APP are those that the SDK looks for."""

    PORT = int(os.environ.get("PORT", "3978"))

    # Empty: the bot takes messages from anyone, without credentials. A registered bot has both.
    APP_ID = os.environ.get("MicrosoftAppId", "")
    APP_PASSWORD = os.environ.get("MicrosoftAppPassword", "")
    APP_TYPE = os.environ.get("MicrosoftAppType", "MultiTenant")
    APP_TENANTID = os.environ.get("MicrosoftAppTenantId", "")

    # "sqlite" keeps the state in a file, "blob" and "cosmos" in a container in Azure, "postgres"
    # and "redis" in the server that STATE_URL names; all outlive the bot. "memory" forgets with the
    # process.
    STATE_STORAGE = os.environ.get("STATE_STORAGE", "sqlite")
    STATE_FILE = os.environ.get("STATE_FILE", ".state/pizza-orders.db")
    STATE_URL = os.environ.get("STATE_URL", "")
    AZURE_STORAGE_CONNECTION_STRING = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    STATE_CONTAINER = os.environ.get("STATE_CONTAINER", "pizza-orders")
    AZURE_COSMOS_ENDPOINT = os.environ.get("AZURE_COSMOS_ENDPOINT", "")
    AZURE_COSMOS_KEY = os.environ.get("AZURE_COSMOS_KEY", "")
    STATE_DATABASE = os.environ.get("STATE_DATABASE", "bots")

    def needed(self, name: str) -> str:
        """A setting without which the storage that was chosen cannot be used."""
        value: str = getattr(self, name)
        return value or sys.exit(f"STATE_STORAGE={self.STATE_STORAGE} needs {name}.")
