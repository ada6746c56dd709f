"""What the SDK's own tests ask of states and of memory storage, asked of the SDK's and of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import botbuilder.core as sdk
import pytest
from botbuilder.core import AutoSaveStateMiddleware, StoreItem

import botstate_ext as ours
from botstate_ext.storage import MemoryStorage
from tests.turns import Bot, TurnContext, context, message

KEY = "test/users/user"


class Item(StoreItem):
    """An item as the SDK's tests store it."""

    def __init__(self, counter: int = 1, e_tag: str = "*") -> None:
        super().__init__()
        self.counter, self.e_tag = counter, e_tag


class Value:
    def __init__(self, value: str | None = None) -> None:
        self.value = value


class Kind(NamedTuple):
    """Whose states, on whose storage."""

    states: Any
    storage: Callable[..., Any]


KINDS = {
    "the SDK's": Kind(sdk, sdk.MemoryStorage),
    "ours on the SDK's storage": Kind(ours, sdk.MemoryStorage),
    "ours on ours": Kind(ours, MemoryStorage),
    "the SDK's on ours": Kind(sdk, lambda *first: MemoryStorage(*first, types=[Value, Item])),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def user_state(kind: Kind, *first: Any) -> Any:
    return kind.states.UserState(kind.storage(*first))


async def test_a_property_needs_a_name(kind: Kind) -> None:
    for name in ("", None):
        with pytest.raises(TypeError):
            user_state(kind).create_property(name)


async def test_set_and_get_need_no_load(kind: Kind) -> None:
    state, turn = user_state(kind), context()
    value = state.create_property("a")
    await value.set(turn, "hello")
    assert await value.get(turn) == "hello"


async def test_load_may_be_called_again(kind: Kind) -> None:
    state, turn = user_state(kind), context()
    await state.load(turn)
    await state.load(turn)
    assert state.get(turn) == {}


async def test_an_absent_property_is_its_default_or_none(kind: Kind) -> None:
    state, turn = user_state(kind), context()
    assert await state.create_property("a").get(turn, lambda: "Default!") == "Default!"
    assert await state.create_property("b").get(turn) is None


async def test_a_property_may_be_set_after_a_save(kind: Kind) -> None:
    state, turn = user_state(kind), context()
    one, other = state.create_property("property-a"), state.create_property("property-b")
    await state.load(turn)
    await one.set(turn, "hello")
    await other.set(turn, "world")
    await state.save_changes(turn)
    await one.set(turn, "hello2")
    assert await one.get(turn) == "hello2"


async def test_a_turn_may_save_again(kind: Kind) -> None:
    state, turn = user_state(kind), context()
    one, other = state.create_property("property-a"), state.create_property("property-b")
    for value in ("hello", "hello2"):
        await one.set(turn, value)
        await other.set(turn, "world")
        await state.save_changes(turn, force=True)  # without, the SDK itself fails at the second
    assert await one.get(turn) == "hello2"
    again = state.create_property("property-a")
    assert await again.get(context()) == "hello2"


async def test_what_is_saved_is_in_the_storage(kind: Kind) -> None:
    storage = kind.storage({})
    state, turn = kind.states.UserState(storage), context()
    await state.create_property("property-a").set(turn, "hello")
    await state.create_property("property-b").set(turn, "world")
    await state.save_changes(turn)
    item = (await storage.read([KEY]))[KEY]
    assert (item["property-a"], item["property-b"]) == ("hello", "world")


async def test_others_stay_what_they_were(kind: Kind) -> None:
    storage = kind.storage({})
    for value, names in (("1", "abc"), ("2", "ab")):
        state, turn = kind.states.UserState(storage), context()
        await state.load(turn)
        for name in names:
            await state.create_property(name).set(turn, name + value)
        await state.save_changes(turn)
    item = (await storage.read([KEY]))[KEY]
    assert [item[name] for name in "abc"] == ["a2", "b2", "c1"]


async def test_what_is_deleted_is_gone(kind: Kind) -> None:
    storage = kind.storage({})
    state, turn = kind.states.UserState(storage), context()
    for name in "ab":
        await state.create_property(name).set(turn, name)
    await state.save_changes(turn)
    state, turn = kind.states.UserState(storage), context()
    await state.create_property("a").set(turn, "hello-2")
    await state.create_property("b").delete(turn)
    await state.save_changes(turn)
    item = (await storage.read([KEY]))[KEY]
    assert item["a"] == "hello-2"
    assert "b" not in item


async def test_a_forced_load_discards_what_was_not_saved(kind: Kind) -> None:
    state, turn = user_state(kind), context()
    value = state.create_property("test")
    held = await value.get(turn, dict)
    held["custom"] = "test"
    await state.save_changes(turn)
    held["custom"] = "asdfsadf"
    await state.load(turn, True)
    assert (await value.get(turn))["custom"] == "test"


@pytest.mark.parametrize(
    ("name", "missing"),
    [("UserState", "user"), ("ConversationState", "conversation")],
)
async def test_an_activity_that_lacks_a_part_is_an_error(
    kind: Kind, name: str, missing: str
) -> None:
    lacks: dict[str, Any] = {missing: None}
    turn = context(message(**lacks))
    with pytest.raises(AttributeError):
        await getattr(kind.states, name)(kind.storage()).create_property("test").get(turn)
    turn = context(message(channel=None))
    with pytest.raises(TypeError):
        await getattr(kind.states, name)(kind.storage()).create_property("test").get(turn)


@pytest.mark.parametrize("way", ["clear", "delete"])
async def test_what_is_cleared_or_deleted_begins_anew(kind: Kind, way: str) -> None:
    storage = kind.storage({})

    async def value(default: str | None = None) -> tuple[Any, Any, Any]:
        state, turn = kind.states.ConversationState(storage), context()
        # Its class, where the SDK's test gives a function: a class comes from code, not from data.
        read = await state.create_property("test-name").get(turn, Value)
        read.value = read.value or default
        return state, turn, read

    state, turn, _ = await value("test-value")
    await state.save_changes(turn)
    assert (await value())[2].value == "test-value"
    state, turn = kind.states.ConversationState(storage), context()
    if way == "clear":
        await state.clear_state(turn)
        await state.save_changes(turn)
    else:
        await state.load(turn)  # the SDK itself cannot delete what it has not loaded
        await state.delete(turn)
    assert (await value("default-value"))[2].value == "default-value"


@pytest.mark.parametrize("name", ["UserState", "ConversationState", "PrivateConversationState"])
async def test_the_mapping_is_loaded_changed_and_saved(kind: Kind, name: str) -> None:
    storage = kind.storage()
    state, turn = getattr(kind.states, name)(storage), context()
    await state.load(turn)
    key = state.get_storage_key(turn)
    mapping = state.get(turn)
    assert mapping == {}
    mapping["test"] = "foo"
    await state.save_changes(turn)
    assert (await storage.read([key]))[key]["test"] == "foo"


async def test_the_sdks_middleware_loads_and_saves(kind: Kind) -> None:
    storage = kind.storage()
    states = [kind.states.UserState(storage), kind.states.ConversationState(storage)]
    middleware = AutoSaveStateMiddleware([states[0]]).add(states[1])

    async def logic(turn: TurnContext) -> None:
        for state in states:
            await state.create_property("foo").set(turn, "bar")

    await Bot(middleware).turn(logic)
    found = await storage.read([KEY, "test/conversations/conv"])
    assert [found[key]["foo"] for key in sorted(found)] == ["bar", "bar"]
    turn = context()
    await middleware.bot_state_set.load_all(turn, True)
    assert [state.get(turn)["foo"] for state in states] == ["bar", "bar"]
    await middleware.bot_state_set.save_all_changes(turn, True)


STORAGES: dict[str, Callable[..., Any]] = {
    "the SDK's": sdk.MemoryStorage,
    "ours": lambda *first: MemoryStorage(*first, types=[Item]),
}


@pytest.fixture(params=STORAGES)
def memory(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return STORAGES[request.param]


async def test_first_items_are_there(memory: Callable[..., Any]) -> None:
    data = await memory({"test": Item()}).read(["test"])
    assert list(data) == ["test"]
    assert data["test"].counter == 1


@pytest.mark.parametrize("e_tag", ["*", "1"])
async def test_a_write_with_an_asterisk_or_the_right_etag_wins(
    memory: Callable[..., Any], e_tag: str
) -> None:
    storage = memory()
    await storage.write({"user": Item(e_tag="1")})
    read = (await storage.read(["user"]))["user"]
    await storage.write({"user": Item(10, "*" if e_tag == "*" else read.e_tag)})
    assert (await storage.read(["user"]))["user"].counter == 10


async def test_an_unknown_key_is_not_in_the_answer(memory: Callable[..., Any]) -> None:
    assert await memory().read(["test"]) == {}


async def test_only_what_is_named_is_deleted(memory: Callable[..., Any]) -> None:
    storage = memory({"test": Item(), "test2": Item(2, "2"), "test3": Item(3, "3")})
    await storage.delete(["test", "test2"])
    assert list(await storage.read(["test", "test2", "test3"])) == ["test3"]
    await storage.delete(["foo", "bar"])
    assert list(await storage.read(["test3"])) == ["test3"]
    assert await storage.read(["foo"]) == {}
