"""Sweeps: what they find, remove, and hand to handlers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from botstate_ext import ExpiredState, StateStorageError, SweepReport
from botstate_ext.documents.metadata import NEXT_EXPIRY, expiry_text
from botstate_ext.maintenance.expiry_handlers import Sleep
from botstate_ext.maintenance.sweep import Sweep
from botstate_ext.storage import BlobStorage, MemoryStorage, StoredItem, as_state_storage
from botstate_ext.storage.base import ANY
from botstate_ext.storage.wrapper import StorageWrapper
from botstate_ext.testing import CountingStorage
from tests.maintenance.world import HOUR, KEY, START, World
from tests.turns import (
    Bot,
    StateMiddleware,
    StateScopes,
    TurnContext,
    UpstreamMemoryStorage,
    context,
    message,
)


@dataclass
class Cart:
    items: list[str] = field(default_factory=list)


@pytest.fixture(params=["memory", "upstream", "blob"])
async def world(request: pytest.FixtureRequest, container_name: str) -> AsyncIterator[World]:
    if request.param == "memory":
        yield World()
    elif request.param == "upstream":
        yield World(as_state_storage(UpstreamMemoryStorage()))
    else:
        azurite = request.getfixturevalue("azurite")
        async with BlobStorage(connection_string=azurite, container_name=container_name) as storage:
            yield World(storage)


class Handled:
    """A handler that remembers, and raises as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.states: list[ExpiredState] = []
        self.failures = failures

    async def __call__(self, state: ExpiredState) -> None:
        self.states.append(state)
        if len(self.states) <= self.failures:
            raise RuntimeError("the handler")

    @property
    def values(self) -> list[Any]:
        return [state.value for state in self.states]


