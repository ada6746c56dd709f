"""A bot that is put together wrongly is told so."""

from __future__ import annotations

import gc
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from botstate_ext import StateKeyError
from botstate_ext.aiohttp import setup
from botstate_ext.storage import MemoryStorage
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context


@pytest.fixture
def states() -> StateScopes:
    return StateScopes(MemoryStorage())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


async def sets(states: StateScopes, turn: TurnContext) -> None:
    await states.user.create_property("name").set(turn, "secret")


async def test_a_forgotten_middleware_is_noticed_when_changes_are_lost(
    states: StateScopes, caplog: pytest.LogCaptureFixture
) -> None:
    bot = Bot()
    for _ in range(3):
        await bot.turn(lambda turn: sets(states, turn))
    gc.collect()
    (warning,) = warnings(caplog)
    assert "adapter.use(StateMiddleware(states))" in warning
    assert "'user'" in warning
    assert "'name'" in warning
    assert "secret" not in warning


@pytest.mark.parametrize(
    "saved",
    [
        "by the middleware",
        "by hand",
        pytest.param("by the SDK", marks=pytest.mark.bot_framework),
        "read only",
    ],
)
async def test_a_bot_that_saves_or_changes_nothing_is_not_warned(
    states: StateScopes, caplog: pytest.LogCaptureFixture, saved: str
) -> None:
    middleware: list[Any] = []
    if saved == "by the middleware":
        middleware = [StateMiddleware(states)]
    elif saved == "by the SDK":
        from botbuilder.core import AutoSaveStateMiddleware

        middleware = [AutoSaveStateMiddleware([states.user])]

    async def logic(turn: TurnContext) -> None:
        if saved == "read only":
            await states.user.create_property("name").get(turn)
            return
        await sets(states, turn)
        if saved == "by hand":
            await states.user.save_changes(turn)

    await Bot(*middleware).turn(logic)
    gc.collect()
    assert warnings(caplog) == []


async def test_who_saves_by_hand_may_leave_changes_of_a_failed_turn(
    states: StateScopes, caplog: pytest.LogCaptureFixture
) -> None:
    bot = Bot()

    async def saves(turn: TurnContext) -> None:
        await sets(states, turn)
        await states.user.save_changes(turn)

    await bot.turn(saves)
    await bot.turn(lambda turn: sets(states, turn))
    gc.collect()
    assert warnings(caplog) == []


@pytest.mark.parametrize("is_made", [True, False])
async def test_an_app_says_at_its_start_that_no_middleware_was_made(
    states: StateScopes, caplog: pytest.LogCaptureFixture, is_made: bool
) -> None:
    app = web.Application()
    setup(app, states)
    if is_made:
        StateMiddleware(states)
    runner = web.AppRunner(app)
    await runner.setup()
    await runner.cleanup()
    said = [text for text in warnings(caplog) if "StateMiddleware" in text]
    assert len(said) == (0 if is_made else 1)


async def test_a_second_middleware_on_the_adapter_is_said_once(
    states: StateScopes, caplog: pytest.LogCaptureFixture
) -> None:
    bot = Bot(StateMiddleware(states), StateMiddleware(states, on_conflict="raise"))
    for _ in range(3):
        await bot.turn(lambda turn: sets(states, turn))
    (warning,) = warnings(caplog)
    assert "two StateMiddleware" in warning
    assert await states.user.create_property("name").get(context()) == "secret"


async def test_the_class_in_place_of_the_middleware_says_what_to_write(
    states: StateScopes,
) -> None:
    with pytest.raises(TypeError, match=r"adapter\.use\(StateMiddleware\(states\)\)"):
        await Bot(StateMiddleware).turn(lambda turn: sets(states, turn))


def test_the_class_in_place_of_the_states_is_named() -> None:
    given: Any = StateScopes
    with pytest.raises(TypeError, match="not the class StateScopes"):
        StateMiddleware(given)
    with pytest.raises(TypeError, match="not the class StateScopes"):
        setup(web.Application(), given)


async def test_a_unit_of_work_of_other_states_is_refused(states: StateScopes) -> None:
    others = StateScopes(MemoryStorage())
    name = others.user.create_property("name")
    async with states.unit_of_work(channel_id="c", user_id="u", conversation_id="v") as work:
        uses: tuple[Callable[[], Awaitable[Any]], ...] = (
            lambda: name.set(work, "lost"),
            lambda: name.get(work),
            lambda: name.update(work, lambda _: "x"),
            lambda: others.query(work, "$.user"),
            lambda: others.user.load(work),
        )
        for use in uses:
            with pytest.raises(StateKeyError, match="another StateScopes"):
                await use()


@pytest.mark.bot_framework
async def test_a_unit_of_work_serves_the_scopes_that_were_added() -> None:
    from botstate_ext import UserState

    storage = MemoryStorage()
    added = UserState(MemoryStorage())
    states = StateScopes(storage).add(added)
    name = added.create_property("name")
    async with states.unit_of_work(channel_id="c", user_id="u") as work:
        await name.set(work, "Ann")
    async with states.unit_of_work(channel_id="c", user_id="u") as work:
        assert await name.get(work) == "Ann"
