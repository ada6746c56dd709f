"""Handlers of ``on_sweep``, ``on_erasure`` and ``on_migration``: one shape for all three."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from botstate_ext import StateStorageError
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import FaultyStorage
from tests.turns import Bot, StateMiddleware, StateScopes, message

Run = Callable[[StateScopes, bool], Awaitable[Any]]

OPERATIONS: dict[str, Run] = {
    "sweep": lambda states, dry_run: states.sweep(dry_run),
    "erasure": lambda states, dry_run: states.erase_user("test", "user", dry_run=dry_run),
    "migration": lambda states, dry_run: states.migrate(dry_run),
}


@pytest.fixture
def storage() -> FaultyStorage:
    return FaultyStorage(MemoryStorage())


@pytest.fixture
def states(storage: FaultyStorage) -> StateScopes:
    return StateScopes(storage)


@pytest.fixture(params=OPERATIONS)
def operation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def reports(states: StateScopes, operation: str) -> list[Any]:
    found: list[Any] = []
    getattr(states, f"on_{operation}")(found.append)
    return found


async def test_a_handler_gets_what_the_caller_gets(
    states: StateScopes, operation: str, reports: list[Any]
) -> None:
    report = await OPERATIONS[operation](states, False)
    assert reports == [report]
    assert reports[0].seconds >= 0


async def test_a_dry_run_and_a_failure_are_reported_to_nobody(
    states: StateScopes, storage: FaultyStorage, operation: str, reports: list[Any]
) -> None:
    await OPERATIONS[operation](states, True)
    storage.fail("list")
    with pytest.raises(StateStorageError):
        await OPERATIONS[operation](states, False)
    assert reports == []


async def test_a_handler_that_fails_fails_nothing_else(
    states: StateScopes, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Any] = []

    async def raises(report: Any) -> None:
        raise RuntimeError

    add = getattr(states, f"on_{operation}")
    assert add(raises) is raises
    add(told.append)
    await OPERATIONS[operation](states, False)
    assert len(told) == 1
    assert f"A handler of on_{operation} failed" in caplog.text


async def test_the_erasure_of_a_user_who_left_is_reported(states: StateScopes) -> None:
    told: list[Any] = []
    states.on_erasure(told.append)

    async def remembers(turn: Any) -> None:
        await states.user.create_property("name").set(turn, "Ann")

    bot = Bot(StateMiddleware(states, erase_on_removal=True))
    await bot.turn(remembers)
    leaves = message()
    leaves.type = "deleteUserData"

    async def nothing(_: Any) -> None: ...

    await bot.turn(nothing, leaves)
    assert [(r.user_id, r.removed, r.complete) for r in told] == [
        ("user", ("test/users/user",), True)
    ]
