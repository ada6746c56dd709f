"""When a conversation ends, what it remembered is removed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from botstate_ext import ExpiredState, StateKeyError
from botstate_ext.storage import BlobStorage, as_state_storage
from botstate_ext.storage.base import ANY
from tests.maintenance.world import HOUR, KEY, World
from tests.storage.plain import PlainStorage
from tests.turns import (
    Activity,
    ActivityHandler,
    Bot,
    StateMiddleware,
    StateScopes,
    TurnContext,
    context,
    message,
)

PRIVATE = "test/conversations/conv/users/user/"


@pytest.fixture(params=["memory", "blob"])
async def world(request: pytest.FixtureRequest, container_name: str) -> AsyncIterator[World]:
    if request.param == "memory":
        yield World()
    else:
        azurite = request.getfixturevalue("azurite")
        async with BlobStorage(connection_string=azurite, container_name=container_name) as storage:
            yield World(storage)


async def fill(states: StateScopes, bot: Bot, activity: Activity) -> None:
    async def logic(turn: TurnContext) -> None:
        for scope in (states.user, states.conversation, states.private):
            await scope.create_property("x").set(turn, 1)

    await bot.turn(logic, activity)


async def keys(world: World) -> set[str]:
    return {item.key async for item in world.memory.list_items()}


def end(**ids: Any) -> Activity:
    activity = message(**ids)
    activity.type = "endOfConversation"
    return activity


async def test_the_conversation_and_its_private_documents_go_and_the_rest_stays(
    world: World,
) -> None:
    for user in ("user", "bob"):
        await fill(world.states, world.bot, message(user=user))
    await fill(world.states, world.bot, message(conversation="conv2"))
    await fill(world.states, world.bot, message(channel="other"))

    async def completes(turn: TurnContext) -> None:
        await world.states.complete_conversation(turn)
        await world.states.conversation.create_property("x").set(turn, 2)
        await world.states.private.create_property("x").set(turn, 2)
        await world.states.user.create_property("x").set(turn, "still saved")

    await world.bot.turn(completes)
    assert await keys(world) == {
        "test/users/user",
        "test/users/bob",
        "test/conversations/conv2",
        "test/conversations/conv2/users/user/",
        "other/users/user",
        "other/conversations/conv",
        "other/conversations/conv/users/user/",
    }
    assert await world.states.user.create_property("x").get(context()) == "still saved"


async def test_only_the_users_private_document(world: World) -> None:
    for user in ("user", "bob"):
        await fill(world.states, world.bot, message(user=user))
    before = await keys(world)
    await world.bot.turn(lambda turn: world.states.complete_conversation(turn, only_user=True))
    assert before - await keys(world) == {PRIVATE}


@pytest.mark.parametrize("only_user", [(True, False), (False, True)])
async def test_asked_for_twice_the_wider_end_is_meant(only_user: tuple[bool, bool]) -> None:
    world = World()
    await fill(world.states, world.bot, message())

    async def completes(turn: TurnContext) -> None:
        for each in only_user:
            await world.states.complete_conversation(turn, only_user=each)

    await world.bot.turn(completes)
    assert await keys(world) == {"test/users/user"}


async def test_an_end_of_conversation_is_obeyed_where_it_was_asked_for() -> None:
    world = World()
    await fill(world.states, world.bot, message())
    await world.bot.turn(lambda turn: turn.send_activity("bye"), end())
    assert KEY in await keys(world), "it was not asked for"

    seen: list[Any] = []

    async def ignore(turn: TurnContext) -> None: ...

    class Handler(ActivityHandler):
        async def on_end_of_conversation_activity(self, turn_context: TurnContext) -> None:
            seen.append(await world.states.conversation.create_property("x").get(turn_context))

    bot = Bot(StateMiddleware(world.states, end_conversation=True))
    await bot.turn(Handler().on_turn, end(user=None))
    assert seen == [1], "the bot saw what is about to go"
    assert await keys(world) == {"test/users/user"}
    await bot.turn(Handler().on_turn, end())  # again, when nothing is left
    await bot.turn(ignore, end(conversation=None))


async def test_a_turn_that_fails_ends_nothing() -> None:
    world = World()
    await fill(world.states, world.bot, message())

    async def fails(turn: TurnContext) -> None:
        await world.states.complete_conversation(turn)
        raise RuntimeError("the bot")

    with pytest.raises(RuntimeError, match="the bot"):
        await world.bot.turn(fails)
    assert {KEY, PRIVATE} < await keys(world)


async def test_without_a_save_at_its_end_it_is_done_at_once() -> None:
    world = World()
    await fill(world.states, world.bot, message())
    turn = context()
    prop = world.states.conversation.create_property("x")
    await prop.set(turn, "never saved")
    await world.states.complete_conversation(turn)
    assert await keys(world) == {"test/users/user"}
    await prop.set(turn, "afterwards")
    await world.states.conversation.save_changes(turn)
    assert await prop.get(context()) == "afterwards"


async def test_outside_a_turn_it_is_done_at_the_end_of_the_block() -> None:
    world = World()
    await fill(world.states, world.bot, message())
    async with world.states.unit_of_work(channel_id="test", conversation_id="conv") as work:
        await world.states.complete_conversation(work)
        assert KEY in await keys(world)
    assert await keys(world) == {"test/users/user"}


async def test_an_id_is_missing() -> None:
    states = World().states
    with pytest.raises(StateKeyError):
        await states.complete_conversation(context(message(conversation=None)))
    with pytest.raises(StateKeyError):
        await states.complete_conversation(context(message(user=None)), only_user=True)


async def test_keys_that_read_two_ways_stay(caplog: pytest.LogCaptureFixture) -> None:
    """A conversation may be called ``conv/users/x``, and no key says so."""
    world = World()
    await fill(world.states, world.bot, message())
    others = [
        "test/conversations/conv/users/x",  # that conversation's own document
        "test/conversations/conv/users/x/users/user/",  # and its private one
        "test/conversations/conv/users/users/user/",  # of a conversation conv/users
        "test/conversations/conv/users/user/namespace",  # another bot's
    ]
    for key in others:
        await world.memory.put_if(key, b'{"x": 1}', etag=None)
    await fill(world.states, world.bot, message(conversation="conv/users/y/", user="z"))
    await world.bot.turn(world.states.complete_conversation)
    left = await keys(world)
    assert {*others, "test/conversations/conv/users/y/"} <= left
    assert not left & {KEY, PRIVATE}
    assert "reads two ways" in caplog.text
    assert "written by the 'conversation' scope" in caplog.text


async def test_a_copy_with_the_metadata_of_another_conversation_stays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    await fill(world.states, world.bot, message())
    await fill(world.states, world.bot, message(conversation="other", user="z"))
    source, target = "test/conversations/other/users/z/", "test/conversations/conv/users/z/"
    item = await world.memory.get(source)
    page = await world.memory.list_page(source)
    assert item is not None
    await world.memory.put_if(target, item.data, etag=None, metadata=page.items[0].metadata)
    await world.bot.turn(world.states.complete_conversation)
    assert {source, target} <= await keys(world)
    assert PRIVATE not in await keys(world)
    assert "its metadata names another owner" in caplog.text


async def test_a_namespace_is_part_of_the_key() -> None:
    world = World(namespace="ns")
    await fill(world.states, world.bot, message())
    await world.memory.put_if(PRIVATE, b'{"x": 1}', etag=None)
    await world.bot.turn(world.states.complete_conversation)
    assert await keys(world) == {"test/users/user", PRIVATE}


@pytest.mark.parametrize(("conversation", "user"), [("c" * 990, "u"), ("c", "u" * 1100)])
async def test_private_documents_with_keys_too_long_are_found(conversation: str, user: str) -> None:
    world = World()
    for each in (user, user + "2" * 100):
        await fill(world.states, world.bot, message(user=each, conversation=conversation))
    assert len(await keys(world)) == 5
    await world.bot.turn(
        world.states.complete_conversation, message(user=None, conversation=conversation)
    )
    assert all("/conversations/" not in key for key in await keys(world))


async def test_what_had_expired_is_still_handled(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    handled: list[Any] = []

    @cart.on_expired
    async def note(state: ExpiredState) -> None:
        handled.append(state.value)

    await fill(world.states, world.bot, message())
    await world.write(cart, "expired")
    world.clock.advance(HOUR)
    await world.bot.turn(world.states.complete_conversation)
    body = await world.body()
    assert body is not None
    assert {*body} == {"$state"}
    await world.bot.turn(world.states.complete_conversation)  # nothing more to take
    await world.states.sweep()
    assert handled == ["expired"]
    assert await world.body() is None


async def test_one_that_fails_does_not_keep_the_others() -> None:
    world = World()
    for user in ("user", "bob"):
        await fill(world.states, world.bot, message(user=user))
    await world.memory.put_if("test/conversations/conv/users/bad/", b"[]", etag=ANY)
    with pytest.raises(ValueError, match="users/bad/"):
        await world.bot.turn(world.states.complete_conversation)
    assert await keys(world) == {
        "test/users/user",
        "test/users/bob",
        "test/conversations/conv/users/bad/",
    }


async def test_a_storage_that_cannot_list(caplog: pytest.LogCaptureFixture) -> None:
    plain = PlainStorage()
    world = World(as_state_storage(plain))
    for user in ("user", "bob"):
        await fill(world.states, world.bot, message(user=user))
    await world.bot.turn(world.states.complete_conversation)
    assert {*plain.items} == {
        "test/users/user",
        "test/users/bob",
        "test/conversations/conv/users/bob/",
    }
    assert "cannot list" in caplog.text


async def test_a_turn_that_runs_meanwhile_does_not_bring_it_back() -> None:
    world = World()
    await fill(world.states, world.bot, message())
    other = context()
    prop = world.states.conversation.create_property("x")
    await prop.set(other, 2)
    await world.bot.turn(world.states.complete_conversation)
    with pytest.raises(Exception, match="deleted since"):
        await world.states.conversation.save_changes(other)
    assert KEY not in await keys(world)


async def test_what_ended_it_is_not_handled_again() -> None:
    world = World()
    world.bot = Bot(StateMiddleware(world.states, deduplicate=HOUR))
    ran: list[str] = []

    async def completes(turn: TurnContext) -> None:
        ran.append(turn.activity.id)
        await world.states.complete_conversation(turn)

    await fill(world.states, Bot(StateMiddleware(world.states)), message())
    for _ in range(2):
        await world.bot.turn(completes)
    assert ran == ["activity-1"]
    body = await world.body()
    assert body is not None
    assert {*body} == {"$state"}
    world.clock.advance(HOUR)
    assert (await world.states.sweep()).expired == 0
    assert await world.body() is None


async def test_a_turn_that_may_run_again_ends_it_once_it_is_saved() -> None:
    world = World()
    world.bot = Bot(StateMiddleware(world.states, on_conflict="replay"))
    await fill(world.states, world.bot, message())
    name = world.states.user.create_property("name")
    ran = 0

    async def completes(turn: TurnContext) -> None:
        nonlocal ran
        ran += 1
        await world.states.complete_conversation(turn)
        await name.set(turn, ran)
        if ran == 1:
            other = context()
            await name.set(other, "someone else")
            await world.states.user.save_changes(other)
            assert KEY in await keys(world)

    await world.bot.turn(completes)
    assert ran == 2
    assert await keys(world) == {"test/users/user"}
    assert await name.get(context()) == 2


async def test_it_is_in_conflict_with_nobody_over_what_it_removes() -> None:
    world = World()
    await fill(world.states, world.bot, message())
    x = world.states.conversation.create_property("x")

    async def completes(turn: TurnContext) -> None:
        await x.set(turn, "mine")
        other = context()
        await x.set(other, "theirs")
        await world.states.conversation.save_changes(other)
        await world.states.complete_conversation(turn)

    await world.bot.turn(completes)
    assert await keys(world) == {"test/users/user"}
