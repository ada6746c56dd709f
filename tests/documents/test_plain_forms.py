"""A mapping of a scope shows values of classes that nothing names here as plain JSON, and what is
changed in it keeps its class."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import jsonpickle
import pytest

from botstate_ext import StateDecodeError, StateEncodeError
from botstate_ext.storage import MemoryStorage
from tests.backends import body, plant
from tests.turns import Bot, StateMiddleware, StateScopes, context

KEY = "test/users/user"


class Profile:
    def __init__(self, name: str = "", tags: set[str] | None = None) -> None:
        self.name, self.tags = name, tags or set()


STORED = jsonpickle.encode({"profile": Profile("Ann", {"new"}), "n": 1}).encode()


@pytest.fixture
async def storage() -> MemoryStorage:
    storage = MemoryStorage()
    await plant(storage, KEY, STORED)
    return storage


async def stored_profile(storage: MemoryStorage) -> Any:
    """Return what the SDK reads."""
    return jsonpickle.decode(await body(storage, KEY) or b"")["profile"]  # noqa: S301 - its way


async def opened(storage: MemoryStorage) -> tuple[StateScopes, Any, Any]:
    states, turn = StateScopes(storage), context()
    await states.user.load(turn)
    return states, turn, states.user.get(turn)


async def test_it_is_plain_json_there_and_no_change(storage: MemoryStorage) -> None:
    states, turn, mapping = await opened(storage)
    assert mapping["profile"] == {"name": "Ann", "tags": ["new"]}
    assert states.user.get(turn) is mapping
    await states.user.save_changes(turn)
    assert await body(storage, KEY) == STORED


async def test_what_changes_in_it_keeps_its_class(storage: MemoryStorage) -> None:
    states, turn, mapping = await opened(storage)
    mapping["profile"]["name"] = "Bea"
    await states.user.save_changes(turn)
    profile = await stored_profile(storage)
    assert (type(profile), profile.name, profile.tags) == (Profile, "Bea", {"new"})
    mapping["profile"]["name"] = "Cem"  # and again, after a save
    await states.user.save_changes(turn)
    assert (await stored_profile(storage)).name == "Cem"


@pytest.mark.bot_framework  # the other SDK does not read tags, so there it is stored without
@pytest.mark.parametrize("name", ["Ann", "Bea"])
async def test_get_with_the_class_gives_an_instance(storage: MemoryStorage, name: str) -> None:
    states, turn, mapping = await opened(storage)
    mapping["profile"]["name"] = name
    profile: Any = await states.user.create_property("profile").get(turn, Profile)
    assert (type(profile), profile.name, profile.tags) == (Profile, name, {"new"})
    assert mapping["profile"] is profile
    assert await states.user.create_property("profile").get(turn) is profile
    mapping["profile"].tags.add("old")
    await states.user.save_changes(turn)
    read = await stored_profile(storage)
    assert (read.name, read.tags) == (name, {"new", "old"})


async def test_get_without_the_class_says_what_to_do(storage: MemoryStorage) -> None:
    states, turn, mapping = await opened(storage)
    for _ in range(2):
        with pytest.raises(StateDecodeError, match="Profile"):
            await states.user.create_property("profile").get(turn)
    mapping["profile"]["name"] = "Bea"
    with pytest.raises(StateDecodeError, match="Profile"):
        await states.user.create_property("profile").get(turn)
    await states.user.save_changes(turn)
    assert (await stored_profile(storage)).name == "Bea", "what the mapping changed is no less true"


async def test_a_change_after_get_gave_the_instance_is_an_error(storage: MemoryStorage) -> None:
    states, turn, mapping = await opened(storage)
    held = mapping["profile"]
    await states.user.create_property("profile").get(turn, Profile)
    await states.user.save_changes(turn)
    held["name"] = "Bea"
    with pytest.raises(StateEncodeError, match="would be lost"):
        await states.user.save_changes(turn)


async def test_what_takes_its_place_is_what_it_is(storage: MemoryStorage) -> None:
    states, turn, mapping = await opened(storage)
    mapping["profile"] = 7
    await states.user.save_changes(turn)
    assert await stored_profile(storage) == 7


async def test_set_and_delete(storage: MemoryStorage) -> None:
    states, turn, _ = await opened(storage)
    profile = states.user.create_property("profile")
    await profile.set(turn, {"name": "a dictionary"})
    assert await profile.get(turn) == {"name": "a dictionary"}
    await states.user.save_changes(turn)
    assert await stored_profile(storage) == {"name": "a dictionary"}

    await plant(storage, KEY, STORED)
    for way in ("delete", "mapping"):
        states, turn, mapping = await opened(storage)
        if way == "delete":
            await states.user.create_property("profile").delete(turn)
        else:
            del mapping["profile"]
        assert await states.user.create_property("profile").get(turn) is None
        assert "profile" not in states.user.get(turn)  # type: ignore[operator]  # it is loaded


@pytest.mark.parametrize("odd", [date(2024, 1, 2), {"py/object": "app.Other"}, float("nan"), {1}])
async def test_what_json_cannot_say_is_refused(storage: MemoryStorage, odd: Any) -> None:
    states, turn, mapping = await opened(storage)
    mapping["profile"]["name"] = odd
    with pytest.raises(StateEncodeError) as raised:
        await states.user.save_changes(turn)
    assert raised.value.property_name == "profile"
    assert await body(storage, KEY) == STORED


async def test_a_value_that_holds_itself_is_refused(storage: MemoryStorage) -> None:
    states, turn, mapping = await opened(storage)
    mapping["profile"]["self"] = mapping
    with pytest.raises(StateEncodeError, match="holds itself"):
        await states.user.save_changes(turn)


async def test_what_another_writer_stored_meanwhile_is_seen(storage: MemoryStorage) -> None:
    states, turn, mapping = await opened(storage)
    assert mapping["profile"]["name"] == "Ann"
    other = StateScopes(storage)
    (await other.user.create_property("profile").get(later := context(), Profile)).name = "Bea"
    await other.user.save_changes(later)
    await states.user.create_property("n").update(turn, lambda n: n + 1)
    assert (await states.user.create_property("profile").get(turn, Profile)).name == "Bea"


@pytest.mark.bot_framework  # the other SDK does not read tags, so there it is stored without
async def test_update_needs_the_class_too(storage: MemoryStorage) -> None:
    states, turn, _ = await opened(storage)
    profile = states.user.create_property("profile")
    with pytest.raises(StateDecodeError):
        await profile.update(turn, lambda value: value)

    def rename(value: Profile) -> None:
        value.name = "Bea"

    await profile.update(turn, rename, default=Profile)
    assert (await profile.get(turn, Profile)).name == "Bea"
    assert (await stored_profile(storage)).name == "Bea"


async def test_a_declared_type_that_does_not_fit_is_still_an_error(storage: MemoryStorage) -> None:
    states, turn = StateScopes(storage), context()
    states.user.create_property("profile", list[int])
    await states.user.load(turn)
    with pytest.raises(StateDecodeError):
        states.user.get(turn)


async def test_the_states_of_a_turn_show_it_as_well(storage: MemoryStorage) -> None:
    states = StateScopes(storage)
    states.user.create_property("n")
    shown: list[Any] = []

    async def logic(turn: Any) -> None:
        view = states.view(turn)
        shown.append(json.loads(json.dumps(view.user["profile"])))
        view.user["profile"]["name"] = "Bea"

    await Bot(StateMiddleware(states)).turn(logic)
    assert shown == [{"name": "Ann", "tags": ["new"]}]
    assert (await stored_profile(storage)).name == "Bea"


async def test_named_states_show_it_and_a_patch_keeps_its_class(storage: MemoryStorage) -> None:
    states = StateScopes(storage)
    plain = {"name": "Ann", "tags": ["new"]}
    assert (await states.user.get_state(context(), "profile")).payload == plain
    assert (await states.user.get_or_set_state(context(), "profile", 7)).payload == plain
    listed = await states.user.list_states(context())
    assert {record.name: record.payload for record in listed} == {"profile": plain, "n": 1}

    turn = context()
    for name in ("Bea", "Cem"):
        patched = await states.user.patch_state(turn, "profile", {"name": name})
        assert patched.payload == {"name": name, "tags": ["new"]}
    await states.user.save_changes(turn)
    read = await stored_profile(storage)
    assert (type(read), read.name, read.tags) == (Profile, "Cem", {"new"})
    with pytest.raises(StateEncodeError):
        await states.user.patch_state(turn, "profile", {"name": {"py/object": "os.system"}})


async def test_a_patch_and_the_class_in_one_turn(storage: MemoryStorage) -> None:
    states, turn = StateScopes(storage), context()
    record = await states.user.patch_state(turn, "profile", {"name": "Bea"})
    profile = await states.user.create_property("profile").get(turn, Profile)
    assert (type(profile), profile.name) == (Profile, "Bea")
    record.payload["name"] = "lost"
    with pytest.raises(StateEncodeError, match="would be lost"):
        await states.user.save_changes(turn)
