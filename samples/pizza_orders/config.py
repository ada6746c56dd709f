"""What the environment decides. Nothing has to be set to run the sample on this machine."""

from __future__ import annotations

import os


class DefaultConfig:
    """The names with APP are those that the SDK looks for."""

    PORT = int(os.environ.get("PORT", "3978"))

    # Empty: the bot takes messages from anyone, without credentials. A registered bot has both.
    APP_ID = os.environ.get("MicrosoftAppId", "")
    APP_PASSWORD = os.environ.get("MicrosoftAppPassword", "")
    APP_TYPE = os.environ.get("MicrosoftAppType", "MultiTenant")
    APP_TENANTID = os.environ.get("MicrosoftAppTenantId", "")

    # "memory" forgets with the process; "blob" needs the connection string, and remembers.
    STATE_STORAGE = os.environ.get("STATE_STORAGE", "memory")
    AZURE_STORAGE_CONNECTION_STRING = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    STATE_CONTAINER = os.environ.get("STATE_CONTAINER", "pizza-orders")
