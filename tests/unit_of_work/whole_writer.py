"""A process whose turns each write three documents of a SQLite file, until it is killed."""

from __future__ import annotations

import asyncio
import itertools
import sys

from botstate_ext.storage import SQLiteStorage
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext


async def run(path: str, **mode: object) -> None:
    states = StateScopes(SQLiteStorage(path))
    numbers = states.shared.create_property("n", int)
    bot = Bot(StateMiddleware(states, **mode))  # type: ignore[arg-type]  # by name

    async def logic(turn: TurnContext) -> None:
        for id_ in "abc":
            await numbers.at(id_).set(turn, number)

    for number in itertools.count(1):
        await bot.turn(logic)
        print(number, flush=True)  # noqa: T201 - acknowledged


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], **({"on_conflict": "replay"} if sys.argv[2:] else {})))
