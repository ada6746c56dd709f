"""One turn of a bot on the successor SDK (microsoft-agents), run in an environment of its own.

It prints as JSON what it finds, then changes what it is told to and saves.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from microsoft_agents.activity import Activity, ChannelAccount, ConversationAccount
from microsoft_agents.hosting.core import ConversationState, TurnContext, UserState
from microsoft_agents.storage.blob import BlobStorage, BlobStorageConfig


class NoAdapter:
    """State asks nothing of it."""


async def turn(container: str, changes: dict[str, Any]) -> dict[str, Any]:
    connection_string = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    storage = BlobStorage(BlobStorageConfig(container, connection_string))
    activity = Activity(
        type="message",
        channel_id="test",
        from_property=ChannelAccount(id="user"),
        conversation=ConversationAccount(id="conv"),
    )
    context = TurnContext(NoAdapter(), activity)
    found: dict[str, Any] = {}
    for name, state in (("user", UserState(storage)), ("conversation", ConversationState(storage))):
        await state.load(context)
        found[name] = {
            key: await state.create_property(key).get(context)
            for key in state.get_cached_state().state
        }
        for key, value in changes.get(name, {}).items():
            state.set_value(key, value)
        await state.save(context)
    await storage._close()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(turn(sys.argv[1], json.loads(sys.argv[2])))))  # noqa: T201  # the answer
