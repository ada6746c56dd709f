"""Keys and stored data: what this package and the SDK's own state read of each other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from microsoft_agents.hosting.core import ConversationState as SdkConversationState
from microsoft_agents.hosting.core import MemoryStorage as SdkMemory
from microsoft_agents.hosting.core import UserState as SdkUserState
from microsoft_agents.hosting.core.app.proactive.conversation import Conversation
from microsoft_agents.hosting.core.storage import Storage as SdkStorage
from microsoft_agents.hosting.core.storage import StoreItem

from botstate_ext import BlobLeaseLock
from botstate_ext.agents import AgentsStorage, StateScopes, TurnState
from botstate_ext.errors import StateConflictError, StateDecodeError
from botstate_ext.storage import BlobStorage, MemoryStorage, RoutedStorage, as_state_storage
from tests.agents.test_turns import count
from tests.agents.world import Agent, adapter, application, prepared

COPILOT: dict[str, Any] = {
    "channelId": "msteams",
    "entities": [{"type": "ProductInfo", "id": "COPILOT"}],
}


async def test_a_key_is_made_of_the_channel_without_its_sub_channel() -> None:
    storage = MemoryStorage()
    async with prepared(StateScopes(storage), count) as agent:
        assert await agent.say("hi", channelId="msteams") == ["ann 1"]
        assert await agent.say("hi", **COPILOT) == ["ann 2"]
    keys = [item.key async for item in storage.list_items()]
    assert "msteams/conversations/talk" in keys
    assert not [key for key in keys if "COPILOT" in key]


async def test_a_key_with_its_sub_channel_by_option() -> None:
    storage = MemoryStorage()
    async with prepared(StateScopes(storage, sub_channels=True), count) as agent:
        assert await agent.say("hi", **COPILOT) == ["ann 1"]
    assert await storage.get("msteams:COPILOT/conversations/talk") is not None


async def test_a_user_who_leaves_is_erased_from_the_whole_channel() -> None:
    storage = MemoryStorage()
    states = StateScopes(storage)

    async def on_message(context: Any, state: TurnState) -> None:
        state.user.set_value("name", "Ann")
        state.private.set_value("secret", 1)

    async with prepared(states, on_message, erase_on_removal=True) as agent:
        await agent.say("hi", channelId="msteams")
        await agent.say("hi", conversation="other", **COPILOT)
        assert len([i async for i in storage.list_items() if "ann" in i.key]) == 3
        await agent.post(agent.activity(type="deleteUserData", **COPILOT))
    assert [i.key async for i in storage.list_items() if "ann" in i.key] == []


# The SDK's own state


class SdkAgent:
    """An agent whose state is the SDK's own."""

    def __init__(self, storage: Any) -> None:
        self.storage = storage

    async def turn(self, **changes: Any) -> dict[str, Any]:
        app = application(storage=self.storage)
        found: dict[str, Any] = {}

        @app.activity("message")
        async def on_message(context: Any, state: Any) -> None:
            found.update(state.conversation.get() or {})
            for name, value in changes.items():
                state.conversation.set_value(name, value)

        async with Agent(app, adapter()) as agent:
            await agent.say("hi")
        return found


async def test_what_the_sdk_stored_is_read_and_what_we_store_is_read_by_it(storage: Any) -> None:
    sdk = SdkAgent(AgentsStorage(storage))
    await sdk.turn(count=5, name="talk", tags=["a"], nested={"b": {"c": 1}})
    states = StateScopes(storage)
    async with prepared(states, count) as agent:
        assert await agent.say("hi") == ["ann 6"]
    found = await sdk.turn(count=7)
    assert found["count"] == 6
    assert found["nested"] == {"b": {"c": 1}}
    assert found["tags"] == ["a"]
    async with prepared(states, count) as agent:
        assert await agent.say("hi") == ["ann 8"]


async def test_the_sdks_own_memory_storage() -> None:
    sdk_storage = SdkMemory()
    await SdkAgent(sdk_storage).turn(count=5)
    states = StateScopes(sdk_storage)
    assert StateScopes(sdk_storage).storage is states.storage
    async with prepared(states, count) as agent:
        assert await agent.say("hi") == ["ann 6"]
    assert (await SdkAgent(sdk_storage).turn())["count"] == 6


@pytest.mark.blob
async def test_the_sdks_own_blob_storage(azurite: str, container_name: str) -> None:
    from microsoft_agents.storage.blob import BlobStorage as SdkBlob
    from microsoft_agents.storage.blob import BlobStorageConfig

    sdk_storage = SdkBlob(BlobStorageConfig(container_name, azurite))
    try:
        await SdkAgent(sdk_storage).turn(count=5)
        async with StateScopes(sdk_storage) as states:
            assert isinstance(states.storage, BlobStorage)
            async with prepared(states, count) as agent:
                assert await agent.say("hi") == ["ann 6"]
        assert (await SdkAgent(sdk_storage).turn())["count"] == 6
    finally:
        await sdk_storage._close()


async def test_any_other_storage_of_the_sdks_kind() -> None:
    class Own(SdkStorage):
        def __init__(self) -> None:
            self.items: dict[str, str] = {}

        async def read(self, keys: Any, *, target_cls: Any, **_: Any) -> Any:
            return {
                key: target_cls.from_json_to_store_item(json.loads(self.items[key]))
                for key in keys
                if key in self.items
            }

        async def write(self, changes: Any) -> None:
            for key, item in changes.items():
                self.items[key] = json.dumps(item.store_item_to_json())

        async def delete(self, keys: Any) -> None:
            for key in keys:
                self.items.pop(key, None)

    own = Own()
    async with prepared(StateScopes(own), count) as agent:
        assert await agent.say("hi") == ["ann 1"]
        assert await agent.say("hi") == ["ann 2"]
    assert json.loads(own.items["test/conversations/talk"])["count"] == 2


