"""How long a property lives, by a clock that moves when it is told to."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from botstate_ext import StateDecodeError
from botstate_ext.storage import MemoryStorage
from botstate_ext.storage.base import ANY
from botstate_ext.testing import ManualClock
from tests.maintenance.world import HOUR, KEY, START, TICK, World
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    "lifetime",
    [TICK, timedelta(seconds=1), HOUR, timedelta(days=1, seconds=5), timedelta(days=400)],
)
async def test_it_lives_until_exactly_its_moment(world: World, lifetime: timedelta) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=lifetime)
    await world.write(cart, 1)
    world.clock.advance(lifetime - TICK)
    assert await world.read(cart) == 1
    world.clock.advance(TICK)
    assert await world.read(cart) is None


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1)])
async def test_a_lifetime_is_longer_than_zero(world: World, lifetime: timedelta) -> None:
    scope = world.states.conversation
    with pytest.raises(ValueError, match="longer than zero"):
        scope.create_property("cart", expires_after=lifetime)
    with pytest.raises(ValueError, match="longer than zero"):
        await scope.create_property("cart").set(context(), 1, expires_after=lifetime)
    with pytest.raises(ValueError, match="longer than zero"):
        StateScopes(MemoryStorage(), conversation_expires_after=lifetime)


async def test_a_lifetime_past_the_end_of_the_calendar_is_for_ever(world: World) -> None:
    cart = world.states.conversation.create_property(
        "cart", expires_after=timedelta.max, sliding=True
    )
    await world.write(cart, 1)
    world.clock.advance(timedelta(days=36500))
    assert await world.read(cart) == 1


async def test_it_is_measured_from_the_last_write(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    await world.write(cart, 1)
    world.clock.advance(HOUR / 2)
    await world.write(cart, 2)
    world.clock.advance(HOUR - TICK)
    assert await world.read(cart) == 2
    world.clock.advance(TICK)
    assert await world.read(cart) is None


async def test_the_scope_gives_a_lifetime_where_the_property_does_not() -> None:
    world = World(conversation_expires_after=HOUR, user_expires_after=2 * HOUR)
    short = world.states.conversation.create_property("short")
    long = world.states.conversation.create_property("long", expires_after=3 * HOUR)
    name = world.states.user.create_property("name")
    for prop in (short, long, name):
        await world.write(prop, 1)
    world.clock.advance(HOUR)
    assert [await world.read(p) for p in (short, long, name)] == [None, 1, 1]
    world.clock.advance(HOUR)
    assert [await world.read(p) for p in (short, long, name)] == [None, 1, None]


async def test_reads_alone_renew_a_sliding_property(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR, sliding=True)
    await world.write(cart, 1)
    for _ in range(10):
        world.clock.advance(HOUR - TICK)
        assert await world.read(cart) == 1
    world.clock.advance(HOUR)
    assert await world.read(cart) is None


async def test_a_sliding_property_is_written_once_a_tenth_of_its_life(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR, sliding=True)
    await world.write(cart, 1)
    world.storage.reset()
    for _ in range(60):
        world.clock.advance(timedelta(minutes=1))
        await world.read(cart)
    assert world.storage.operations["put"] == 10


async def test_a_lifetime_given_with_a_value_slides_and_ends_with_the_value(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR, sliding=True)
    await world.write(cart, [1], expires_after=10 * HOUR)
    for _ in range(3):
        world.clock.advance(9 * HOUR)
        assert await world.read(cart) == [1]

    async def in_place(turn: Any) -> None:
        (await cart.get(turn, list)).append(2)

    await world.bot.turn(in_place)
    assert await world.expires("cart") == world.clock() + 10 * HOUR
    await world.bot.turn(lambda turn: cart.update(turn, lambda value: [*value, 3]))
    assert await world.expires("cart") == world.clock() + 10 * HOUR
    await world.write(cart, [])
    assert await world.expires("cart") == world.clock() + HOUR


async def test_a_value_may_have_a_lifetime_where_its_property_has_none(world: World) -> None:
    code = world.states.conversation.create_property("code", int)
    await world.write(code, 1, expires_after=HOUR)
    world.clock.advance(HOUR)
    assert await world.read(code) is None
    await world.write(code, 2)
    world.clock.advance(1000 * HOUR)
    assert await world.read(code) == 2


async def test_absent_means_the_default_and_a_new_life(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR, default=list)
    await world.write(cart, [1])
    created = world.clock()
    world.clock.advance(HOUR)
    assert await world.read(cart) == []
    body = await world.body()
    assert body is not None
    assert body["cart"] == []
    times = body["$state"]["props"]["cart"]
    assert times["created"] > created.isoformat()[:19]
    assert await world.expires("cart") == world.clock() + HOUR


async def test_the_live_mapping_and_names_do_not_show_it(world: World) -> None:
    scope = world.states.conversation
    await world.write(scope.create_property("cart", expires_after=HOUR), 1)
    await world.write(scope.create_property("name"), "Ann")
    world.clock.advance(HOUR)
    turn = context()
    await scope.load(turn)
    assert scope.get(turn) == {"name": "Ann"}
    with pytest.raises(KeyError):
        await scope.get_property_value(turn, "cart")


async def test_a_save_removes_it_and_leaves_the_rest(world: World) -> None:
    scope = world.states.conversation
    await world.write(scope.create_property("cart", expires_after=HOUR), 1)
    await world.write(scope.create_property("name"), "Ann")
    world.clock.advance(HOUR)
    await world.write(scope.create_property("age"), 7)
    body = await world.body()
    assert body is not None
    assert {*body} == {"name", "age", "$state"}
    assert {*body["$state"]["props"]} == {"name", "age"}


async def test_a_turn_that_finds_all_expired_removes_the_document(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    await world.write(cart, 1)
    world.clock.advance(HOUR)
    assert await world.read(cart) is None
    assert await world.body() is None


async def test_a_removal_whose_answer_was_lost_is_a_removal(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    await world.write(cart, 1)
    world.clock.advance(HOUR)
    world.faults.lose_answer("delete")
    assert await world.read(cart) is None
    assert await world.body() is None


async def test_after_a_removal_the_same_turn_can_write_again(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    await world.write(cart, 1)
    world.clock.advance(HOUR)

    async def logic(turn: Any) -> None:
        assert await cart.get(turn) is None
        await world.states.conversation.save_changes(turn)
        await cart.set(turn, 2)

    await world.bot.turn(logic)
    assert await world.read(cart) == 2


async def test_update_starts_from_the_default_once_it_is_over(world: World) -> None:
    count = world.states.conversation.create_property("count", int, expires_after=HOUR)
    await world.write(count, 5)
    world.clock.advance(HOUR)
    turn = context()
    assert await count.update(turn, lambda value: value + 1, default=0) == 1


async def test_a_clock_that_goes_back_revives_nothing_that_a_turn_found_expired(
    world: World,
) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    await world.write(world.states.conversation.create_property("name"), "Ann")
    await world.write(cart, 1)
    world.clock.advance(HOUR)
    assert await world.read(cart) is None
    world.clock.advance(-HOUR)
    assert await world.read(cart) is None


async def test_nor_within_one_turn(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    await world.write(cart, 1)
    world.clock.advance(HOUR)
    turn = context()
    assert await cart.get(turn) is None
    world.clock.advance(-HOUR)
    await world.states.conversation.load(turn, force=True)
    assert await cart.get(turn) is None


async def test_a_clock_that_goes_back_shortens_no_life(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR, sliding=True)
    await world.write(cart, 1)
    world.clock.advance(timedelta(days=-1))
    assert await world.read(cart) == 1, "it is not over yet"
    await world.write(cart, 2)
    other = world.states.shared.create_property("order", expires_after=HOUR).at("1")
    await world.write(other, "new document")
    world.clock.advance(timedelta(days=1) + HOUR - TICK)
    assert await world.read(cart) == 2
    assert await world.read(other) == "new document"


async def test_another_process_whose_clock_is_behind_shortens_no_life(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    await world.write(cart, 1)
    behind = StateScopes(world.memory, clock=ManualClock(START - timedelta(days=1)))
    turn = context()
    await behind.conversation.create_property("cart", expires_after=HOUR).set(turn, 2)
    await behind.conversation.save_changes(turn)
    world.clock.advance(HOUR - TICK)
    assert await world.read(cart) == 2


async def test_a_read_with_an_earlier_clock_does_not_renew_to_an_earlier_end(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR, sliding=True)
    await world.write(cart, 1, expires_after=10 * HOUR)
    world.clock.advance(9 * HOUR)
    await world.read(cart)
    end = await world.expires("cart")
    world.clock.advance(-8 * HOUR)
    await world.read(cart)
    assert await world.expires("cart") == end


async def test_nor_does_a_clock_that_goes_back_during_the_turn(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR, sliding=True)
    await world.write(cart, 1)
    world.clock.advance(HOUR / 2)
    await world.read(cart)
    world.clock.advance(HOUR / 4)
    end = await world.expires("cart")
    # Another process, which has written nothing yet: no time that it gave is known to it.
    states = StateScopes(world.memory, clock=world.clock)
    cart = states.conversation.create_property("cart", expires_after=HOUR, sliding=True)
    turn = context()
    assert await cart.get(turn) == 1
    world.clock.advance(-HOUR / 2)
    await states.conversation.save_changes(turn)
    assert await world.expires("cart") == end


async def test_daylight_saving_time_adds_and_takes_no_hour() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    # The night in which clocks there go from 2 to 3.
    local = [datetime(2024, 3, 30, 12, tzinfo=berlin)]
    states = StateScopes(MemoryStorage(), clock=lambda: local[0])
    cart = states.conversation.create_property("cart", expires_after=timedelta(days=1))
    turn = context()
    await cart.set(turn, 1)
    await states.conversation.save_changes(turn)
    local[0] = datetime(2024, 3, 31, 12, tzinfo=berlin)  # 23 hours later
    assert await cart.get(context()) == 1
    local[0] = datetime(2024, 3, 31, 13, tzinfo=berlin)
    assert await cart.get(context()) is None


async def test_a_clock_without_a_zone_is_refused() -> None:
    states = StateScopes(MemoryStorage(), clock=lambda: datetime(2024, 3, 1))  # noqa: DTZ001  # it
    with pytest.raises(ValueError, match="aware"):
        await states.conversation.create_property("cart").get(context())


async def test_a_stored_time_without_a_zone_is_damage(world: World) -> None:
    body = b'{"cart":1,"$state":{"v":1,"props":{"cart":{"expires":"2024-03-01T13:00:00"}}}}'
    await world.memory.put_if(KEY, body, etag=ANY)
    with pytest.raises(StateDecodeError, match="damaged"):
        await world.states.conversation.create_property("cart").get(context())


async def test_what_upstream_rewrote_still_ends(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    await world.write(cart, 1)
    body = await world.body()
    # As upstream writes it: all entries, its own spaces, a new value, and no metadata beside.
    await world.memory.put_if(KEY, json.dumps({**(body or {}), "cart": 2}).encode(), etag=ANY)
    assert await world.read(cart) == 2
    world.clock.advance(HOUR)
    assert await world.read(cart) is None


async def test_a_read_only_turn_does_not_fail_because_its_upkeep_lost_a_race() -> None:
    world = World()
    world.bot = Bot(StateMiddleware(world.states, on_conflict="raise"))
    cart = world.states.conversation.create_property("cart", expires_after=HOUR, sliding=True)
    await world.write(cart, 1)
    world.clock.advance(HOUR / 2)

    async def logic(turn: Any) -> None:
        assert await cart.get(turn) == 1
        other = context()
        await world.states.conversation.create_property("name").set(other, "Ann")
        await world.states.conversation.save_changes(other)

    await world.bot.turn(logic)
    assert await world.expires("cart") == world.clock() + HOUR


async def test_queries_and_templates_do_not_see_it(world: World) -> None:
    scope = world.states.conversation
    await world.write(scope.create_property("cart", expires_after=HOUR), {"item": "pizza"})
    await world.write(scope.create_property("name"), "Ann")
    assert await world.states.query(context(), "$.conversation.cart.item") == "pizza"
    world.clock.advance(HOUR)
    turn = context()
    assert await scope.query(turn, "$") == {"name": "Ann"}
    assert await world.states.query(turn, "$.conversation.cart.item") is None
    text = "{@conversation.name}: {@conversation.cart.item|'nothing'}"
    assert await world.states.render(turn, text) == "Ann: nothing"


async def test_in_a_turn_that_may_run_again_it_ends_as_in_any_other() -> None:
    world = World()
    world.bot = Bot(StateMiddleware(world.states, on_conflict="replay"))
    cart = world.states.conversation.create_property("cart", expires_after=HOUR, sliding=True)
    await world.write(cart, 1)
    world.clock.advance(HOUR / 2)
    assert await world.read(cart) == 1
    assert await world.expires("cart") == world.clock() + HOUR
    world.clock.advance(HOUR)
    assert await world.read(cart) is None
    assert await world.body() is None


async def test_the_storage_knows_when_a_document_ends_and_when_something_is_due(
    world: World,
) -> None:
    async def beside() -> dict[str, str]:
        item = await world.memory.get(KEY)
        assert item is not None
        ends = ("statenextexpiry", "agentsstorageexpiresat")
        return {name: text for name, text in item.metadata.items() if name in ends}

    scope = world.states.conversation
    await world.write(scope.create_property("cart", expires_after=2 * HOUR), 1)
    await world.write(scope.create_property("code", expires_after=HOUR), 1)
    due = "2024-03-01T13:00:00.000000+00:00"
    assert await beside() == {
        "statenextexpiry": due,
        "agentsstorageexpiresat": "2024-03-01T14:00:00+00:00",
    }
    name = scope.create_property("name")
    await world.write(name, "Ann")
    assert await beside() == {"statenextexpiry": due}, "it does not end as a whole"
    await world.bot.turn(name.delete)
    assert "agentsstorageexpiresat" in await beside()
    code = scope.create_property("code")
    code.on_expired(lambda state: None)
    await world.write(code, 2)
    assert await beside() == {"statenextexpiry": due}, "whoever removed it would call no handler"
    world.clock.advance(HOUR)
    await world.read(code)
    assert await beside() == {"statenextexpiry": due}, "one still waits for its handler"
    await world.bot.turn(scope.clear_state)
    assert await beside() == {"statenextexpiry": due}
    await world.states.sweep()
    assert await world.memory.get(KEY) is None
    await world.write(name, "Ann")
    assert await beside() == {"statenextexpiry": "never"}


@pytest.mark.parametrize("updates", [True, False])
async def test_a_value_that_expired_while_it_was_changed_is_no_conflict(
    world: World, updates: bool
) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    count = world.states.conversation.create_property("count")
    await world.write(cart, ["old"])
    await world.write(count, 0)

    async def logic(turn: TurnContext) -> None:
        (await cart.get(turn, list)).append("new")
        world.clock.advance(2 * HOUR)
        await world.states.sweep()
        if updates:
            await count.update(turn, lambda value: value + 1)

    await world.bot.turn(logic)
    assert await world.read(cart) == ["old", "new"]
    assert await world.read(count) == int(updates)


async def test_what_an_update_without_a_change_found_expired_waits_for_its_handler(
    world: World,
) -> None:
    handled: list[str] = []
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    cart.on_expired(lambda state: handled.append(state.value))
    count = world.states.conversation.create_property("count")
    await world.write(cart, "old")
    await world.write(count, 0)
    world.clock.advance(2 * HOUR)

    async def logic(turn: TurnContext) -> None:
        assert await count.update(turn, lambda value: value) == 0
        await world.states.conversation.create_property("other").set(turn, 1)

    await world.bot.turn(logic)
    await world.states.sweep()
    assert handled == ["old"]
