"""Upstream's own state classes and middleware, unchanged, on our storages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botbuilder.core import ConversationState, TurnContext, UserState
from botbuilder.core import MemoryStorage as UpstreamMemoryStorage
from botbuilder.core.adapters import TestAdapter
from botbuilder.core.teams import TeamsSSOTokenExchangeMiddleware
from botbuilder.schema import Activity, ChannelAccount, ConversationAccount

from botstate_ext.errors import StateConflictError, StateDecodeError, StateEncodeError
from botstate_ext.storage import BlobStorage, MemoryStorage, StateStorage


@pytest.fixture(params=["memory", pytest.param("blob", marks=pytest.mark.blob)])
async def storage(
    request: pytest.FixtureRequest, container_name: str
) -> AsyncIterator[StateStorage]:
    if request.param == "memory":
        yield MemoryStorage(types=[Profile])
    else:
        async with BlobStorage(
            connection_string=request.getfixturevalue("azurite"),
            container_name=container_name,
            types=[Profile],
        ) as storage:
            yield storage


class Profile:
    """As the samples write them."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name


class Item:
    """As the SDK's StoreItems are: an object with an e_tag."""

    def __init__(self, value: int, e_tag: str | None = None) -> None:
        self.value, self.e_tag = value, e_tag


def turn() -> TurnContext:
    activity = Activity(
        type="message",
        channel_id="test",
        from_property=ChannelAccount(id="ann"),
        conversation=ConversationAccount(id="c1"),
    )
    return TurnContext(TestAdapter(), activity)


async def test_a_second_save_in_a_turn_works(storage: StateStorage) -> None:
    state, context = UserState(storage), turn()
    name = state.create_property("name")
    for value in ("Ann", "Bea", "Cid"):
        await name.set(context, value)
        await state.save_changes(context)
    assert await name.get(turn()) == "Cid"


async def test_of_two_turns_the_second_does_not_win_silently(storage: StateStorage) -> None:
    state = UserState(storage)
    name = state.create_property("name")
    first = turn()
    await name.set(first, "Ann")
    await state.save_changes(first)

    one, other = turn(), turn()
    await name.get(one)
    await name.get(other)
    await name.set(one, "Bea")
    await name.set(other, "Cid")
    await state.save_changes(one)
    with pytest.raises(StateConflictError, match="Etag conflict"):
        await state.save_changes(other)
    assert await name.get(turn()) == "Bea"


async def test_a_change_that_was_not_saved_is_not_seen(storage: StateStorage) -> None:
    state = ConversationState(storage)
    cart = state.create_property("cart")
    first = turn()
    await cart.set(first, ["pizza"])
    await state.save_changes(first)
    (await cart.get(turn())).append("never saved")
    assert await cart.get(turn()) == ["pizza"]


async def test_no_e_tag_is_stored(storage: StateStorage) -> None:
    state, context = UserState(storage), turn()
    name = state.create_property("name")
    for value in ("Ann", "Bea"):
        await name.set(context, value)
        await state.save_changes(context)
    item = await storage.get("test/users/ann")
    assert item is not None
    assert json.loads(item.data) == {"name": "Bea"}


async def test_an_allowed_object_comes_back_as_itself(storage: StateStorage) -> None:
    state, context = UserState(storage), turn()
    profile = state.create_property("profile")
    await profile.set(context, Profile("Ann"))
    await state.save_changes(context)
    read = await profile.get(turn())
    assert isinstance(read, Profile)
    assert read.name == "Ann"


async def test_an_item_may_be_an_object(storage: StateStorage) -> None:
    item = Profile("Ann")
    await storage.write({"key": item})
    await storage.write({"key": item})
    read = (await storage.read(["key"]))["key"]
    assert isinstance(read, Profile)
    assert vars(read) == {"name": "Ann", "e_tag": vars(item)["e_tag"]}
    stored = await storage.get("key")
    assert stored is not None
    assert b"e_tag" not in stored.data


async def test_what_is_not_allowed_is_refused_before_anything_is_written(
    storage: StateStorage,
) -> None:
    with pytest.raises(StateEncodeError, match="types=") as caught:
        await storage.write({"good": {"a": 1}, "bad": Item(1)})
    assert caught.value.key == "bad"
    assert await storage.get_many(["good", "bad"]) == {}
    with pytest.raises(StateEncodeError):
        await storage.write({"bad": ["no", "item"]})


@pytest.mark.parametrize(
    "body",
    [
        b'{"x": {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["true"]}]}}',
        b'{"x": [{"py/object": "subprocess.Popen", "args": "true"}]}',
        b'{"py/object": "botbuilder.core.memory_storage.deepcopy"}',
        b"[1]",
        b"not json",
        b"[" * 10_000 + b"]" * 10_000,
    ],
    ids=["reduce", "object", "path", "array", "garbage", "deep"],
)
async def test_what_cannot_be_read_stays_as_it_is(storage: StateStorage, body: bytes) -> None:
    await storage.put_if("key", body, etag=None)
    with pytest.raises(StateDecodeError) as caught:
        await storage.read(["key"])
    assert caught.value.key == "key"
    stored = await storage.get("key")
    assert stored is not None
    assert stored.data == body


async def test_a_batch_says_what_was_saved_and_what_was_not(storage: StateStorage) -> None:
    await storage.write({"a": {"n": 1}, "b": {"n": 1}})
    with pytest.raises(StateConflictError) as caught:
        await storage.write({"a": {"n": 2, "e_tag": "0x1"}, "b": {"n": 2}, "c": {"n": 2}})
    assert caught.value.saved == ("b", "c")
    assert caught.value.not_saved == ("a",)


@pytest.mark.parametrize("operation", ["read", "write", "delete"])
async def test_none_is_refused(storage: StateStorage, operation: str) -> None:
    with pytest.raises(TypeError, match="required"):
        await getattr(storage, operation)(None)
    assert not await getattr(storage, operation)([])


async def test_teams_single_sign_on_is_deduplicated(storage: StateStorage) -> None:
    """Its first write brings an e_tag that it made up; its second must fail as a conflict."""
    assert await token_exchanges_let_through(storage) == [True, False, False]


async def test_teams_single_sign_on_on_the_sdks_own_memory_lets_two_through() -> None:
    assert await token_exchanges_let_through(UpstreamMemoryStorage()) == [True, True, False]


async def token_exchanges_let_through(storage: Any) -> list[bool]:
    middleware: Any = TeamsSSOTokenExchangeMiddleware(storage, "connection")
    allowed = []
    for _ in range(3):
        context = turn()
        context.activity.type, context.activity.name = "invoke", "signin/tokenExchange"
        context.activity.value = {"id": "exchange-1"}
        allowed.append(await middleware._deduplicated_token_exchange_id(context))
    return allowed
