"""The class of a value comes from the default: a class, an instance, or what a function makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jsonpickle
import pytest

from botstate_ext import StateDecodeError, StateEncodeError
from botstate_ext.serialization import json_text
from botstate_ext.storage import MemoryStorage
from tests.backends import body, plant
from tests.turns import Bot, StateMiddleware, StateScopes, context

KEY = "test/users/user"


@dataclass
class Address:
    street: str = ""


class Profile:
    def __init__(self, name: str = "") -> None:
        self.name, self.address, self.tags = name, Address(), set[str]()


class Other:
    """Another class of the app."""


async def made() -> Profile:
    return Profile()


DEFAULTS: dict[str, Any] = {
    "a class": Profile,
    "an instance": Profile(),
    "a function": lambda: Profile(),
    "an async function": made,
}


@pytest.mark.parametrize("write_type_tags", [None, True, False])
@pytest.mark.parametrize("default", DEFAULTS.values(), ids=DEFAULTS)
async def test_it_comes_back_as_its_class(default: Any, write_type_tags: bool | None) -> None:
    memory = MemoryStorage()
    for turns in range(3):
        states, turn = StateScopes(memory, write_type_tags=write_type_tags), context()
        profile = await states.user.create_property("profile").get(turn, default)
        assert (type(profile), type(profile.address)) == (Profile, Address)
        assert (profile.name, profile.tags) == ("x" * turns, {"t"} if turns else set())
        profile.name += "x"
        profile.tags.add("t")
        await states.user.save_changes(turn)
    assert DEFAULTS["an instance"].name == "", "each gets a copy"


@pytest.mark.parametrize("default", DEFAULTS.values(), ids=DEFAULTS)
async def test_the_sdk_and_we_read_each_others(default: Any) -> None:
    theirs = jsonpickle.encode({"profile": Profile("Ann")})
    memory = MemoryStorage()
    await plant(memory, KEY, theirs.encode())
    states, turn = StateScopes(memory), context()
    profile = await states.user.create_property("profile").get(turn, default)
    profile.address.street = "Main Street"
    await states.user.save_changes(turn)
    read = jsonpickle.decode(await body(memory, KEY) or b"")["profile"]  # noqa: S301 - the SDK does
    assert (type(read), read.name, read.address) == (Profile, "Ann", Address("Main Street"))


async def test_a_function_is_called_for_its_class_only_if_nothing_else_tells_it() -> None:
    memory, calls = MemoryStorage(), []

    def counted() -> Profile:
        calls.append(1)
        return Profile("made")

    async def got(**options: Any) -> Any:
        states, turn = StateScopes(memory, **options), context()
        value = states.user.create_property("profile")
        read = await value.get(turn, counted)
        assert await value.get(turn, counted) is read
        assert await value.get(turn) is read
        await states.user.save_changes(turn)
        return read

    assert (await got()).name == "made"
    assert len(calls) == 1
    stored = await body(memory, KEY)
    assert (await got()).name == "made"
    assert len(calls) == 2, "once, for its class"
    assert await body(memory, KEY) == stored
    assert type(await got(types=[Profile, Address])) is Profile
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("default", "problem"),
    [
        (lambda: Other(), "Profile"),
        (dict, "Profile"),
        (lambda: {"a": 1}, "Profile"),
        (Other(), "Profile"),
        (None, "Profile"),
    ],
    ids=["another class", "dict", "a function that makes a dict", "an instance", "nothing"],
)
async def test_data_of_another_class_is_refused(default: Any, problem: str) -> None:
    memory = MemoryStorage()
    theirs = jsonpickle.encode({"value": {"a": Profile()}}).encode()
    await plant(memory, KEY, theirs)
    states = StateScopes(memory)
    with pytest.raises(StateDecodeError, match=problem):
        await states.user.create_property("value").get(context(), default)
    assert await body(memory, KEY) == theirs


class Member(Profile):
    """Another class that the property may hold."""


@pytest.mark.parametrize("default", DEFAULTS.values(), ids=DEFAULTS)
async def test_a_value_of_another_class_stays_what_it_is(default: Any) -> None:
    """It does not become one of the default's class, which only an absent value is."""
    memory = MemoryStorage()
    for turns in range(4):
        states, turn = StateScopes(memory, types=[Member, Address]), context()
        value = states.user.create_property("who")
        if turns == 0:
            assert type(await value.get(turn, default)) is Profile
            await value.set(turn, Member("Ann"))
        read = await value.get(turn, default)
        assert (type(read), read.name) == (Member, "Ann" + turns * "x")
        read.name += "x"
        await states.user.save_changes(turn)
    with pytest.raises(StateDecodeError, match="Member"):
        await StateScopes(memory).user.create_property("who").get(context(), default)


