"""Faults of the SDK's own state: each scenario runs with the SDK alone, which shows the fault, and
with this package, which does not have it. Over real HTTP.

When a new version of the SDK mends a fault, its half of the test fails: take it out, here and in
docs/agents.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from microsoft_agents.hosting.core import ActivityHandler, TurnState
from microsoft_agents.hosting.core import MemoryStorage as SdkMemory
from microsoft_agents.hosting.core import UserState as SdkUserState
from microsoft_agents.hosting.core.state.agent_state import AgentState, CachedAgentState
from microsoft_agents.hosting.core.storage import StoreItem

from botstate_ext.agents import StateMiddleware, StateScopes
from botstate_ext.errors import StateKeyError
from botstate_ext.storage import BlobStorage, MemoryStorage, as_state_storage
from botstate_ext.testing.clock import ManualClock
from tests import cosmos
from tests.agents.dialogs import Main
from tests.agents.world import Agent, adapter, application, prepared
from tests.patience import LIMIT

SDK, OURS = "the SDK alone", "with this package"
DAY = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)

both = pytest.mark.parametrize("layer", [SDK, OURS])


@asynccontextmanager
async def agent(layer: str, on_message: Any, **options: Any) -> AsyncIterator[Agent]:
    """Start an agent on memory whose state is the SDK's, or this package's."""
    if layer == OURS:
        async with prepared(StateScopes(MemoryStorage(), **options), on_message) as started:
            yield started
        return
    app = application(storage=SdkMemory())
    app.activity("message")(on_message)
    async with Agent(app, adapter()) as started:
        yield started


@asynccontextmanager
async def on_blob(
    layer: str, azurite: str, container: str, on_message: Any, types: Any = (), **mode: Any
) -> AsyncIterator[Agent]:
    """Start an agent on Azurite whose state is the SDK's, or this package's."""
    if layer == OURS:
        storage = BlobStorage(connection_string=azurite, container_name=container)
        states = StateScopes(storage, types=types)
        async with states, prepared(states, on_message, **mode) as started:
            yield started
        return
    from microsoft_agents.storage.blob import BlobStorage as SdkBlob
    from microsoft_agents.storage.blob import BlobStorageConfig

    sdk_storage = SdkBlob(BlobStorageConfig(container, azurite))
    app = application(storage=sdk_storage)
    app.activity("message")(on_message)
    try:
        async with Agent(app, adapter()) as started:
            yield started
    finally:
        await sdk_storage._close()


@both
async def test_one_state_object_for_all_users(layer: str) -> None:
    """UserState made once, as the SDK's samples for handlers and dialogs do it."""
    memory = SdkMemory()
    states = StateScopes(memory)
    users: Any = states.user if layer == OURS else SdkUserState(memory)
    here, both_are_here = [], asyncio.Event()

    class Handler(ActivityHandler):
        async def on_message_activity(self, turn_context: Any) -> None:
            await users.load(turn_context)
            here.append(1)
            if len(here) == 2:
                both_are_here.set()
            users.set_value("name", turn_context.activity.from_property.id)
            await asyncio.wait_for(both_are_here.wait(), LIMIT.total_seconds())
            await users.save(turn_context)

    on = adapter()
    if layer == OURS:
        on.use(StateMiddleware(states))
    async with Agent(Handler(), on) as started:
        await asyncio.gather(
            *(started.say("hi", user=user, conversation=user) for user in ("ann", "bob"))
        )
    stored = {key: item.get("name") for key, item in memory._memory.items() if "/users/" in key}
    right = {"test/users/ann": "ann", "test/users/bob": "bob"}
    assert (stored == right) is (layer == OURS), stored


@both
@pytest.mark.blob
async def test_quick_messages_are_all_counted(
    layer: str, azurite: str, container_name: str
) -> None:
    all_are_here, here = asyncio.Event(), []

    async def on_message(context: Any, state: TurnState) -> None:
        n = state.conversation.get_value("count", lambda: 0)
        here.append(1)
        if len(here) == 2:
            all_are_here.set()
        await asyncio.wait_for(all_are_here.wait(), LIMIT.total_seconds())
        state.conversation.set_value("count", n + 1)
        await context.send_activity(str(n + 1))

    async with (
        on_blob(layer, azurite, container_name, on_message, on_conflict="replay") as one,
        on_blob(layer, azurite, container_name, on_message, on_conflict="replay") as other,
    ):
        await asyncio.gather(*(each.say("hi") for each in (one, other, one, other)))
        (last,) = await one.say("hi")
    assert (last == "5") is (layer == OURS), last


