"""What a turn reads follows from what its process uses, on every storage."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from botstate_ext.testing import CountingStorage
from tests.backends import OWN, make_own
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, message

USER = "test/users/user"
CONVERSATION = "test/conversations/conv"
PRIVATE = "test/conversations/conv/users/user/"  # and an empty namespace


@pytest.fixture(params=OWN)
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CountingStorage]:
    async with make_own(request.param, request, tmp_path) as storage:
        yield CountingStorage(storage)


async def nothing(turn: TurnContext) -> None: ...


async def reads_of_a_turn(
    storage: CountingStorage, bot: Bot, logic: object = nothing
) -> dict[str, int]:
    storage.reset()
    await bot.turn(logic, message())  # type: ignore[arg-type]
    return dict(storage.keys_read)


async def test_a_bot_with_conversation_state_reads_two_documents(storage: CountingStorage) -> None:
    states = StateScopes(storage)
    bot = Bot(StateMiddleware(states))
    topic = states.conversation.create_property("topic", str)

    async def logic(turn: TurnContext) -> None:
        await topic.set(turn, f"{await topic.get(turn)}!")

    for _ in range(3):
        assert await reads_of_a_turn(storage, bot, logic) == {USER: 1, CONVERSATION: 1}
        assert storage.operations["get"] == 1
        assert storage.round_trips == 2
        assert dict(storage.keys_written) == {CONVERSATION: 1}


async def test_a_declared_property_brings_its_document_from_the_first_turn_on(
    storage: CountingStorage,
) -> None:
    states = StateScopes(storage)
    bot = Bot(StateMiddleware(states))
    step = states.private.create_property("step", int)

    async def logic(turn: TurnContext) -> None:
        await step.get(turn)

    for each in (logic, nothing):
        assert await reads_of_a_turn(storage, bot, each) == {USER: 1, CONVERSATION: 1, PRIVATE: 1}
        assert storage.round_trips == 1


async def test_a_first_use_in_the_middle_of_a_turn_is_one_read_more_once_a_process(
    storage: CountingStorage,
) -> None:
    states = StateScopes(storage)
    bot = Bot(StateMiddleware(states))

    async def logic(turn: TurnContext) -> None:
        await states.private.load(turn)

    round_trips = []
    for _ in range(3):
        read = await reads_of_a_turn(storage, bot, logic)
        assert read == {USER: 1, CONVERSATION: 1, PRIVATE: 1}
        round_trips.append(storage.round_trips)
    assert round_trips == [2, 1, 1]


async def test_documents_by_id_are_read_when_they_are_asked_for(storage: CountingStorage) -> None:
    states = StateScopes(storage)
    bot = Bot(StateMiddleware(states))
    order = states.shared.create_property("order", dict)

    async def logic(turn: TurnContext) -> None:
        await order.at("12").get(turn)
        await order.at("12").get(turn)

    assert await reads_of_a_turn(storage, bot) == {USER: 1, CONVERSATION: 1}
    reads = await reads_of_a_turn(storage, bot, logic)
    assert reads == {USER: 1, CONVERSATION: 1, "shared/12": 1}
    assert await reads_of_a_turn(storage, bot) == {USER: 1, CONVERSATION: 1}


async def test_a_query_from_outside_makes_no_turn_read_more(storage: CountingStorage) -> None:
    states = StateScopes(storage)
    bot = Bot(StateMiddleware(states))
    async with states.unit_of_work(
        channel_id="test", user_id="user", conversation_id="conv"
    ) as work:
        await states.query(work, "$..name")
    assert await reads_of_a_turn(storage, bot) == {USER: 1, CONVERSATION: 1}
