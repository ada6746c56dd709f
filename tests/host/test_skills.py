"""A bot that calls a skill: the skill answers in turns of its own while the caller's turn waits."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from botstate_ext.storage import MemoryStorage
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context, message

Call = Callable[[TurnContext], Awaitable[None]]


class Root:
    """A root bot on whose conversation a skill answers."""

    def __init__(self, **options: Any) -> None:
        self.states = StateScopes(MemoryStorage())
        self.bot = Bot(StateMiddleware(self.states, **options))
        self.active = self.states.conversation.create_property("active skill")

    async def answer(self, logic: Call) -> None:
        """Handle a request of the skill, as the web server does: in a task of its own."""
        reference = TurnContext.get_conversation_reference(message())
        request = self.bot.adapter.continue_conversation(reference, logic, "bot")
        await contextvars.Context().run(asyncio.ensure_future, request)

    def said(self) -> list[str]:
        return [activity.text for activity in self.bot.adapter.activity_buffer]


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ({}, ["Connecting you.", "I am the skill."]),
        ({"replies": "after_save"}, ["I am the skill.", "Connecting you."]),
    ],
    ids=["immediate", "after_save"],
)
async def test_held_replies_come_after_those_of_the_skill(
    options: dict[str, Any], order: list[str]
) -> None:
    root = Root(**options)

    async def skill(turn: TurnContext) -> None:
        await turn.send_activity("I am the skill.")

    async def logic(turn: TurnContext) -> None:
        await turn.send_activity("Connecting you.")
        await root.states.conversation.save_changes(turn, force=True)
        await root.answer(skill)

    await root.bot.turn(logic)
    assert root.said() == order


@pytest.mark.parametrize(("saves", "left"), [(True, None), (False, "booking")])
async def test_the_save_before_the_call_lets_a_skill_end_during_it(
    saves: bool, left: str | None
) -> None:
    """Without it the root bot goes on sending messages to a skill that has ended."""
    root = Root()

    async def skill_ends(turn: TurnContext) -> None:
        await root.active.delete(turn)

    async def logic(turn: TurnContext) -> None:
        await root.active.set(turn, "booking")
        if saves:
            await root.states.conversation.save_changes(turn, force=True)
        await root.answer(skill_ends)

    await root.bot.turn(logic)
    assert await root.active.get(context()) == left
