"""An agent on the Agents SDK, in a process of its own: it takes a message a line from its input, as
JSON, and answers each with a line of what it said.

    python tests/successor/agent.py sqlite state.db
    python tests/successor/agent.py blob container
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from microsoft_agents.hosting.dialogs import DialogExtensions

from botstate_ext.agents import StateScopes, TurnState
from botstate_ext.storage import BlobStorage, SQLiteStorage
from tests.agents.dialogs import Main
from tests.agents.world import prepared


def added(base: int | None, mine: int | None, theirs: int | None) -> int:
    """Two turns that count at once count two."""
    return (mine or 0) + (theirs or 0) - (base or 0)


def storage_of(kind: str, place: str) -> Any:
    if kind == "sqlite":
        return SQLiteStorage(place)
    connection_string = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    return BlobStorage(connection_string=connection_string, container_name=place)


async def main() -> None:
    states = StateScopes(storage_of(*sys.argv[1:3]))
    log = states.conversation.create_property("log", list, default=list, merge="append")
    dialogs = states.conversation.create_property("DialogState")
    states.user.create_property("seen", int, merge=added)

    async def on_message(context: Any, state: TurnState) -> None:
        text = context.activity.text
        if not text.startswith("note "):
            await DialogExtensions.run_dialog(Main(), context, dialogs)
            return
        (await log.get(context, list)).append(text)
        state.user.set_value("seen", state.user.get_value("seen", lambda: 0) + 1)
        await context.send_activity(f"{state.user.get_value('seen')}")

    async with states, prepared(states, on_message) as agent:
        loop = asyncio.get_running_loop()
        print("ready", flush=True)  # noqa: T201  # the answer
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            message = json.loads(line)
            print(json.dumps(await agent.say(**message)), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
