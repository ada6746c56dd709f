"""Named states, views and whole documents: the doors that other systems have to state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from botstate_ext import (
    StateConflictError,
    StateData,
    StateDecodeError,
    StateEncodeError,
    StateKeyError,
    StateNotFoundError,
)
from botstate_ext import storage as storages
from botstate_ext.testing import ManualClock
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context

START = datetime(2024, 5, 6, tzinfo=timezone.utc)


@dataclass
class Profile:
    name: str
    age: int = 0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def states(clock: ManualClock) -> StateScopes:
    return StateScopes(storages.MemoryStorage(), clock=clock)


async def test_a_named_state_from_nothing_to_nothing(
    states: StateScopes, clock: ManualClock
) -> None:
    turn = context()
    with pytest.raises(StateNotFoundError, match="preferences"):
        await states.user.get_state(turn, "preferences")
    payload = {"language": "en"}
    created = await states.user.get_or_set_state(turn, "preferences", payload)
    assert (created.payload, created.created) == (payload, None)
    assert created.payload is not payload
    await states.user.save_changes(turn)

    clock.advance(timedelta(hours=1))
    turn = context()
    await states.user.set_state(turn, "preferences", {"language": "es"}, expires_after=timedelta(1))
    await states.user.save_changes(turn)

    record = await states.user.get_state(context(), "preferences")
    assert (record.scope, record.id, record.name) == ("user", "user", "preferences")
    assert record.payload == {"language": "es"}
    assert (record.created, record.updated) == (START, START + timedelta(hours=1))
    assert record.expires == START + timedelta(days=1, hours=1)

    turn = context()
    await states.user.delete_state(turn, "preferences")
    await states.user.delete_state(turn, "never was")
    await states.user.save_changes(turn)
    assert await states.user.list_states(context()) == []


async def test_the_ids_of_named_states(states: StateScopes) -> None:
    turn = context()
    assert (await states.conversation.set_state(turn, "x", 1)).id == "conv"
    assert (await states.private.set_state(turn, "x", 1)).id == "user"
    assert (await states.shared.at("a/b").set_state(turn, "x", 1)).id == "a/b"
    await states.shared.at("x" * 2000).set_state(turn, "x", 1)
    assert set(states.view(turn).shared) == {"a/b", "x" * 2000}


async def test_a_declared_property_keeps_its_type_here(states: StateScopes) -> None:
    profile = states.user.create_property("profile", Profile, expires_after=timedelta(1))
    turn = context()
    await profile.set(turn, Profile("Ann"))
    await states.user.save_changes(turn)
    record = await states.user.patch_state(turn := context(), "profile", {"age": 5})
    assert record.payload == Profile("Ann", 5)
    assert record.expires == START + timedelta(1)
    assert await profile.get(turn) is record.payload


async def test_a_merge_patch_is_rfc_7396(states: StateScopes) -> None:
    turn = context()
    await states.user.set_state(turn, "a", {"b": "c", "d": {"e": 1, "f": 2}, "g": [1]})
    record = await states.user.patch_state(turn, "a", {"b": None, "d": {"e": None}, "g": [2]})
    assert record.payload == {"d": {"f": 2}, "g": [2]}
    assert (await states.user.patch_state(turn, "new", {"x": {"y": None}})).payload == {"x": {}}
    assert (await states.user.patch_state(turn, "a", [1])).payload == [1]


async def test_list_states_lists_what_the_turn_sees(states: StateScopes) -> None:
    turn = context()
    for name in ("a", "b"):
        await states.user.set_state(turn, name, name)
    await states.user.save_changes(turn)
    await states.user.delete_state(turn, "a")
    await states.user.set_state(turn, "c", "c")
    assert {record.name for record in await states.user.list_states(turn)} == {"b", "c"}


async def test_a_view_is_read_and_written_without_await(states: StateScopes) -> None:
    bot = Bot(StateMiddleware(states))

    def integration(view: object) -> None:
        assert view is not None

    async def first(turn: TurnContext) -> None:
        view = states.view(turn)
        view.user["email"] = "ann@example.com"
        view.conversation["policy_id"] = 7
        await states.shared.at("1").create_property("x").set(turn, 5)
        assert view.shared["1"] == {"x": 5}
        with pytest.raises(StateKeyError, match="workflow"):
            _ = view.workflow
        integration(view)

    async def second(turn: TurnContext) -> None:
        view = states.view(turn)
        assert view.user["email"] == "ann@example.com"
        assert view["conversation"].pop("policy_id") == 7

    async def third(turn: TurnContext) -> None:
        assert states.view(turn).conversation == {}

    for logic in (first, second, third):
        await bot.turn(logic)


async def test_whole_documents_fail_for_the_slower(states: StateScopes) -> None:
    turn = context()
    one, two = await states.user.read_data(turn), await states.user.read_data(turn)
    assert (one.data, one.etag) == (None, "*")
    one.set("SentGreeting", True)
    two.set("SentGreeting", False)
    written = await states.user.write_data(turn, one)
    assert written.data == {"SentGreeting": True}
    assert written.etag != "*"
    with pytest.raises(StateConflictError):
        await states.user.write_data(turn, two)
    written.set("profile", Profile("Ann"))
    again = await states.user.write_data(turn, written)
    assert again.get("profile", Profile) == Profile("Ann")
    with pytest.raises(StateConflictError):
        await states.user.write_data(turn, written)
    assert again.get("none") is None


async def test_data_that_the_app_made_itself_overwrites(states: StateScopes) -> None:
    turn = context()
    await states.user.set_state(turn, "old", 1)
    await states.user.save_changes(turn)
    mine = StateData({"new": 2}, etag="*")
    await states.user.write_data(turn, mine)
    assert (await states.user.read_data(turn)).data == {"new": 2}
    assert await states.user.create_property("new").get(turn) == 2, "the turn sees it too"


async def test_a_write_leaves_what_did_not_change_as_it_is_stored(states: StateScopes) -> None:
    when = states.user.create_property("when")
    turn = context()
    await when.set(turn, START)
    await states.user.save_changes(turn)
    data = await states.user.read_data(turn)
    data.set("other", 1)
    await states.user.write_data(turn, data)
    assert await when.get(context()) == START


async def test_a_reserved_name_is_refused(states: StateScopes) -> None:
    data = StateData()
    data.set("$state", {})
    with pytest.raises(StateEncodeError, match="reserved"):
        await states.user.write_data(context(), data)


async def test_a_read_document_that_is_given_any_etag_overwrites(states: StateScopes) -> None:
    turn = context()
    await states.user.write_data(turn, StateData({"a": 1, "b": 1}))
    data = await states.user.read_data(turn)
    await states.user.write_data(turn, StateData({"a": 2}))
    data.etag = "*"
    assert (await states.user.write_data(turn, data)).data == {"a": 1, "b": 1}


async def test_an_overwrite_stores_the_version_that_the_code_knows(clock: ManualClock) -> None:
    """What was read in an old version is not put back as it was under the mark of a new one."""
    storage = storages.MemoryStorage(clock=clock)
    old = StateScopes(storage, clock=clock)
    await old.user.write_data(context(), StateData({"n": 1}))
    new = StateScopes(storage, clock=clock)
    count = new.user.create_property("n", int, version=2, migrations={1: lambda n: n + 100})
    data = await new.user.read_data(context())
    assert data.data == {"n": 101}
    await count.update(context(), lambda n: n + 1)
    data.etag = "*"
    await new.user.write_data(context(), data)
    assert await count.get(context()) == 101


async def test_a_write_does_not_take_the_place_of_unsaved_changes(states: StateScopes) -> None:
    name = states.user.create_property("name")
    turn = context()
    data = await states.user.read_data(turn)
    await name.set(turn, "Ann")
    data.set("name", "Bob")
    with pytest.raises(StateConflictError, match="save them first"):
        await states.user.write_data(turn, data)
    await states.user.save_changes(turn)
    assert await name.get(context()) == "Ann"
    other = StateData({"name": "Ann", "age": 5})
    await name.set(turn, "Cid")
    await states.user.write_data(turn, other)
    await states.user.save_changes(turn)
    assert (await states.user.read_data(context())).data == {"name": "Cid", "age": 5}


async def test_the_id_of_a_very_long_one_is_known_where_it_was_given(states: StateScopes) -> None:
    turn, long = context(), "x" * 2000
    assert (await states.shared.at(long).set_state(turn, "x", 1)).id == long
    assert states.view(turn).shared[long] == {"x": 1}
    states.workflow.bind(turn, long)
    assert (await states.workflow.set_state(turn, "x", 1)).id is None


async def test_a_patch_of_what_cannot_be_read(states: StateScopes) -> None:
    turn = context()
    await states.user.set_state(turn, "age", "old")
    await states.user.set_state(turn, "profile", {"name": 5})
    await states.user.save_changes(turn)
    states.user.create_property("age", int, on_undecodable="quarantine")
    states.user.create_property("profile", Profile)
    turn = context()
    assert (await states.user.patch_state(turn, "age", 7)).payload == 7
    with pytest.raises(StateDecodeError, match="profile"):
        await states.user.patch_state(turn, "profile", {"name": "Ann"})
    await states.user.save_changes(turn)
    data = (await states.user.read_data(turn)).data
    assert data is not None
    assert len(data) == 3, "what was moved aside is kept"


async def test_a_named_state_that_has_expired_is_none(
    states: StateScopes, clock: ManualClock
) -> None:
    turn = context()
    await states.user.set_state(turn, "x", 1, expires_after=timedelta(hours=1))
    await states.user.save_changes(turn)
    clock.advance(timedelta(hours=1))
    turn = context()
    with pytest.raises(StateNotFoundError):
        await states.user.get_state(turn, "x")
    assert await states.user.list_states(turn) == []
    record = await states.user.get_or_set_state(turn, "x", 2)
    assert (record.payload, record.created, record.expires) == (2, None, None)
    assert states.view(turn).user == {"x": 2}


async def test_all_doors_under_replay(states: StateScopes) -> None:
    bot = Bot(StateMiddleware(states, on_conflict="replay"))
    attempts = 0

    async def turn(turn_context: TurnContext) -> None:
        nonlocal attempts
        attempts += 1
        data = await states.conversation.read_data(turn_context)
        data.set("writes", (data.get("writes") or 0) + 1)
        await states.conversation.write_data(turn_context, data)
        await states.user.patch_state(turn_context, "profile", {"attempt": attempts})
        states.view(turn_context).user["email"] = "a@example.com"
        if attempts == 1:
            async with states.unit_of_work(channel_id="test", conversation_id="conv") as work:
                await states.conversation.set_state(work, "writes", 10)

    await bot.turn(turn)
    assert attempts == 2
    assert (await states.conversation.read_data(context())).data == {"writes": 11}
    assert (await states.user.read_data(context())).data == {
        "profile": {"attempt": 2},
        "email": "a@example.com",
    }


@pytest.mark.parametrize("value", ["seven", {"text": "secret"}, None, 1.5])
async def test_a_document_is_written_only_if_its_values_fit_their_declared_types(
    states: StateScopes, value: Any
) -> None:
    count = states.user.create_property("count", int)
    await states.user.write_data(context(), StateData({"count": 6, "other": value}))
    data = await states.user.read_data(context())
    assert data.data is not None
    data.data["count"] = value
    if value is None:
        await states.user.write_data(context(), data)  # null is null in every type
        return
    with pytest.raises(StateEncodeError, match="does not fit") as raised:
        await states.user.write_data(context(), data)
    assert raised.value.property_name == "count"
    assert "secret" not in str(raised.value)
    assert "seven" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert await count.get(context()) == 6