@pytest.mark.parametrize("default", DEFAULTS.values(), ids=DEFAULTS)
async def test_a_class_that_moved_is_read(default: Any) -> None:
    memory = MemoryStorage()
    await plant(memory, KEY, b'{"profile":{"py/object":"old.models.Profile","name":"Ann"}}')
    read = await StateScopes(memory).user.create_property("profile").get(context(), default)
    assert (type(read), read.name) == (Profile, "Ann")


async def test_what_a_function_makes_allows_no_other_class() -> None:
    states, turn = StateScopes(MemoryStorage()), context()
    profile = await states.user.create_property("profile").get(turn, lambda: Profile())
    profile.extra = Other()
    with pytest.raises(StateEncodeError, match="Other at"):
        await states.user.save_changes(turn)


@pytest.mark.parametrize("function", [lambda: [Profile()], lambda: {"a": Profile()}])
async def test_a_builtin_that_a_function_makes_names_no_class(
    function: Callable[[], Any],
) -> None:
    states, turn = StateScopes(MemoryStorage()), context()
    await states.user.create_property("profiles").get(turn, function)
    with pytest.raises(StateEncodeError, match="types="):
        await states.user.save_changes(turn)


async def test_a_value_that_its_function_explains_is_no_quarantine_for_an_error_handler() -> None:
    memory = MemoryStorage()
    await plant(memory, KEY, jsonpickle.encode({"profile": Profile("Ann"), "n": 1}).encode())
    states = StateScopes(memory)
    bot = Bot(StateMiddleware(states))

    async def logic(turn: Any) -> None:
        await states.user.create_property("profile").get(turn, lambda: Profile())
        raise KeyError("of the bot")

    async def on_error(turn: Any, error: Exception) -> None:
        assert isinstance(error, KeyError)
        await states.user.delete(turn)

    bot.adapter.on_turn_error = on_error
    await bot.turn(logic)
    assert await body(memory, KEY) is None


@pytest.mark.bot_framework
async def test_the_sdks_own_classes_stay_as_they_were() -> None:
    from botbuilder.core import UserState as UpstreamUserState
    from botbuilder.dialogs import DialogState

    memory = MemoryStorage()
    for default in (DialogState, lambda: DialogState(), DialogState()):
        for state in (StateScopes(memory).user, UpstreamUserState(memory)):
            turn = context()
            read: Any = await state.create_property("dialogs").get(turn, default)
            assert (type(read), read.dialog_stack) == (DialogState, [])
            await state.save_changes(turn)
    assert b'"py/object":"botbuilder.dialogs' in (await body(memory, KEY) or b"")


@dataclass
class Strict:
    names: list[str] = field(default_factory=list)


async def test_an_instance_that_was_stored_plain_is_read_as_its_class() -> None:
    memory = MemoryStorage()
    await plant(memory, KEY, b'{"strict":{"names":["Ann"]}}')
    states, turn = StateScopes(memory), context()
    read = await states.user.create_property("strict").get(turn, Strict())
    assert read == Strict(["Ann"])
    read.names.append("Bea")
    await states.user.save_changes(turn)
    stored = json_text.split(await body(memory, KEY) or b"")["strict"]
    assert b"py/object" in stored
