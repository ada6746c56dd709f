"""A process of a bot whose every turn appends to one shared order, by replay.

``replay_appender.py CONTAINER WORKER TURNS``; AZURE_STORAGE_CONNECTION_STRING names the storage.
Prints how often its turns ran.
"""

from __future__ import annotations

import asyncio
import os
import sys

from botstate_ext.storage import BlobStorage
from tests.patience import extend_default_deadlines
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, message


async def main(container: str, worker: str, turns: int) -> None:
    connection = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    storage = BlobStorage(connection_string=connection, container_name=container)
    async with StateScopes(storage) as states:
        order = states.shared.create_property("order").at("1")
        bot = Bot(StateMiddleware(states, on_conflict="replay"))
        runs = 0

        async def logic(turn: TurnContext) -> None:
            nonlocal runs
            runs += 1
            items = await order.get(turn, list)
            items.append(turn.activity.text)
            await turn.send_activity(turn.activity.text)

        told = [f"{worker}-{number}" for number in range(turns)]
        for text in told:
            await bot.turn(logic, message(text, conversation=worker, user=worker))
        assert [activity.text for activity in bot.adapter.activity_buffer] == told
        sys.stdout.write(f"{runs}\n")


if __name__ == "__main__":
    extend_default_deadlines("BlobStorage")
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
