"""A turn whose storage is down ends in time, with its error handler, and the bot goes on later."""

from __future__ import annotations

from typing import Any

import pytest

from botstate_ext import BlobLeaseLock, StateStorageError
from botstate_ext.storage import BlobStorage
from botstate_ext.storage.retry import Retries
from tests.patience import Time
from tests.storage.front import Front, front_of
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, message

pytestmark = pytest.mark.blob

# Teams delivers an activity again after 15 s.
IN_TIME = 15.0


@pytest.mark.parametrize("with_lease", [False, True], ids=["in process", "lease"])
@pytest.mark.parametrize("dies", ["before the turn", "before its save"])
async def test_a_turn_and_its_error_handler_end_in_time(
    azurite_endpoint: str, container_name: str, with_lease: bool, dies: str
) -> None:
    async with front_of(azurite_endpoint) as front:
        time = Time()
        storage = BlobStorage(
            connection_string=front.connection_string,
            container_name=container_name,
            deadline=Retries.deadline,  # the default, which the other tests extend
            sleep=time.sleep,
            random=lambda: 1.0,
            monotonic=time,
        )
        async with StateScopes(storage) as states:
            lock: Any = BlobLeaseLock(storage) if with_lease else True
            count = states.conversation.create_property("count", int)
            bot = Bot(StateMiddleware(states, serialize_turns=lock))
            errors: list[Exception] = []

            async def on_turn_error(turn: TurnContext, error: Exception) -> None:
                errors.append(error)
                # As the SDK's samples do.
                await states.conversation.load(turn, True)
                await count.set(turn, 0)
                await states.conversation.save_changes(turn)

            bot.adapter.on_turn_error = on_turn_error

            async def add(turn: TurnContext) -> None:
                await count.set(turn, await count.get(turn, 0) + 1)
                if dies == "before its save" and front.url in down:
                    refuse_all(front)

            down: set[str] = set()
            await bot.turn(add)
            assert errors == []
            down.add(front.url)
            if dies == "before the turn":
                refuse_all(front)
            begun = time.now
            with pytest.raises(StateStorageError):  # of the handler itself
                await bot.turn(add)
            assert [type(error) for error in errors] == [StateStorageError]
            assert time.now - begun < IN_TIME
            front.forget()
            down.clear()
            time.now += 5.0
            await bot.turn(add, message("again"))
            assert len(errors) == 1


def refuse_all(front: Front) -> None:
    front.answer(503, "ServerBusy", times=1_000_000)