@both
async def test_quick_messages_on_cosmos(
    layer: str, cosmos_endpoint: str, container_name: str
) -> None:
    """The SDK's storage upserts without a condition. Given to `StateScopes`, its container is
    written with conditions, in the same format."""
    sdk_storage = cosmos_storage(cosmos_endpoint, container_name)
    all_are_here, here = asyncio.Event(), list[int]()

    async def on_message(context: Any, state: TurnState) -> None:
        n = state.conversation.get_value("count", lambda: 0)
        here.append(1)
        if len(here) == 2:
            all_are_here.set()
        await asyncio.wait_for(all_are_here.wait(), 10)
        state.conversation.set_value("count", n + 1)
        await context.send_activity(str(n + 1))

    def an_agent() -> Any:
        if layer == OURS:
            return prepared(StateScopes(sdk_storage), on_message, on_conflict="replay")
        app = application(storage=sdk_storage)
        app.activity("message")(on_message)
        return Agent(app, adapter())

    try:
        async with an_agent() as one, an_agent() as other:
            await asyncio.gather(*(each.say("hi") for each in (one, other, one, other)))
            (last,) = await one.say("hi")
        assert (last == "5") is (layer == OURS), last
        key = "test/conversations/talk"
        stored = await sdk_storage.read([key], target_cls=CachedAgentState)
        assert stored[key].state["count"] == int(last)
        await as_state_storage(sdk_storage).aclose()
    finally:
        await sdk_storage._close()


def cosmos_storage(endpoint: str, container: str) -> Any:
    from azure.cosmos import documents
    from microsoft_agents.storage.cosmos import CosmosDBStorage, CosmosDBStorageConfig

    policy = documents.ConnectionPolicy()
    policy.EnableEndpointDiscovery = False  # the emulator's own address is not what it says
    options = {"connection_policy": policy}
    return CosmosDBStorage(CosmosDBStorageConfig(endpoint, cosmos.KEY, "bots", container, options))


@both
@pytest.mark.blob
async def test_a_dialog_on_blob(layer: str, azurite: str, container_name: str) -> None:
    from microsoft_agents.hosting.dialogs import DialogExtensions

    async def on_message(context: Any, state: TurnState) -> None:
        accessor = state.conversation.create_property("DialogState")
        await DialogExtensions.run_dialog(Main(), context, accessor)

    async with on_blob(layer, azurite, container_name, on_message) as started:
        first = await started.say("hi")
    assert first[0] == "name?"
    assert ("DialogState is not JSON serializable" in str(first)) is (layer == SDK)
    async with on_blob(layer, azurite, container_name, on_message) as started:
        assert (await started.say("Ann"))[0] == ("size?" if layer == OURS else "name?")


@both
async def test_falsy_values_are_values(layer: str) -> None:
    found: list[Any] = []

    async def on_message(context: Any, state: TurnState) -> None:
        values: dict[str, Any] = {"zero": 0, "empty": "", "none": [], "no": False}
        if context.activity.text == "set":
            for name, value in values.items():
                state.conversation.set_value(name, value)
        else:
            found.extend(state.conversation.get_value(name, lambda: 9) for name in values)

    async with agent(layer, on_message) as started:
        await started.say("set")
        await started.say("get")
    assert found == ([0, "", [], False] if layer == OURS else [9, 9, 9, 9])


@both
async def test_reading_what_is_absent_stores_nothing(layer: str) -> None:
    names: list[Any] = []

    async def on_message(context: Any, state: TurnState) -> None:
        names.append(list(state.conversation.get()))
        await state.conversation.create_property("absent").get(context)

    async with agent(layer, on_message) as started:
        for _ in range(2):
            await started.say("hi")
    assert names == [[], []] if layer == OURS else names == [[], ["absent"]]


@both
async def test_a_failed_turns_changes_are_not_seen_by_the_next(layer: str) -> None:
    async def on_message(context: Any, state: TurnState) -> None:
        items = state.conversation.get_value("items", lambda: ["first"])
        await context.send_activity(str(items))
        if context.activity.text == "fail":
            items.append("of a failed turn")
            raise RuntimeError

    async with agent(layer, on_message) as started:
        await started.say("hi")
        await started.say("fail")
        (said,) = await started.say("hi")
    assert (said == "['first']") is (layer == OURS), said


@both
async def test_what_was_deleted_stays_deleted(layer: str) -> None:
    names: list[Any] = []

    async def on_message(context: Any, state: TurnState) -> None:
        names.append(sorted(state.conversation.get() or {}))
        state.conversation.set_value(context.activity.text, 1)
        if context.activity.text == "two":
            await state.conversation.delete(context)
            state.conversation.set_value("new", 1)

    async with agent(layer, on_message) as started:
        for text in ("one", "two", "three"):
            await started.say(text)
    assert names[2] == (["new"] if layer == OURS else ["new", "one", "two"])


@both
async def test_an_activity_without_a_sender(layer: str) -> None:
    """An event, as Teams sends it: of a message the SDK's sign-in asks for the sender too."""
    reached: list[Any] = []

    async def on_event(context: Any, state: TurnState) -> None:
        reached.append(state.conversation.get_value("count", lambda: 0))
        if layer == OURS:
            with pytest.raises(StateKeyError, match=r"no from_property\.id"):
                state.user.get_value("name")

    async with agent(layer, on_event) as started:
        started.app.activity("event")(on_event)
        activity = started.activity(type="event", name="e")
        del activity["from"]
        await started.post(activity)
    assert reached == ([0] if layer == OURS else [])


