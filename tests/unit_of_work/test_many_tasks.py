"""Tasks that append to one order at once: every item is there once, and none raises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from botstate_ext import InProcessTurnLock
from botstate_ext import storage as storages
from botstate_ext.turn.replay import MAX_ATTEMPTS as REPLAY_ATTEMPTS
from botstate_ext.unit_of_work.update import MAX_ATTEMPTS as UPDATE_ATTEMPTS
from botstate_ext.unit_of_work.write_changes import MAX_ATTEMPTS as SAVE_ATTEMPTS
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context, message


@pytest.mark.parametrize(
    ("way", "merge", "options", "tasks"),
    [
        # A task only loses to another's success. With as many tasks as attempts each gets through,
        # whatever the machine does meanwhile; a lock has no losers.
        ("update", None, {}, UPDATE_ATTEMPTS),
        ("change", "append", {}, SAVE_ATTEMPTS),
        ("change", None, {"on_conflict": "replay"}, REPLAY_ATTEMPTS),
        ("change", None, {"serialize_turns": InProcessTurnLock(by=lambda turn: "order")}, 100),
    ],
    ids=["update", "merge", "replay", "lock"],
)
async def test_many_tasks_in_one_process(
    way: str, merge: Any, options: dict[str, Any], tasks: int
) -> None:
    states = StateScopes(storages.MemoryStorage())
    order = states.shared.create_property("order", merge=merge).at("1")
    bot = Bot(StateMiddleware(states, **options))

    async def logic(turn: TurnContext) -> None:
        item = turn.activity.text
        if way == "update":
            await order.update(turn, lambda items: [*items, item], default=list)
            return
        items = await order.get(turn, list)
        await asyncio.sleep(0)  # let the others read the same
        items.append(item)

    names = [str(number) for number in range(tasks)]
    await asyncio.gather(*(bot.turn(logic, message(name, conversation=name)) for name in names))
    assert sorted(await order.get(context()) or ()) == sorted(names)
