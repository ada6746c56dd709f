"""A new scope is a row of the table and a class: everything that asks for scopes then knows it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from botstate_ext import StateUser
from botstate_ext.keys.scopes import SCOPES, ScopeRow
from botstate_ext.scopes.scope import StateScope
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import CountingStorage, ManualClock
from tests.turns import ON_AGENTS, Bot, StateMiddleware, StateScopes, TurnContext, context, load_all

if TYPE_CHECKING or not ON_AGENTS:
    from botstate_ext.scopes.kinds import KINDS
else:
    from botstate_ext.agents.scopes import KINDS

ROW = ScopeRow("branch", "branch/", "activity")


class BranchState(StateScope):
    """State of everyone on one channel."""

    def __init__(self, storage: Any) -> None:
        super().__init__(storage, ROW)

    def _id_in(self, turn: Any) -> str | None:
        channel_id: str = turn.activity.channel_id
        return channel_id


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setitem(SCOPES, ROW.name, ROW)
    patch.setitem(KINDS, ROW.name, BranchState)
    yield
    patch.undo()


@pytest.fixture
def storage() -> CountingStorage:
    return CountingStorage(MemoryStorage())


@pytest.fixture
def states(storage: CountingStorage) -> StateScopes:
    return StateScopes(storage)


def branch_of(states: StateScopes) -> StateScope:
    branch: StateScope = vars(states)["branch"]
    return branch


async def set_motto(states: StateScopes) -> None:
    motto = branch_of(states).create_property("motto")

    async def logic(turn: TurnContext) -> None:
        await motto.set(turn, "mind the gap")

    await Bot(StateMiddleware(states)).turn(logic)


async def test_the_one_read_of_a_turn_has_it(states: StateScopes, storage: CountingStorage) -> None:
    await set_motto(states)
    turn, motto = context(), branch_of(states).create_property("motto")
    await load_all(states, turn)
    storage.reset()
    assert await motto.get(turn) == "mind the gap"
    assert storage.operations["get"] == 0
    assert (await branch_of(states).get_state(turn, "motto")).id == "test"


async def test_templates_views_and_queries_name_it(states: StateScopes) -> None:
    await set_motto(states)
    turn = context()
    assert states.check_template("{@branch.motto}") == []
    assert await states.render(turn, "{@branch.motto}") == "mind the gap"
    assert await states.query(turn, "$.branch.motto") == "mind the gap"
    await branch_of(states).load(turn)
    assert states.view(turn)["branch"] == {"motto": "mind the gap"}


async def test_its_documents_are_listed_and_read(states: StateScopes) -> None:
    await set_motto(states)
    page = await branch_of(states).list_documents()
    (record,) = page.items
    assert (record.scope, record.id, record.key) == ("branch", "test", "branch/test")
    found = await states.read_document("branch/test")
    assert found is not None
    assert (found.scope, found.data) == ("branch", {"motto": "mind the gap"})


async def test_a_migration_rewrites_it_by_its_own_declarations(
    states: StateScopes, storage: CountingStorage
) -> None:
    branch_of(states).create_property("steps", list[int])
    body = b'{"steps": {"py/tuple": [1, 2]}}'
    await storage.put_if("branch/test", body, etag=None)
    report = await states.migrate()
    assert (report.rewritten, report.others, report.problems) == (1, 0, ())
    item = await storage.get("branch/test")
    assert item is not None
    assert b"py/tuple" not in item.data


async def test_a_sweep_calls_its_handlers() -> None:
    clock = ManualClock(datetime(2024, 5, 6, tzinfo=timezone.utc))
    states = StateScopes(MemoryStorage(), clock=clock)
    motto = branch_of(states).create_property("motto", expires_after=timedelta(hours=1))
    seen: list[tuple[str, Any]] = []
    motto.on_expired(lambda expired: seen.append((expired.scope, expired.value)))
    await Bot(StateMiddleware(states)).turn(lambda turn: motto.set(turn, "old"))
    clock.advance(timedelta(hours=2))
    await states.sweep()
    assert seen == [("branch", "old")]


async def test_exports_and_erasures_ask_its_handlers(states: StateScopes) -> None:
    motto = branch_of(states).create_property("motto")
    erased: list[StateUser] = []
    motto.on_export(lambda work, user: {"by": user.user_id})
    motto.on_erase(lambda work, user: erased.append(user))
    export = await states.export_user("test", "user")
    assert export["exported"] == {"branch.motto": {"by": "user"}}
    report = await states.erase_user("test", "user")
    assert (report.handlers_run, report.failed) == (1, {})
    assert [user.user_id for user in erased] == ["user"]
