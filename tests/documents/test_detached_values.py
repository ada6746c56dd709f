"""A value that was handed out and then replaced: a change to it is never lost in silence."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from botstate_ext import StateEncodeError
from botstate_ext.documents.detached_values import MAX_DETACHED
from botstate_ext.storage import MemoryStorage
from tests.backends import read_all
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context


@dataclass
class Profile:
    name: str = ""
    age: int = 0
    tags: list[str] = field(default_factory=list)


@pytest.fixture
def states() -> StateScopes:
    return StateScopes(MemoryStorage())


def numbered(number: int, value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "number": number}


async def update(states: StateScopes, turn: TurnContext) -> None:
    await states.user.create_property("x").update(turn, lambda v: {**v, "new": 1}, default=dict)


async def patch(states: StateScopes, turn: TurnContext) -> None:
    await states.user.patch_state(turn, "x", {"new": 1})


async def other_property(states: StateScopes, turn: TurnContext) -> None:
    """Another turn writes; an update of another property shows this turn what it wrote."""
    await states.user.create_property("x").update(context(), lambda v: {**v, "new": 1})
    await states.user.create_property("y").update(turn, lambda v: v + 1, default=0)
    await states.user.create_property("x").get(turn)


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("replace", [update, patch, other_property])
async def test_a_change_to_it_is_an_error_at_the_save(
    states: StateScopes, replace: Any, stored: bool
) -> None:
    x, turn = states.user.create_property("x"), context()
    if stored or replace is other_property:
        await x.update(context(), lambda v: {"a": [1]}, default=dict)
    held = await x.get(turn, dict)
    await replace(states, turn)
    held.setdefault("a", []).append("lost")
    with pytest.raises(StateEncodeError, match="Get the property again") as raised:
        await states.user.save_changes(turn)
    assert raised.value.property_name == "x"
    assert "lost" not in str(raised.value).replace("would be lost", "")
    expected = {**({"a": [1]} if stored or replace is other_property else {}), "new": 1}
    if replace is not patch:
        assert (await read_all(states.user))["x"] == expected


@pytest.mark.parametrize("replace", [update, patch, other_property])
async def test_without_a_change_to_it_the_turn_is_saved(states: StateScopes, replace: Any) -> None:
    x, turn = states.user.create_property("x"), context()
    await x.update(context(), lambda v: {"a": [1]}, default=dict)
    await x.get(turn)
    await replace(states, turn)
    (await x.get(turn, dict))["a"].append(2)
    await states.user.save_changes(turn)
    assert (await read_all(states.user))["x"] == {"a": [1, 2], "new": 1}


async def test_the_turn_of_the_middleware_fails_with_it(states: StateScopes) -> None:
    x = states.user.create_property("x")

    async def logic(turn: TurnContext) -> None:
        held = await x.get(turn, dict)
        await update(states, turn)
        held["post"] = 1

    with pytest.raises(StateEncodeError):
        await Bot(StateMiddleware(states)).turn(logic)


async def test_what_was_discarded_is_no_longer_watched(states: StateScopes) -> None:
    x, turn = states.user.create_property("x"), context()
    held = await x.get(turn, dict)
    await update(states, turn)
    held["post"] = 1
    await states.user.load(turn, force=True)
    await states.user.save_changes(turn)
    assert await read_all(states.user) == {"x": {"new": 1}}


async def test_many_updates_keep_few_values_and_forget_no_change(states: StateScopes) -> None:
    x, turn = states.user.create_property("x"), context()
    held = await x.get(turn, dict)
    await update(states, turn)
    held["post"] = 1
    for number in range(MAX_DETACHED + 2):
        await x.update(turn, partial(numbered, number))
    document = await states.user._document(turn)
    assert document._detached is not None
    assert len(document._detached) == MAX_DETACHED
    with pytest.raises(StateEncodeError, match="Get the property again"):
        await states.user.save_changes(turn)


async def test_what_was_read_as_plain_json_before_its_class_was_known(states: StateScopes) -> None:
    """As a dialog's memory does, of a value in the SDK's spelling that lacks a field."""
    text = json.dumps({"profile": {"name": "Ann", "age": 7}}).encode()
    await states.storage.put_if("test/users/user", text, etag=None)
    turn, profile = context(), states.user.create_property("profile")
    await states.user.load(turn)
    plain = states.view(turn).user["profile"]
    assert await profile.get(turn, Profile) == Profile("Ann", 7)
    await states.user.save_changes(turn)
    item = await states.storage.get("test/users/user")
    assert item is not None
    assert item.data == text, "looking at it twice is no change"
    plain["name"] = "Bob"
    with pytest.raises(StateEncodeError, match="Get the property again"):
        await states.user.save_changes(turn)
