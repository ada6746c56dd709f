"""The steps of a turn: calls of functions of this package, which no machine makes faster or slower.

The limits are a little above what is needed. They fail if a layer, a walk or a second building of
the storage key comes back into the path of every turn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import botstate_ext
from botstate_ext.storage import MemoryStorage
from tests.turns import ON_AGENTS, StateMiddleware, StateScopes, TurnContext, context

MOST = (78, 185, 33, 8) if ON_AGENTS else (55, 160, 32, 7)
"""Steps of a turn that touches nothing, of one with one set, of a first get and of the next. An
application of the Agents SDK handles errors itself, so its turns are watched."""

PACKAGE = str(Path(botstate_ext.__file__).parent)


class Steps:
    """Counts the calls of functions of the package while a block runs."""

    def __init__(self) -> None:
        self.count = 0

    def _note(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            self.count += 1

    @contextmanager
    def counted(self) -> Iterator[None]:
        before = sys.getprofile()
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(before)


@pytest.fixture
def states() -> StateScopes:
    return StateScopes(MemoryStorage())


async def steps_of(states: StateScopes, logic: Any) -> int:
    """Return the steps of a turn, after one that has made what is made once."""
    middleware, steps = StateMiddleware(states), Steps()
    for turn in (context(), context()):
        steps.count = 0
        with steps.counted():
            await middleware.on_turn(turn, logic if ON_AGENTS else partial(logic, turn))
    return steps.count


async def test_a_turn_that_touches_nothing(states: StateScopes) -> None:
    async def nothing(turn: TurnContext) -> None: ...

    assert await steps_of(states, nothing) <= MOST[0]


async def test_a_turn_with_one_set(states: StateScopes) -> None:
    cart, numbers = states.conversation.create_property("cart"), iter(range(10))

    async def one_set(turn: TurnContext) -> None:
        await cart.set(turn, {"n": next(numbers)})

    assert await steps_of(states, one_set) <= MOST[1]


async def test_gets_of_a_property(states: StateScopes) -> None:
    cart, first, next_ = states.conversation.create_property("cart"), Steps(), Steps()

    async def fill(turn: TurnContext) -> None:
        await cart.set(turn, {"n": 1})

    async def two_gets(turn: TurnContext) -> None:
        first.count = next_.count = 0
        with first.counted():
            await cart.get(turn)
        with next_.counted():
            await cart.get(turn)

    await steps_of(states, fill)
    await steps_of(states, two_gets)
    assert first.count <= MOST[2]
    assert next_.count <= MOST[3]
    assert next_.count > 0  # the counter counts


async def test_the_document_follows_the_activity_and_the_workflow(states: StateScopes) -> None:
    """What is remembered of a turn is remembered by its ids, not by the turn."""
    cart, step = states.conversation.create_property("cart"), states.workflow.create_property("s")
    turn = context()
    await cart.set(turn, "of the first")
    turn.activity.conversation.id = "another"
    assert await cart.get(turn) is None
    await cart.set(turn, "of the other")
    for number in ("1", "2"):
        states.workflow.bind(turn, number)
        assert await step.get(turn) is None
        await step.set(turn, number)
    assert await step.at("1").get(turn) == "1"
    states.workflow.bind(turn, "1")
    assert await step.get(turn) == "1"
    await states.conversation.save_changes(turn)
    await states.workflow.save_changes(turn)
    assert await cart.get(turn) == "of the other"
