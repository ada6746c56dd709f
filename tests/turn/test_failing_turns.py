"""Turns in which several things fail: what is raised, and what was waited for."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botstate_ext import InProcessTurnLock, StateConflictError, StateStorageError
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import FaultyStorage
from tests.turns import (
    ON_AGENTS,
    Activity,
    Bot,
    StateMiddleware,
    StateScopes,
    TurnContext,
    context,
    message,
)


async def test_a_failed_save_does_not_hide_why_the_bot_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faulty = FaultyStorage(MemoryStorage())
    states = StateScopes(faulty)
    name = states.user.create_property("name")

    async def fails(turn: TurnContext) -> None:
        await name.set(turn, "secret")
        faulty.fail("put")
        raise LookupError("the bot's own")

    with pytest.raises(LookupError, match="the bot's own"):
        await Bot(StateMiddleware(states, on_error="save")).turn(fails)
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "could not be saved" in record.getMessage()
    assert "secret" not in record.getMessage()


@pytest.mark.bot_framework
async def test_the_turn_ends_when_all_added_states_have_saved_or_failed() -> None:
    from botbuilder.core import BotState

    class AppState(BotState):
        """An app's own state, which fails to save or takes its time."""

        def __init__(self, name: str, error: Exception | None, saved: list[str]) -> None:
            super().__init__(MemoryStorage(), name)
            self.name, self.error, self.saved = name, error, saved

        def get_storage_key(self, turn_context: TurnContext) -> str:
            return self.name

        async def save_changes(self, turn_context: TurnContext, force: bool = False) -> None:
            if self.error is not None:
                raise self.error
            for _ in range(5):
                await asyncio.sleep(0)
            self.saved.append(self.name)

    saved: list[str] = []
    error = StateStorageError("put", "a", "it broke")
    states = StateScopes(MemoryStorage())
    states.add(AppState("a", error, saved)).add(AppState("b", None, saved))

    async def nothing(_: TurnContext) -> None:
        pass

    with pytest.raises(StateStorageError, match="it broke"):
        await Bot(StateMiddleware(states)).turn(nothing)
    assert saved == ["b"]


# Activities that are nested deeply

if TYPE_CHECKING or not ON_AGENTS:
    from botstate_ext.host.bot_framework.snapshot import deep_copy
else:
    from botstate_ext.host.agents.snapshot import deep_copy


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [{"in": value}]
    return value


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        value, depth = value[0]["in"], depth + 1
    return depth


async def test_a_deeply_nested_activity_is_replayed_as_it_was() -> None:
    states = StateScopes(MemoryStorage())
    counter = states.shared.create_property("n", int).at("1")
    bot = Bot(StateMiddleware(states, on_conflict="replay"))
    depths: list[int] = []

    async def logic(turn: TurnContext) -> None:
        depths.append(depth_of(turn.activity.value))
        turn.activity.value[0]["in"] = "changed"
        await counter.set(turn, await counter.get(turn, 0) + 1)
        if len(depths) == 1:
            await counter.update(context(), lambda n: n + 10, default=0)

    activity = message()
    activity.value = nested(5_000)
    await bot.turn(logic, activity)
    assert depths == [5_000, 5_000]
    assert await counter.get(context()) == 11


def test_a_deep_copy_shares_nothing_and_keeps_what_is_shared_inside() -> None:
    inner: dict[str, Any] = {"a": [1]}
    activity = Activity(type="message", value={"x": inner, "y": inner}, text="hi")
    inner["self"] = inner
    copied = deep_copy(activity)
    assert isinstance(copied, Activity)
    assert copied.text == "hi"
    assert copied.value["x"] is copied.value["y"]
    assert copied.value["x"] is not inner
    assert copied.value["x"]["self"] is copied.value["x"]
    assert copied.value["x"]["a"] == [1]


# Turns that waited for too long


@pytest.mark.parametrize("on_timeout", ["proceed", "raise"])
async def test_turns_that_waited_too_long_go_on_or_fail_before_their_bot_runs(
    on_timeout: Any,
) -> None:
    states = StateScopes(MemoryStorage())
    lock = InProcessTurnLock(wait=timedelta(0), on_timeout=on_timeout)
    bot = Bot(StateMiddleware(states, serialize_turns=lock))
    may_end, one_runs, all_run = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ran: list[str] = []

    async def logic(turn: TurnContext) -> None:
        ran.append(turn.activity.text)
        one_runs.set()
        if len(ran) == 501:
            all_run.set()
        await may_end.wait()

    first = asyncio.ensure_future(bot.turn(logic, message("first")))
    await one_runs.wait()
    others = [asyncio.ensure_future(bot.turn(logic, message(f"{n}"))) for n in range(500)]
    if on_timeout == "raise":
        outcomes = await asyncio.gather(*others, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StateConflictError}
        assert "did not run" in str(outcomes[0])
        assert ran == ["first"]
    else:
        await all_run.wait()
    may_end.set()
    await asyncio.gather(first, *others, return_exceptions=True)
    ran.clear()
    await bot.turn(logic, message("after"))  # nobody holds the place any more
    assert ran == ["after"]


def test_a_choice_that_is_none_is_refused() -> None:
    wrong: Any = "wait"
    with pytest.raises(ValueError, match="on_timeout must be one of"):
        InProcessTurnLock(on_timeout=wrong)