@dataclass
class Cart(StoreItem):
    items: list[str] = field(default_factory=list)

    def store_item_to_json(self) -> Any:
        return {"items": self.items}

    @staticmethod
    def from_json_to_store_item(json_data: Any) -> Cart:
        return Cart(list(json_data["items"]))


@both
async def test_a_typed_value_changed_in_place(layer: str) -> None:
    async def on_message(context: Any, state: TurnState) -> None:
        cart = state.user.get_value("cart", Cart, target_cls=Cart)
        cart.items.append(context.activity.text)
        await context.send_activity(str(cart.items))

    async with agent(layer, on_message) as started:
        for text in ("tea", "milk"):
            await started.say(text)
        (said,) = await started.say("bread")
    assert (said == "['tea', 'milk', 'bread']") is (layer == OURS), said


@dataclass
class Plain:
    text: str


VALUES = {"datetime": DAY, "dataclass": Plain("a"), "items": [Cart(["tea"])]}


@both
@pytest.mark.blob
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
async def test_values_that_json_does_not_have(
    layer: str, azurite: str, container_name: str, value: Any
) -> None:
    seen: list[Any] = []

    async def on_message(context: Any, state: TurnState) -> None:
        cls = type(value) if isinstance(value, Plain) else None
        seen.append(state.user.get_value("value", target_cls=cls))
        state.user.set_value("value", value)
        await context.send_activity("I will remember it")

    mode = {"types": [Cart], "replies": "after_save"}
    said: list[str] = []
    for _ in range(2):
        async with on_blob(layer, azurite, container_name, on_message, **mode) as started:
            said += await started.say("hi")
    assert seen == ([None, value] if layer == OURS else [None, None])
    assert ("not JSON serializable" in str(said)) is (layer == SDK)


@both
async def test_a_value_that_its_class_refuses(layer: str) -> None:
    errors: list[str] = []

    async def on_message(context: Any, state: TurnState) -> None:
        carts = state.user.create_property("cart")
        await carts.set(context, {"something": "else"})
        if layer == OURS:
            await state.save(context)
        try:
            await carts.get(context, Cart, target_cls=Cart)
        except Exception as error:  # noqa: BLE001 - which one is what is looked at
            errors.append(type(error).__name__)

    async with agent(layer, on_message) as started:
        await started.say("hi")
    assert errors == (["StateDecodeError"] if layer == OURS else ["TypeError"])


@both
async def test_paths_by_the_scopes_name(layer: str) -> None:
    taken: list[Any] = []

    async def on_message(context: Any, state: TurnState) -> None:
        for path in ("conversation.count", "ConversationState.count"):
            with suppress(ValueError):
                state.set_value(path, 1)
                taken.append(path)

    async with agent(layer, on_message) as started:
        await started.say("hi")
    assert ("conversation.count" in taken) is (layer == OURS)
    assert "ConversationState.count" in taken


class Team(AgentState):
    """A scope of the app's own, as the SDK would have it."""

    def __init__(self, storage: Any) -> None:
        super().__init__(storage, "Team")

    def get_storage_key(self, turn_context: Any, **_: Any) -> str:
        return "teams/red"


@both
async def test_a_scope_of_the_apps_own(layer: str) -> None:
    memory = SdkMemory()
    states = StateScopes(memory)
    states.scope("team", key=lambda turn: "red")

    async def on_message(context: Any, state: TurnState) -> None:
        path = "team.count" if layer == OURS else "Team.count"
        n = state.get_value(path, lambda: 0)
        state.set_value(path, n + 1)
        await context.send_activity(str(n))

    app = None
    if layer == SDK:
        app = application(
            storage=memory,
            turn_state_factory=lambda: TurnState.with_storage(memory, Team(memory)),
        )
        app.activity("message")(on_message)
    started = prepared(states, on_message) if app is None else Agent(app, adapter())
    async with started:
        said = [*await started.say("hi"), *await started.say("hi")]
    assert (said == ["0", "1"]) is (layer == OURS), said


@both
async def test_the_text_of_an_exception(layer: str) -> None:
    async def on_message(context: Any, state: TurnState) -> None:
        raise RuntimeError("password=hunter2")

    async with agent(layer, on_message) as started:
        said = await started.say("hi")
    assert ("hunter2" in str(said)) is (layer == SDK), said


async def test_what_the_sdk_does_not_have() -> None:
    """Expiry, a private scope, listings."""
    clock = ManualClock(DAY)
    states = StateScopes(MemoryStorage(), clock=clock)
    states.conversation.create_property("code", expires_after=timedelta(minutes=5))

    async def on_message(context: Any, state: TurnState) -> None:
        await context.send_activity(str(state.conversation.get_value("code")))
        state.conversation.set_value("code", context.activity.text)
        state.private.set_value("mine", context.activity.from_property.id)

    async with prepared(states, on_message) as started:
        assert await started.say("1234") == ["None"]
        assert await started.say("5678") == ["1234"]
        clock.advance(timedelta(minutes=5))
        assert await started.say("0") == ["None"]
    assert [each.user_id async for each in states.private.scan()] == ["ann"]