async def test_a_sweep_removes_what_expired_and_nothing_else(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    name = world.states.conversation.create_property("name")
    await world.write(cart, 1)
    await world.write(name, "Ann")
    order = world.states.shared.create_property("order", expires_after=HOUR)
    await world.write(order.at("1"), 1)
    world.clock.advance(HOUR / 2)
    await world.write(order.at("2"), 2)
    world.clock.advance(HOUR / 2)
    report = await world.states.sweep()
    assert (report.expired, report.removed) == (2, 2)
    # Blob has no index, so the sweep looks also at the one that is not due.
    assert report.seen == (3 if isinstance(world.memory, BlobStorage) else 2)
    assert (report.failed, report.skipped, report.handlers_run) == (0, 0, 0)
    assert report.seconds > 0
    body = await world.body()
    assert body is not None
    assert {*body} == {"name", "$state"}
    assert await world.memory.get("shared/1") is None
    assert await world.memory.get("shared/2") is not None
    assert (await world.states.sweep()).expired == 0


async def test_a_dry_run_only_counts(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    cart.on_expired(handled := Handled())
    await world.write(cart, 1)
    world.clock.advance(HOUR)
    report = await world.states.sweep(dry_run=True)
    assert (report.seen, report.expired, report.removed) == (1, 1, 0)
    assert await world.body() is not None
    assert not handled.states


async def test_a_handler_is_told_everything(world: World) -> None:
    cart = world.states.conversation.create_property(
        "cart", Cart, expires_after=HOUR, keep_reference=True
    )
    cart.on_expired(handled := Handled())
    await world.write(cart, Cart(["old"]))
    world.clock.advance(HOUR / 2)
    await world.write(cart, Cart(["pizza"]))
    world.clock.advance(3 * HOUR)
    report = await world.states.sweep()
    assert (report.expired, report.removed, report.handlers_run) == (1, 1, 1)
    [state] = handled.states
    assert (state.scope, state.key, state.name) == ("conversation", KEY, "cart")
    assert state.value == Cart(["pizza"])
    assert (state.created, state.updated) == (START, START + HOUR / 2)
    assert (state.expired, state.attempt) == (START + 1.5 * HOUR, 1)
    assert "pizza" not in repr(state)
    assert await world.body() is None
    said: list[str] = []

    async def notify(turn: TurnContext) -> None:
        said.append(turn.activity.conversation.id)

    await world.bot.adapter.continue_conversation(state.reference, notify)
    assert said == ["conv"]


async def test_a_plain_function_and_a_scope_may_handle_too(world: World) -> None:
    seen: list[str] = []
    scope = world.states.conversation
    cart = scope.create_property("cart", expires_after=HOUR)

    @cart.on_expired
    def own(state: ExpiredState) -> None:
        seen.append(f"own {state.name}")

    @scope.on_expired
    async def every(state: ExpiredState) -> None:
        seen.append(f"every {state.name}")

    await world.write(cart, 1)
    await world.write(scope.create_property("code"), 2, expires_after=HOUR)
    world.clock.advance(HOUR)
    assert (await world.states.sweep()).handlers_run == 2
    assert sorted(seen) == ["every cart", "every code", "own cart"]


async def test_a_turn_hands_what_it_finds_expired_to_the_next_sweep(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    cart.on_expired(handled := Handled())
    await world.write(cart, "old")
    world.clock.advance(HOUR)
    assert await world.read(cart) is None
    await world.write(cart, "new")
    assert not handled.states, "a turn runs no handler"
    report = await world.states.sweep()
    assert (report.expired, report.removed, handled.values) == (1, 1, ["old"])
    assert await world.read(cart) == "new"
    assert (await world.states.sweep()).expired == 0


async def test_what_the_handler_sets_stays(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)

    @cart.on_expired
    async def again(state: ExpiredState) -> None:
        await world.write(cart, f"after {state.value}")

    await world.write(cart, "first")
    world.clock.advance(HOUR)
    assert (await world.states.sweep()).removed == 1
    assert await world.read(cart) == "after first"
    body = await world.body()
    assert body is not None
    assert "expiring" not in body["$state"]


async def test_a_handler_that_raises_is_tried_again_later(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    cart.on_expired(handled := Handled(failures=2))
    await world.write(cart, "a secret")
    world.clock.advance(HOUR)
    report = await world.states.sweep()
    assert (report.failed, report.removed, report.handlers_run) == (1, 0, 0)
    assert "'cart'" in caplog.text
    assert "secret" not in caplog.text
    assert (await world.states.sweep()).expired == 0, "not before a minute has gone by"
    world.clock.advance(HOUR / 60)
    assert (await world.states.sweep()).failed == 1
    world.clock.advance(HOUR / 60)
    assert (await world.states.sweep()).expired == 0, "nor the second time before two"
    world.clock.advance(HOUR / 60)
    assert (await world.states.sweep()).removed == 1
    assert [state.attempt for state in handled.states] == [1, 2, 3]
    assert len({state.id for state in handled.states}) == 1
    assert await world.body() is None


async def test_a_value_that_no_longer_fits_its_type_is_kept(world: World) -> None:
    scope = world.states.conversation
    scope.create_property("cart", Cart).on_expired(handled := Handled())
    await world.write(scope.create_property("x"), 1)
    body = (await world.body()) or {}
    body["cart"] = "no cart"
    body["$state"]["props"]["cart"] = {"expires": START.isoformat()}
    await world.memory.put_if(KEY, json.dumps(body).encode(), etag=ANY)
    assert (await world.states.sweep()).failed == 1
    assert not handled.states
    body = (await world.body()) or {}
    assert [entry["value"] for entry in body["$state"]["expiring"]] == ["no cart"]


async def test_one_bad_document_does_not_stop_a_sweep(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    order = world.states.shared.create_property("order", expires_after=HOUR)
    await world.write(order.at("1"), 1)
    await world.write(order.at("2"), 2)
    item = await world.memory.get("shared/1")
    assert item is not None
    await world.memory.put_if("shared/1", b'{"$state":[]}', etag=ANY, metadata=item.metadata)
    world.clock.advance(HOUR)
    report = await world.states.sweep()
    assert (report.failed, report.removed) == (1, 1)
    assert "shared/1" in caplog.text
    assert await world.memory.get("shared/1") is not None, "it is left as it was"


async def test_what_upstream_rewrote_is_found_and_read_once(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    await world.write(cart, 1)
    body = await world.body()
    await world.memory.put_if(KEY, json.dumps({**(body or {}), "cart": 2}).encode(), etag=ANY)
    await world.memory.put_if("test/users/old", b'{"name": "Ann"}', etag=None)
    await world.memory.put_if("test/users/new", b"{}", etag=None)
    world.storage.reset()
    for _ in range(3):
        report = await world.states.sweep()
        assert (report.seen, report.expired, report.failed) == (3, 0, 0)
    assert world.storage.bodies == 3
    world.clock.advance(HOUR)
    assert (await world.states.sweep()).removed == 1
    assert await world.body() is None
    assert await world.memory.get("test/users/old") is not None
    assert await world.memory.get("test/users/new") is not None


async def test_what_is_no_document_is_nobodys_failure() -> None:
    world = World()
    await world.memory.put_if("transcripts/1", b"[1, 2]", etag=None)
    await world.memory.put_if("lock", b"", etag=None)
    for _ in range(2):
        report = await world.states.sweep()
        assert (report.seen, report.failed) == (2, 0)
    assert world.storage.bodies == 2


async def test_a_process_without_the_handler_leaves_it_to_the_app(world: World) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    cart.on_expired(handled := Handled())
    team = world.states.scope("team", key=lambda turn: "t")
    await world.write(cart, 1)
    await world.write(team.create_property("code", expires_after=HOUR), 1)
    bare = StateScopes(world.memory, clock=world.clock)
    world.clock.advance(HOUR)
    report = await bare.sweep()
    assert (report.expired, report.removed, report.skipped) == (2, 1, 1)
    other = await bare.conversation.create_property("name").get(context())
    assert other is None
    # A turn there, which writes the document, keeps it for the app too.
    turn = context()
    await bare.conversation.create_property("name").set(turn, "Ann")
    await bare.conversation.save_changes(turn)
    assert (await bare.sweep()).skipped == 1
    assert (await world.states.sweep()).handlers_run == 1
    assert handled.values == [1]


async def test_three_sweepers_at_once_run_each_handler_once(world: World) -> None:
    ran: list[str] = []

    def instance() -> StateScopes:
        states = StateScopes(world.memory, clock=world.clock)
        order = states.shared.create_property("order", expires_after=HOUR)

        @order.on_expired
        async def note(state: ExpiredState) -> None:
            await asyncio.sleep(0)
            ran.append(state.key)

        return states

    order = world.states.shared.create_property("order", expires_after=HOUR)
    keys = [f"shared/{number}" for number in range(30)]
    for number in range(30):
        await world.write(order.at(str(number)), number)
    world.clock.advance(HOUR)
    reports = await asyncio.gather(*(instance().sweep() for _ in range(3)))
    assert sorted(ran) == sorted(keys)
    assert sum(report.handlers_run for report in reports) == 30
    assert sum(report.failed for report in reports) == 0
    assert [item async for item in world.memory.list_items()] == []


async def test_the_user_writes_at_the_moment_of_expiry(world: World) -> None:
    """Both orders: the write lands before the claim, and after it."""
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    cart.on_expired(handled := Handled())
    await world.write(cart, ["a"])
    world.clock.advance(HOUR - HOUR / 3600)

    async def adds(turn: TurnContext) -> None:
        value = await cart.get(turn, list)
        world.clock.advance(HOUR / 3600)
        if during_the_turn is not None:
            await during_the_turn()
        value.append("b")

    during_the_turn: Any = None
    await world.bot.turn(adds)
    assert (await world.states.sweep()).expired == 0, "the write came first, and is a new life"
    world.clock.advance(HOUR - HOUR / 3600)
    during_the_turn = world.states.sweep
    await world.bot.turn(adds)
    assert handled.values == [["a", "b"]], "the sweep came first, and is told what had expired"
    assert await world.read(cart) == ["a", "b", "b"], "the write is a new value"


async def test_a_turn_and_a_sweep_race_over_a_whole_document_without_handlers(
    world: World,
) -> None:
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    count = world.states.conversation.create_property("count", int)
    await world.write(cart, 1)

    async def writes(turn: TurnContext) -> None:
        await count.set(turn, (await cart.get(turn) or 0) + 1)
        world.clock.advance(HOUR)
        assert (await world.states.sweep()).removed == 1

    await world.bot.turn(writes)
    assert await world.read(count) == 2


async def test_a_turn_that_found_nothing_races_the_removal_of_what_it_did_not_find() -> None:
    world = World()
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    count = world.states.conversation.create_property("count", int)
    await world.write(cart, 1)
    world.clock.advance(HOUR)

    async def writes(turn: TurnContext) -> None:
        await count.set(turn, 1)
        assert (await world.states.sweep()).removed == 1

    await world.bot.turn(writes)
    assert await world.read(count) == 1


async def test_many_writers_race_many_sweepers_and_nothing_is_lost(world: World) -> None:
    """Every value that was stored is there in the end, or was given to the handler."""
    lost_and_found: list[Any] = []
    log = world.states.conversation.create_property(
        "log", expires_after=HOUR, merge="append", default=list
    )

    @log.on_expired
    async def collect(state: ExpiredState) -> None:
        lost_and_found.extend(state.value)

    async def writer(number: int) -> None:
        turn = context()
        await log.update(turn, lambda value: [*value, number])

    for round_ in range(5):
        numbers = range(round_ * 4, round_ * 4 + 4)
        tasks = [asyncio.ensure_future(writer(number)) for number in numbers]
        world.clock.advance(HOUR)
        await asyncio.gather(*tasks, world.states.sweep(), world.states.sweep())
    world.clock.advance(HOUR)
    await world.states.sweep()
    assert sorted(lost_and_found) == list(range(20))


async def test_a_claim_is_renewed_while_its_handler_runs() -> None:
    world = World()
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    begun, end = asyncio.Event(), asyncio.Event()

    @cart.on_expired
    async def long(state: ExpiredState) -> None:
        begun.set()
        await end.wait()

    await world.write(cart, 1)
    world.clock.advance(HOUR)
    renewals = Renewals()
    first = asyncio.ensure_future(swept(world, renewals.sleep))
    await begun.wait()
    wait = await renewals.begun()
    for _ in range(6):  # two minutes; a claim holds for one
        world.clock.advance(HOUR / 180)
        wait.set_result(None)
        wait = await renewals.begun()
        other = StateScopes(world.memory, clock=world.clock)
        other.conversation.create_property("cart").on_expired(stolen := Handled())
        assert (await other.sweep()).expired == 0
    end.set()
    assert (await first).handlers_run == 1
    assert not stolen.states
    assert await world.body() is None


async def test_a_claim_that_nobody_renews_is_taken_over() -> None:
    world = World()
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    begun = asyncio.Event()

    @cart.on_expired
    async def hangs(state: ExpiredState) -> None:
        begun.set()
        await asyncio.Event().wait()

    await world.write(cart, 1)
    world.clock.advance(HOUR)
    first = asyncio.ensure_future(world.states.sweep())
    await begun.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    other = StateScopes(world.memory, clock=world.clock)
    other.conversation.create_property("cart").on_expired(handled := Handled())
    assert (await other.sweep()).expired == 0
    world.clock.advance(HOUR / 60)
    assert (await other.sweep()).handlers_run == 1
    assert [state.attempt for state in handled.states] == [2]


async def test_who_cancels_a_sweep_waits_until_its_handlers_have_cleaned_up() -> None:
    world = World()
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    begun, seen = asyncio.Event(), list[str]()

    @cart.on_expired
    async def slow(state: ExpiredState) -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append("cleaned up")

    await world.write(cart, 1)
    world.clock.advance(HOUR)
    sweep = asyncio.ensure_future(world.states.sweep())
    await begun.wait()
    sweep.cancel()
    await asyncio.gather(sweep, return_exceptions=True)
    assert sweep.cancelled()
    assert seen == ["cleaned up"]


async def test_who_lost_a_claim_does_not_touch_it_when_it_fails_in_the_end() -> None:
    world = World()
    slow = Blocked(RuntimeError("too late"))
    world.states.conversation.create_property("cart", expires_after=HOUR).on_expired(slow)
    await world.write(world.states.conversation.create_property("cart"), 1)
    world.clock.advance(HOUR)
    # Its waits never end, so its claim is never renewed.
    first = asyncio.ensure_future(swept(world, Renewals().sleep))
    await slow.begun.wait()
    world.clock.advance(HOUR / 60)
    other = StateScopes(world.memory, clock=world.clock)
    other.conversation.create_property("cart").on_expired(quick := Blocked(None))
    second = asyncio.ensure_future(other.sweep())
    await quick.begun.wait()
    before = await world.body()
    slow.end.set()
    assert (await first).failed == 1
    assert await world.body() == before
    quick.end.set()
    assert (await second).handlers_run == 1
    assert await world.body() is None


@pytest.mark.parametrize(("operation", "at"), [("put", 1), ("delete", 1)])
async def test_a_write_whose_answer_was_lost_is_known_again(operation: Any, at: int) -> None:
    """The claim, and the removal of the document after it."""
    world = World()
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    cart.on_expired(handled := Handled())
    await world.write(cart, 1)
    world.clock.advance(HOUR)
    world.faults.lose_answer(operation, at=at)
    report = await world.states.sweep()
    assert (report.handlers_run, report.failed, len(handled.states)) == (1, 0, 1)
    assert await world.body() is None


@pytest.mark.parametrize("operation", ["get", "put", "delete"])
@pytest.mark.parametrize("at", [1, 2, 3])
async def test_whatever_fails_the_next_sweep_completes(operation: Any, at: int) -> None:
    world = World()
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    cart.on_expired(handled := Handled())
    await world.write(cart, 1)
    world.clock.advance(HOUR)
    world.faults.fail(operation, at=at)
    world.faults.lose_answer(operation, at=at + 1)
    for _ in range(4):
        await world.states.sweep()
        world.clock.advance(HOUR)
    assert {1} == set(handled.values)
    assert await world.body() is None


async def test_a_listing_that_fails_is_an_error() -> None:
    world = World()
    world.faults.fail("list")
    with pytest.raises(StateStorageError):
        await world.states.sweep()


async def test_documents_are_done_so_many_at_a_time() -> None:
    world = World()
    order = world.states.shared.create_property("order", expires_after=HOUR)
    running = most = 0

    @order.on_expired
    async def count(state: ExpiredState) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(20):
            await asyncio.sleep(0)
        running -= 1

    for number in range(20):
        await world.write(order.at(str(number)), 1)
    world.clock.advance(HOUR)
    report = await world.states.sweep(parallel=3, per_second=1_000_000)
    assert (most, report.handlers_run) == (3, 20)
    with pytest.raises(ValueError, match="parallel"):
        await world.states.sweep(parallel=0)


async def test_documents_are_begun_so_many_a_second() -> None:
    world = World()
    order = world.states.shared.create_property("order", expires_after=HOUR)
    for number in range(20):
        await world.write(order.at(str(number)), 1)
    world.clock.advance(HOUR)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    assert (await swept(world, sleep, per_second=0.1)).removed == 20
    # As no time goes by in these waits, each is longer than the one before by ten seconds.
    assert [round(seconds / 10) for seconds in waits] == list(range(1, 20))


async def test_progress_is_told() -> None:
    world = World()
    order = world.states.shared.create_property("order", expires_after=HOUR)
    for number in range(3):
        await world.write(order.at(str(number)), 1)
    world.clock.advance(HOUR)
    told: list[int] = []
    report = await world.states.sweep(on_progress=lambda report: told.append(report.removed))
    assert told[-1] == report.removed == 3
    assert len(told) >= 3


async def test_on_memory_an_index_finds_what_is_due() -> None:
    memory = MemoryStorage()
    world = World(memory)
    states = StateScopes(memory, clock=world.clock)
    order = states.shared.create_property("order", expires_after=HOUR)
    bot = Bot(StateMiddleware(states))
    for number in range(50):
        one = order.at(str(number))
        await bot.turn(lambda turn, one=one: one.set(turn, 1))  # type: ignore[misc]  # one now
        world.clock.advance(HOUR / 60)
    world.clock.advance(HOUR / 6)
    pages = [page async for page in memory.list_due(NEXT_EXPIRY, expiry_text(world.clock()))]
    assert [(page.seen, len(page.items)) for page in pages] == [(1, 1)]
    assert (await states.sweep()).removed == 1


async def test_only_what_is_due_is_downloaded(azurite: str, container_name: str) -> None:
    """Ten thousand in benchmarks/sweep.py; here one page and a bit would show it as well."""
    async with BlobStorage(
        connection_string=azurite, container_name=container_name, parallel=32
    ) as blob:
        world = World()
        source = world.states.shared.create_property("order", expires_after=HOUR)
        await world.write(source.at("due"), 1)
        await world.write(source.at("later"), 1, expires_after=2 * HOUR)
        due, later = [await world.memory.get(f"shared/{name}") for name in ("due", "later")]
        assert due is not None
        assert later is not None
        for start in range(0, 1000, 100):
            copies = (due if n % 50 == 0 else later for n in range(start, start + 100))
            await asyncio.gather(
                *(
                    blob.put_if(f"shared/{start + n}", c.data, etag=None, metadata=c.metadata)
                    for n, c in enumerate(copies)
                )
            )
        counting = CountingStorage(blob)
        states = StateScopes(counting, clock=world.clock)
        world.clock.advance(HOUR)
        report = await states.sweep()
        assert (report.seen, report.expired, report.removed) == (1000, 20, 20)
        assert counting.bodies == 20
        assert counting.operations["list"] == 1


async def test_messages_of_a_conversation_that_names_no_service_keep_the_reference() -> None:
    world = World()
    cart = world.states.conversation.create_property(
        "cart", expires_after=HOUR, keep_reference=True
    )
    cart.on_expired(handled := Handled())
    await world.write(cart, 1)
    async with world.states.unit_of_work(channel_id="test", conversation_id="conv") as work:
        await cart.set(work, 2)
    world.clock.advance(HOUR)
    await world.states.sweep()
    [state] = handled.states
    assert (state.value, state.reference and state.reference.service_url) == (
        2,
        message().service_url,
    )


class Blocked:
    """A handler that waits for the test, and may raise then."""

    def __init__(self, error: Exception | None) -> None:
        self.begun, self.end, self._error = asyncio.Event(), asyncio.Event(), error

    async def __call__(self, state: ExpiredState) -> None:
        self.begun.set()
        await self.end.wait()
        if self._error is not None:
            raise self._error


class Renewals:
    """The waits of a sweep, which pass when the test says so."""

    def __init__(self) -> None:
        self._waits: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        assert seconds == 20, "a third of a claim"
        future = asyncio.get_running_loop().create_future()
        self._waits.put_nowait(future)
        await future

    async def begun(self) -> asyncio.Future[None]:
        """The wait that goes on now, when it has begun: what came before it is done."""
        return await self._waits.get()


async def swept(world: World, sleep: Sleep, per_second: float = 1_000_000) -> SweepReport:
    """A sweep whose waits are ours."""
    return await Sweep(
        world.states._workspace,
        {scope.scope_name: scope._policies for scope in world.states},
        dry_run=False,
        unmarked={},
        parallel=8,
        per_second=per_second,
        on_progress=None,
        sleep=sleep,
    ).run()


async def test_what_update_finds_expired_is_handed_to_the_sweep_too() -> None:
    world = World()
    count = world.states.conversation.create_property("count", int, expires_after=HOUR)
    count.on_expired(handled := Handled())
    await world.write(count, 5)
    world.clock.advance(HOUR)
    assert await count.update(context(), lambda value: value + 1, default=0) == 1
    assert (await world.states.sweep()).removed == 1
    assert handled.values == [5]
    assert await world.read(count) == 1


async def test_a_turn_that_may_run_again_leaves_it_to_the_sweep_once() -> None:
    world = World()
    world.bot = Bot(StateMiddleware(world.states, on_conflict="replay"))
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    cart.on_expired(handled := Handled())
    await world.write(cart, "old")
    world.clock.advance(HOUR)
    ran = 0

    async def logic(turn: TurnContext) -> None:
        nonlocal ran
        ran += 1
        assert await cart.get(turn) is None
        await cart.set(turn, "new")
        if ran == 1:
            assert (await world.states.sweep()).handlers_run == 1

    await world.bot.turn(logic)
    assert ran == 2
    assert (await world.states.sweep()).expired == 0
    assert handled.values == ["old"]
    assert await world.read(cart) == "new"


async def test_many_claims_of_one_document_cost_few_writes() -> None:
    """Each write costs the whole document: one a claim would cost the square of their number."""
    world = World()
    for number in range(300):
        prop = world.states.conversation.create_property(f"p{number}", expires_after=HOUR)
        prop.on_expired(lambda state: None)

    async def all_of_them(turn: Any) -> None:
        for number in range(300):
            await world.states.conversation.create_property(f"p{number}").set(turn, number)

    await world.bot.turn(all_of_them)
    world.clock.advance(HOUR)
    world.storage.reset()
    report = await world.states.sweep()
    assert (report.expired, report.removed, report.handlers_run) == (300, 300, 300)
    assert world.storage.operations["put"] + world.storage.operations["delete"] <= 12
    assert await world.body() is None


async def test_what_was_handled_is_not_handled_again_after_a_cancellation() -> None:
    world = World()
    handled: list[str] = []
    blocked = asyncio.Event()

    async def handler(state: ExpiredState) -> None:
        if len(handled) == 5:
            blocked.set()
            await asyncio.Event().wait()
        handled.append(state.name)

    names = [f"p{number}" for number in range(9)]
    for name in names:
        world.states.conversation.create_property(name, expires_after=HOUR).on_expired(handler)

    async def all_of_them(turn: Any) -> None:
        for name in names:
            await world.states.conversation.create_property(name).set(turn, 1)

    await world.bot.turn(all_of_them)
    world.clock.advance(HOUR)
    sweep = asyncio.ensure_future(world.states.sweep())
    await blocked.wait()
    sweep.cancel()
    await asyncio.gather(sweep, return_exceptions=True)
    body = await world.body()
    assert body is not None
    left = [entry["name"] for entry in body["$state"]["expiring"]]
    assert sorted([*left, *handled]) == names


class Odd(StorageWrapper):
    """A storage that raises what no storage should, for one key."""

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        if "test/conversations/odd" in keys:
            raise ZeroDivisionError
        return await super().get_many(keys)


async def test_whatever_a_document_raises_a_sweep_and_a_migration_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    await world.write(cart, 1)
    item = await world.memory.get(KEY)
    assert item is not None
    await world.memory.put_if(
        "test/conversations/odd", item.data, etag=None, metadata=item.metadata
    )
    world.clock.advance(HOUR)
    async with StateScopes(Odd(world.memory), clock=world.clock) as states:
        swept = await states.sweep()
        assert (swept.failed, swept.removed) == (1, 1)
        migrated = await states.migrate()
        assert (migrated.failed, migrated.seen) == (1, 1)
    assert caplog.text.count("ZeroDivisionError") == 2


@pytest.mark.parametrize(
    "state", [b'{"v":1,"expiring":null}', b'{"v":1,"expiring":7}', b'{"v":1,"props":[]}', b"true"]
)
async def test_one_bad_document_stops_no_sweep_and_no_migration(state: bytes) -> None:
    world = World()
    cart = world.states.conversation.create_property("cart", expires_after=HOUR)
    await world.write(cart, 1)
    bad = b'{"a":1,"$state":' + state + b"}"
    await world.memory.put_if("test/users/a", bad, etag=None, metadata={"statenextexpiry": "1"})
    world.clock.advance(HOUR)
    report = await world.states.sweep()
    assert (report.removed, report.failed) == (1, 1)
    migrated = await world.states.migrate()
    assert [problem.key for problem in migrated.problems] == ["test/users/a"]


async def test_whatever_a_document_raises_the_others_are_swept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    for scope in (world.states.conversation, world.states.user):
        await world.write(scope.create_property("cart", expires_after=HOUR), 1)
    world.clock.advance(HOUR)
    one = Sweep._one

    async def breaks(sweep: Sweep, info: Any) -> None:
        if info.key == KEY:
            raise ZeroDivisionError("a secret")
        await one(sweep, info)

    monkeypatch.setattr(Sweep, "_one", breaks)
    report = await world.states.sweep()
    assert (report.removed, report.failed) == (1, 1)
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


async def test_a_sweep_holds_no_more_tasks_than_it_runs_at_once() -> None:
    world = World()
    order = world.states.shared.create_property("order", expires_after=HOUR)
    for number in range(100):
        await world.write(order.at(str(number)), 1)
    world.clock.advance(HOUR)
    before, most = len(asyncio.all_tasks()), 0

    def count(report: Any) -> None:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()) - before)

    await world.states.sweep(parallel=4, on_progress=count)
    assert 1 <= most <= 4
