"""Blobs that were stored by released packages, read by this code; and ours, read by upstream.

``python -m tests.fixtures.write`` writes the files anew.
"""

from __future__ import annotations

import json
from typing import Any

import botbuilder.core as sdk
import jsonpickle
import pytest
from botbuilder.dialogs import DialogSet

from botstate_ext.storage import MemoryStorage
from tests.fixtures import values
from tests.fixtures.values import FILES, FOLDER
from tests.turns import StateMiddleware, StateScopes, TestAdapter, TurnContext, message


def stored(writer: str) -> dict[str, bytes]:
    return {key: (FOLDER / f"{writer}.{name}.json").read_bytes() for key, name in FILES.items()}


def attributes(value: Any) -> Any:
    return vars(value)


async def go_on(middleware: Any, user: Any, conversation: Any) -> dict[str, Any]:
    """The turn after those that were stored: what it finds, and what the bot says."""
    dialogs = DialogSet(conversation.create_property("DialogState"))
    dialogs.add(values.AskDialog())
    adapter = TestAdapter().use(middleware)
    found: dict[str, Any] = {}

    async def logic(turn: TurnContext) -> None:
        found["order"] = await user.create_property("order").get(turn)
        found["profile"] = await user.create_property("profile").get(turn)
        found["data"] = await conversation.create_property("data").get(turn)
        await (await dialogs.create_context(turn)).continue_dialog()

    activity = message("30")
    activity.locale = "en-us"
    await adapter.run_pipeline(TurnContext(adapter, activity), logic)
    found["said"] = [activity.text for activity in adapter.activity_buffer]
    return found


def check(found: dict[str, Any]) -> None:
    assert found["order"] == values.order()
    assert type(found["profile"]) is values.Profile
    assert attributes(found["profile"]) == attributes(values.Profile("Ann"))
    assert found["data"] == {"count": 1, "list": [1, None, "é"], "nested": {"a": {}}}
    assert found["said"] == ["Hello Ann 30"], "the dialog goes on where it was"


@pytest.mark.parametrize("writer", ["upstream", "ours"])
@pytest.mark.parametrize("typed", [True, False])
async def test_this_package_goes_on_from_what_each_stored(writer: str, typed: bool) -> None:
    storage = MemoryStorage()
    for key, data in stored(writer).items():
        await storage.put_if(key, data, etag=None)
    types: list[type] = [values.Options, values.Size]
    if not typed:
        types += [values.Order, values.Pizza, values.Profile]
    states = StateScopes(storage, types=types)
    if typed:
        states.user.create_property("order", values.Order)
        states.user.create_property("profile", values.Profile)
    check(await go_on(StateMiddleware(states), states.user, states.conversation))


@pytest.mark.parametrize("writer", ["upstream", "ours"])
async def test_upstream_goes_on_from_what_each_stored(writer: str) -> None:
    # What upstream's Blob adapter does when it reads.
    items = {key: jsonpickle.decode(data) for key, data in stored(writer).items()}  # noqa: S301 - that is the question
    storage = sdk.MemoryStorage(items)
    user, conversation = sdk.UserState(storage), sdk.ConversationState(storage)
    saving = sdk.AutoSaveStateMiddleware([user, conversation])
    check(await go_on(saving, user, conversation))


def test_the_files_are_what_they_say() -> None:
    upstream, ours = stored("upstream"), stored("ours")
    assert all(b"py/id" in data and b"$state" not in data for data in upstream.values())
    for data in ours.values():
        assert b"py/id" not in data
        assert list(json.loads(data))[-1] == "$state"
