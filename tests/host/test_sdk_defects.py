"""Defects of botbuilder 4.17 that this package does not have, on each storage that a bot may use.

Other defects have tests of their own: stored data runs no code (documents/test_hostile.py), the
Blob client is closed and a failure does not read as absence (storage), falsy defaults are used
(serialization/test_values.py).
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botbuilder.core import Storage, TurnContext

from botstate_ext import (
    StateConflictError,
    StateDecodeError,
    StateKeyError,
    StateMiddleware,
    StateScopes,
    StateStorageError,
)
from botstate_ext.storage import as_state_storage
from botstate_ext.testing import CountingStorage, FaultyStorage
from tests.backends import BACKENDS, blob, body, make, plant, storage  # noqa: F401 - a fixture
from tests.turns import Bot, context, message

KEY = "test/users/user"
ROOT = Path(__file__).parents[2]


class Profile:
    def __init__(self, name: str | None = None) -> None:
        self.name = name


@pytest.fixture
def states(storage: Storage) -> StateScopes:  # noqa: F811 - the fixture
    return StateScopes(storage)


@pytest.fixture
def faulty(storage: Storage) -> FaultyStorage:  # noqa: F811 - the fixture
    return FaultyStorage(as_state_storage(storage))


@pytest.fixture
def counting(storage: Storage) -> CountingStorage:  # noqa: F811 - the fixture
    return CountingStorage(as_state_storage(storage), latency=timedelta(milliseconds=1))


async def test_a_failed_read_is_no_empty_state(faulty: FaultyStorage) -> None:
    states = StateScopes(faulty)
    name = states.user.create_property("name")
    await name.update(context(), lambda v: "Ann", default="")
    stored = await body(faulty, KEY)

    async def logic(turn: TurnContext) -> None:
        await name.set(turn, await name.get(turn, "nobody"))

    faulty.fail("get")
    with pytest.raises(StateStorageError):
        await Bot(StateMiddleware(states)).turn(logic)
    assert await body(faulty, KEY) == stored


async def test_a_second_save_in_a_turn_works(states: StateScopes) -> None:
    turn, items = context(), states.user.create_property("items")
    value = await items.get(turn, list)
    for number in range(3):
        value.append(number)
        await states.user.save_changes(turn)
    assert await items.get(context()) == [0, 1, 2]


async def test_the_second_of_two_first_writers_does_not_win_silently(
    states: StateScopes,
) -> None:
    one, two, name = context(), context(), states.user.create_property("name")
    assert await name.get(one) is await name.get(two) is None
    await name.set(one, "first")
    await name.set(two, "second")
    await states.user.save_changes(one)
    with pytest.raises(StateConflictError):
        await states.user.save_changes(two)
    assert await name.get(context()) == "first"


async def test_two_turns_on_one_document_conflict(states: StateScopes) -> None:
    name = states.user.create_property("name")
    await name.update(context(), lambda v: "before", default="")
    one, two = context(), context()
    await name.get(one)
    await name.set(two, "second")
    await states.user.save_changes(two)
    await name.set(one, "first")
    with pytest.raises(StateConflictError):
        await states.user.save_changes(one)
    assert await name.get(context()) == "second"


async def test_what_was_never_saved_is_seen_by_nobody_else(states: StateScopes) -> None:
    items = states.user.create_property("items")
    await items.update(context(), lambda v: [1], default=list)
    turn = context()
    (await items.get(turn, list)).append("unsaved")
    assert await items.get(context()) == [1]
    one, two = await items.get(context()), await items.get(context())
    assert one is not two


async def test_a_lost_race_is_named_for_what_it_is(states: StateScopes) -> None:
    one, two, name = context(), context(), states.user.create_property("name")
    await name.get(one)
    await name.set(two, "first")
    await states.user.save_changes(two)
    await name.set(one, "second")
    with pytest.raises(StateConflictError, match="Etag conflict") as raised:
        await states.user.save_changes(one)
    error = raised.value
    assert (error.scope, error.key, error.properties) == ("user", KEY, ("name",))


@pytest.mark.parametrize(
    ("kind", "how", "appends"),
    [("blob", "update", 25), ("blob", "merge", 25), ("upstream blob", "merge", 5)],
)
async def test_four_processes_lose_nothing_of_what_was_acknowledged(
    kind: str, how: str, appends: int, azurite: str, container_name: str
) -> None:
    closes = blob(kind, azurite, container_name)  # skipped here where upstream's is not installed
    env = os.environ | {"AZURE_STORAGE_CONNECTION_STRING": azurite, "PYTHONPATH": str(ROOT)}
    program = [sys.executable, str(Path(__file__).with_name("appender.py"))]
    processes = [
        await asyncio.create_subprocess_exec(
            *program, kind, container_name, how, f"p{number}", str(appends),
            env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        for number in range(4)
    ]  # fmt: skip
    outcomes = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0] * 4, outcomes
    acknowledged = [item for told, _ in outcomes for item in told.decode().split()]
    assert len(acknowledged) == 4 * appends
    async with StateScopes(closes) as states:
        items = await states.shared.create_property("order").at("1").get(context(), list)
    assert sorted(items) == sorted(acknowledged)


async def test_an_empty_document_is_read_once_a_turn(counting: CountingStorage) -> None:
    states = StateScopes(counting)

    async def logic(turn: TurnContext) -> None:
        for number in range(5):
            assert await states.user.create_property(f"p{number}").get(turn) is None

    await Bot(StateMiddleware(states)).turn(logic)
    assert counting.keys_read[KEY] == 1


async def test_a_conversation_in_which_nothing_was_stored_writes_nothing(
    counting: CountingStorage,
) -> None:
    states = StateScopes(counting)

    async def logic(turn: TurnContext) -> None:
        await states.user.create_property("name").get(turn)
        assert states.conversation.get(turn) == {}
        await states.user.create_property("gone").delete(turn)

    await Bot(StateMiddleware(states)).turn(logic)
    assert counting.operations["put"] == 0
    assert await body(counting, KEY) is None


async def test_delete_and_a_forced_save_before_any_load(states: StateScopes) -> None:
    name = states.user.create_property("name")
    await states.user.delete(context())
    await states.user.save_changes(context(), force=True)
    await name.update(context(), lambda v: "Ann", default="")
    await states.user.save_changes(context(), force=True)
    assert await name.get(context()) == "Ann"
    await states.user.delete(context())
    assert await name.get(context()) is None


async def test_scopes_are_read_together_and_written_together(
    counting: CountingStorage,
) -> None:
    states = StateScopes(counting)
    scopes = (states.user, states.conversation, states.private, states.bot)
    properties = [scope.create_property("x") for scope in scopes]

    async def logic(turn: TurnContext) -> None:
        for each in properties:
            await each.set(turn, 1)

    await Bot(StateMiddleware(states)).turn(logic)
    assert counting.round_trips == 2
    assert sum(counting.keys_written.values()) == 4


async def test_a_class_that_moved_does_not_become_a_dictionary(
    storage: Storage,  # noqa: F811 - the fixture
) -> None:
    old = b'{"profile": {"py/object": "old.place.Profile", "name": "Ann"}}'
    planted = await plant(storage, KEY, old)
    states = StateScopes(storage, types=[Profile])

    async def reads_untyped(turn: TurnContext) -> None:
        with pytest.raises(StateDecodeError, match=r"old\.place\.Profile"):
            await states.user.create_property("profile").get(turn)

    await Bot(StateMiddleware(states)).turn(reads_untyped)
    assert await body(storage, KEY) == planted

    turn = context()
    profile = await states.user.create_property("profile", Profile).get(turn, Profile)
    assert (type(profile), profile.name) == (Profile, "Ann")


async def test_no_stale_e_tag_in_the_body(storage: Storage) -> None:  # noqa: F811
    await plant(storage, KEY, b'{"name": "Ann", "e_tag": "stale"}')
    states, turn = StateScopes(storage), context()
    name = states.user.create_property("name")
    for value in ("Bob", "Cid"):
        await name.set(turn, value)
        await states.user.save_changes(turn)
    stored = await body(storage, KEY)
    assert stored is not None
    assert b"e_tag" not in stored
    assert b"stale" not in stored


@pytest.mark.parametrize("user", ["a/../b", "..", "a\\b", "\x00", "a.", "/" * 300])
async def test_a_key_that_no_storage_takes_is_named(states: StateScopes, user: str) -> None:
    with pytest.raises(StateKeyError) as raised:
        await states.user.create_property("x").get(context(message(user=user)))
    assert repr(f"test/users/{user}") in str(raised.value)
    with pytest.raises(StateKeyError, match=r"from_property\.id"):
        await states.user.create_property("x").get(context(message(user="")))


async def test_a_turn_that_only_reads_encodes_and_writes_nothing(
    counting: CountingStorage,
) -> None:
    states = StateScopes(counting)
    profile = states.user.create_property("profile", Profile)
    untouched = states.conversation.create_property("history")

    async def writes(turn: TurnContext) -> None:
        await profile.set(turn, Profile("Ann"))
        await untouched.set(turn, [{"text": "x" * 100}] * 100)

    async def reads(turn: TurnContext) -> None:
        value: Any = await profile.get(turn)
        assert value.name == "Ann"

    bot = Bot(StateMiddleware(states))
    await bot.turn(writes)
    counting.reset()
    await bot.turn(reads)
    assert (counting.operations["put"], counting.round_trips) == (0, 1)


async def test_key_functions_give_keys_that_never_collide(
    storage: Storage,  # noqa: F811 - the fixture
) -> None:
    """Upstream's keys do when an id holds a slash, and stay as they are; the app may choose."""
    hostile = message(conversation="c/users/u/")
    victim = message(conversation="c", user="u")
    shared = StateScopes(storage)
    turn = context(victim)
    await shared.private.create_property("x").set(turn, "private")
    await shared.private.save_changes(turn)
    assert await shared.conversation.create_property("x").get(context(hostile)) == "private"

    states = StateScopes(
        storage, conversation_key=lambda turn: f"test:{turn.activity.conversation.id}"
    )
    assert await states.conversation.create_property("x").get(context(hostile)) is None