async def test_the_sdks_storages_are_taken_wherever_a_storage_is() -> None:
    one, other = SdkMemory(), SdkMemory()
    states = StateScopes(RoutedStorage({"webchat": other}, default=one))
    async with prepared(states, count) as agent:
        assert await agent.say("hi") == ["ann 1"]
        assert await agent.say("hi", channelId="webchat") == ["ann 1"]
    assert "test/conversations/talk" in one._memory
    assert "webchat/conversations/talk" in other._memory
    with pytest.raises(TypeError, match="needs Blob storage, not MemoryStorage"):
        BlobLeaseLock(one)


def test_what_is_no_storage() -> None:
    with pytest.raises(TypeError, match="MemoryStorage"):
        StateScopes({})


async def test_the_sdks_states_object_is_refused_where_it_serves_all_turns() -> None:
    states = StateScopes(MemoryStorage())
    with pytest.raises(TypeError, match="belongs to one turn"):
        states.add(SdkUserState(AgentsStorage(states.storage)))


async def test_the_sdks_own_state_in_the_same_turn_sees_the_same_values() -> None:
    states = StateScopes(MemoryStorage())

    async def on_message(context: Any, state: TurnState) -> None:
        own = SdkConversationState(AgentsStorage(states.storage))
        await own.load(context)
        own.set_value("count", own.get_value("count", lambda: 0) + 1)
        await own.save(context, force=True)
        await context.send_activity(str(state.conversation.get_value("count")))

    async with prepared(states, on_message) as agent:
        assert await agent.say("hi") == ["1"]
        assert await agent.say("hi") == ["2"]


# AgentsStorage


@dataclass
class Item(StoreItem):
    text: str

    def store_item_to_json(self) -> Any:
        return {"text": self.text}

    @staticmethod
    def from_json_to_store_item(json_data: Any) -> Item:
        return Item(json_data["text"])


async def test_items_of_the_sdk(storage: Any) -> None:
    items = AgentsStorage(storage)
    await items.write({"auth/test/ann/graph": Item("a"), "auth:state": Item("b")})
    found = await items.read(["auth/test/ann/graph", "absent"], target_cls=Item)
    assert found == {"auth/test/ann/graph": Item("a")}
    await items.write({"auth/test/ann/graph": Item("c")})
    await items.delete({"auth:state", "absent"})
    found = await items.read({"auth/test/ann/graph", "auth:state"}, target_cls=Item)
    assert found == {"auth/test/ann/graph": Item("c")}
    for call in (items.read([], target_cls=Item), items.write({}), items.delete([])):
        with pytest.raises(ValueError, match="required"):
            await call
    assert as_state_storage(items) is storage


async def test_an_item_that_its_class_refuses(storage: Any) -> None:
    await storage.put_if("auth/x", b'{"secret": "s3cret"}', etag=None)
    with pytest.raises(StateDecodeError, match="Item does not take it") as raised:
        await AgentsStorage(storage).read(["auth/x"], target_cls=Item)
    assert "s3cret" not in str(raised.value)


async def test_the_sdks_own_state_loses_no_update_on_it(storage: Any) -> None:
    class Context:
        def __init__(self) -> None:
            self.turn_state: dict[str, Any] = {}
            self.activity = None

    class Own(SdkUserState):
        def get_storage_key(self, turn_context: Any) -> str:
            return "test/users/ann"

    first, second = (Own(AgentsStorage(storage)) for _ in range(2))
    for each in (first, second):
        await each.load(Context())
        each.set_value("name", "x")
    await first.save(Context())
    with pytest.raises(StateConflictError):
        await second.save(Context())
    first.set_value("name", "y")
    await first.save(Context())


async def test_erasing_a_user_erases_what_sign_in_kept(storage: Any) -> None:
    states = StateScopes(storage)
    mine = [
        "auth/msteams/ann/graph",
        "auth/msteams:COPILOT/ann/graph",
        "auth:_SignInState:msteams:ann",
        "auth:_SignInState:msteams:COPILOT:ann",
    ]
    others = [
        "auth/msteams/ann/b/graph",
        "auth/msteams/bob/graph",
        "auth/msteams2/ann/graph",
        "auth:_SignInState:msteams:29:ann",
        "auth:_SignInState:webchat:ann",
    ]
    await AgentsStorage(storage).write({key: Item("x") for key in (*mine, *others)})
    rehearsed = await states.erase_user("msteams", "ann", dry_run=True)
    assert sorted(rehearsed.removed) == sorted(mine)
    assert len([item async for item in storage.list_items()]) == 9
    assert (await states.erase_user("msteams", "ann")).complete
    assert sorted([item.key async for item in storage.list_items()]) == sorted(others)


async def test_stored_conversations_are_no_documents(storage: Any) -> None:
    """Their key looks like a conversation's of a channel called "proactive"."""
    states = StateScopes(storage)
    key = "proactive/conversations/talk"
    reference = {"conversation": {"id": "talk"}, "serviceUrl": "https://x"}
    stored = Conversation.from_json_to_store_item({"conversation_reference": reference})
    await AgentsStorage(storage).write({key: stored})
    before = (await storage.get(key)).data
    async with prepared(states, count) as agent:
        await agent.say("hi")
    found = [each.key async for each in states.conversation.scan()]
    assert found == ["test/conversations/talk"]
    assert (await states.migrate()).failed == 0
    await states.sweep()
    assert (await states.check_storage()).others == 1
    assert (await storage.get(key)).data == before
