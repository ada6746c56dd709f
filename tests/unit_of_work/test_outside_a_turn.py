"""Units of work outside any turn."""

from __future__ import annotations

import pytest

from botstate_ext import StateConflictError, StateKeyError
from botstate_ext import storage as storages
from botstate_ext.testing import CountingStorage
from tests.turns import (
    Bot,
    StateMiddleware,
    StateScopes,
    TurnContext,
    context,
    message,
    reference_to,
)


@pytest.fixture
def storage() -> CountingStorage:
    return CountingStorage(storages.MemoryStorage())


@pytest.fixture
def states(storage: CountingStorage) -> StateScopes:
    return StateScopes(storage)


async def test_it_sees_and_changes_what_turns_see(
    states: StateScopes, storage: CountingStorage
) -> None:
    name = states.user.create_property("name", str)
    count = states.conversation.create_property("count", int)
    private = states.private.create_property("x")
    bot = Bot(StateMiddleware(states))

    async def turn(turn_context: TurnContext) -> None:
        await name.set(turn_context, "Ann")

    await bot.turn(turn)
    storage.reset()
    reference = reference_to(message())
    async with states.unit_of_work(reference) as work:
        assert await name.get(work) == "Ann"
        await count.set(work, 1)
        await private.set(work, 1)
    assert storage.round_trips == 2
    assert await count.get(context()) == 1


async def test_by_ids_with_bot_and_workflow(states: StateScopes) -> None:
    step = states.workflow.create_property("step", int)
    config = states.bot.create_property("config")
    async with states.unit_of_work(
        channel_id="test", user_id="user", bot_id="app", workflow_id="w"
    ) as work:
        await step.set(work, 3)
        await config.set(work, {"v": 1})
        with pytest.raises(StateKeyError, match="conversation"):
            await states.conversation.create_property("x").get(work)
    keys = [item.key async for item in states.storage.list_items()]
    assert keys == ["bot/app", "workflow/w"]


async def test_nothing_is_saved_when_the_block_raises(states: StateScopes) -> None:
    name = states.user.create_property("name", str)

    async def job() -> None:
        async with states.unit_of_work(channel_id="test", user_id="user") as work:
            await name.set(work, "Ann")
            raise RuntimeError("the job")

    with pytest.raises(RuntimeError, match="the job"):
        await job()
    assert await name.get(context()) is None


async def test_it_races_a_turn_and_neither_loses(states: StateScopes) -> None:
    cart = states.conversation.create_property("cart", list[str], merge="append")
    bot = Bot(StateMiddleware(states))
    reference = reference_to(message())

    async def turn(turn_context: TurnContext) -> None:
        (await cart.get(turn_context, list)).append("turn")
        async with states.unit_of_work(reference) as work:
            (await cart.get(work, list)).append("job")

    await bot.turn(turn)
    assert await cart.get(context()) == ["job", "turn"]


async def test_on_conflict_raise(states: StateScopes) -> None:
    name = states.user.create_property("name", str)

    async def job() -> None:
        async with states.unit_of_work(
            channel_id="test", user_id="user", on_conflict="raise"
        ) as work:
            await name.set(work, "job")
            await name.update(context(), lambda _: "other")

    with pytest.raises(StateConflictError):
        await job()


def test_a_reference_or_ids(states: StateScopes) -> None:
    reference = reference_to(message())
    with pytest.raises(TypeError, match="not both"):
        states.unit_of_work(reference, user_id="user")


def test_a_misspelt_mode_is_refused(states: StateScopes) -> None:
    with pytest.raises(ValueError, match="on_conflict"):
        states.unit_of_work(user_id="user", on_conflict="replace")  # type: ignore[arg-type]
