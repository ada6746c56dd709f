"""What a handler of ``on_turn`` is told, and what it cannot do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from botstate_ext import StateConflictError, TurnReport
from botstate_ext.storage import MemoryStorage
from botstate_ext.storage.wrapper import Operation, StorageWrapper, T
from botstate_ext.testing import FaultyStorage
from botstate_ext.unit_of_work.work import UnitOfWork
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context, message

KEY = "test/conversations/conv"


class Seconds:
    """The time of a turn's meter, which a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowStorage(StorageWrapper):
    """A storage whose reads take 2 seconds, and whose writes 5."""

    def __init__(self, storage: MemoryStorage, seconds: Seconds) -> None:
        super().__init__(storage)
        self._seconds = seconds

    async def _run(
        self, operation: Operation, key: str | None, call: Callable[[], Awaitable[T]]
    ) -> T:
        self._seconds.now += 2 if operation == "get" else 5
        return await call()


class UnpausedWork(UnitOfWork):
    """A unit of work that does not wait before it tries again."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, pause=no_pause)


async def no_pause(attempt: int) -> None: ...


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    seconds = Seconds()
    for module in ("turn.middleware", "states.turn_session", "states.turn_meter"):
        monkeypatch.setattr(f"botstate_ext.{module}.perf_counter", seconds)
    return seconds


@pytest.fixture
def memory() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def storage(memory: MemoryStorage, seconds: Seconds) -> FaultyStorage:
    return FaultyStorage(SlowStorage(memory, seconds))


@pytest.fixture
def states(storage: FaultyStorage) -> StateScopes:
    return StateScopes(storage)


@pytest.fixture
def reports(states: StateScopes) -> list[TurnReport]:
    found: list[TurnReport] = []
    states.on_turn(found.append)
    return found


async def test_seconds_and_documents(
    states: StateScopes, reports: list[TurnReport], seconds: Seconds
) -> None:
    cart = states.conversation.create_property("cart")

    async def logic(turn: TurnContext) -> None:
        seconds.now += 11
        await cart.set(turn, 1)

    await Bot(StateMiddleware(states)).turn(logic)
    assert reports == [
        TurnReport(
            wait=0,
            load=2,
            logic=11,
            save=5,
            seconds=18,
            read=2,
            written=1,
            retries=0,
            conflicts=0,
            replays=0,
            outcome="saved",
            error=None,
            channel="test",
        )
    ]


async def test_a_turn_waits_for_the_one_before_it(
    states: StateScopes, reports: list[TurnReport], seconds: Seconds
) -> None:
    bot, running, may_go = Bot(StateMiddleware(states)), asyncio.Event(), asyncio.Event()

    async def slow(_: TurnContext) -> None:
        running.set()
        await may_go.wait()
        seconds.now += 100

    async def nothing(_: TurnContext) -> None: ...

    first = asyncio.ensure_future(bot.turn(slow))
    await running.wait()
    second = asyncio.ensure_future(bot.turn(nothing))
    await asyncio.sleep(0)
    may_go.set()
    await asyncio.gather(first, second)
    assert [(r.wait, r.load, r.logic, r.seconds) for r in reports] == [
        (0, 2, 100, 102),
        (100, 2, 0, 102),
    ]


async def test_a_conflict_that_is_merged(
    states: StateScopes,
    memory: MemoryStorage,
    reports: list[TurnReport],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("botstate_ext.unit_of_work.workspace.UnitOfWork", UnpausedWork)
    mine = states.conversation.create_property("mine")

    async def logic(turn: TurnContext) -> None:
        await (
            StateScopes(memory)
            .conversation.create_property("theirs")
            .update(context(), lambda value: 1, default=0)
        )
        await mine.set(turn, 1)

    await Bot(StateMiddleware(states)).turn(logic)
    (report,) = reports
    assert (report.retries, report.conflicts, report.replays) == (1, 1, 0)
    assert (report.read, report.written, report.outcome) == (3, 1, "saved")
    assert report.save == 5 + 2 + 5


async def test_a_lost_answer_is_a_retry_only_if_the_write_is_made_again(
    states: StateScopes, storage: FaultyStorage, reports: list[TurnReport]
) -> None:
    cart = states.conversation.create_property("cart")

    async def logic(turn: TurnContext) -> None:
        await cart.set(turn, 1)

    storage.lose_answer()
    await Bot(StateMiddleware(states)).turn(logic)
    (report,) = reports
    assert (report.retries, report.conflicts, report.written) == (0, 0, 1)


async def test_a_replay(
    states: StateScopes,
    memory: MemoryStorage,
    reports: list[TurnReport],
    seconds: Seconds,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("botstate_ext.turn.middleware.replayed.__kwdefaults__", {"pause": no_pause})
    cart, others = states.conversation.create_property("cart"), StateScopes(memory).conversation
    attempts = iter("12")

    async def logic(turn: TurnContext) -> None:
        seconds.now += 10
        value = await cart.get(turn, list)
        if next(attempts) == "1":
            await others.create_property("cart").set(turn_of_others := context(), ["theirs"])
            await others.save_changes(turn_of_others)
        await cart.set(turn, [*value, "mine"])

    await Bot(StateMiddleware(states, on_conflict="replay")).turn(logic)
    (report,) = reports
    assert (report.replays, report.logic, report.outcome) == (1, 20, "saved")
    assert report.written == 1
    assert await others.create_property("cart").get(context()) == ["theirs", "mine"]


async def fails(_: TurnContext) -> None:
    raise ValueError("s3cret")


async def test_a_bot_that_raises(states: StateScopes, reports: list[TurnReport]) -> None:
    with pytest.raises(ValueError, match="s3cret"):
        await Bot(StateMiddleware(states)).turn(fails)
    with pytest.raises(ValueError, match="s3cret"):
        await Bot(StateMiddleware(states, on_error="save")).turn(fails)
    assert [r.outcome for r in reports] == ["discarded", "saved_after_error"]
    assert {r.error for r in reports} == {"ValueError"}
    assert "s3cret" not in repr(reports)


async def test_a_save_that_fails_after_the_bot_raised(
    states: StateScopes, storage: FaultyStorage, reports: list[TurnReport]
) -> None:
    cart = states.conversation.create_property("cart")

    async def sets_and_fails(turn: TurnContext) -> None:
        await cart.set(turn, 1)
        raise ValueError("the bot's")

    storage.fail("put")
    with pytest.raises(ValueError, match="the bot's"):
        await Bot(StateMiddleware(states, on_error="save")).turn(sets_and_fails)
    assert [r.outcome for r in reports] == ["discarded"]


async def test_a_storage_that_fails(
    states: StateScopes, storage: FaultyStorage, reports: list[TurnReport]
) -> None:
    errors = []

    async def on_error(_: TurnContext, error: Exception) -> None:
        errors.append(error)

    async def sets(turn: TurnContext) -> None:
        await states.conversation.create_property("cart").set(turn, 1)

    bot = Bot(StateMiddleware(states))
    bot.adapter.on_turn_error = on_error
    for operation in ("get", "put"):
        storage.fail(operation)
        await bot.turn(sets)
    assert [(r.outcome, r.error, r.written) for r in reports] == [
        ("failed", "StateStorageError", 0)
    ] * 2
    assert len(errors) == 2


async def test_a_conflict_that_ends_the_turn(
    states: StateScopes, memory: MemoryStorage, reports: list[TurnReport]
) -> None:
    async def logic(turn: TurnContext) -> None:
        await (
            StateScopes(memory)
            .conversation.create_property("a")
            .update(context(), lambda _: 1, default=0)
        )
        await states.conversation.create_property("a").set(turn, 2)

    with pytest.raises(StateConflictError):
        await Bot(StateMiddleware(states, on_conflict="raise")).turn(logic)
    assert [(r.outcome, r.error) for r in reports] == [("conflict", "StateConflictError")]


async def test_a_delivery_that_was_handled_and_a_turn_that_was_cancelled(
    states: StateScopes, reports: list[TurnReport]
) -> None:
    bot = Bot(StateMiddleware(states, deduplicate=timedelta(minutes=1)))

    async def nothing(_: TurnContext) -> None: ...

    async def hangs(_: TurnContext) -> None:
        turn.cancel()
        await asyncio.Event().wait()

    await bot.turn(nothing)
    await bot.turn(nothing)
    other = message()
    other.id = "other"
    turn = asyncio.ensure_future(bot.turn(hangs, other))
    await asyncio.wait([turn])
    assert turn.cancelled()
    assert [r.outcome for r in reports] == ["saved", "skipped", "cancelled"]


async def test_a_handler_cannot_end_a_turn(
    states: StateScopes, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[TurnReport] = []

    @states.on_turn
    def raises(report: TurnReport) -> None:
        raise RuntimeError

    @states.on_turn
    async def is_cancelled(report: TurnReport) -> None:
        raise asyncio.CancelledError

    @states.on_turn
    async def is_told(report: TurnReport) -> None:
        told.append(report)

    bot, cart = Bot(StateMiddleware(states)), states.conversation.create_property("cart")

    async def logic(turn: TurnContext) -> None:
        await cart.set(turn, 1)

    await bot.turn(logic)
    assert await cart.get(context()) == 1
    assert len(told) == 1
    assert caplog.text.count("A handler of on_turn failed") == 2


async def test_a_slow_handler_keeps_no_other_turn_waiting(states: StateScopes) -> None:
    bot, is_told, may_go = Bot(StateMiddleware(states)), asyncio.Event(), asyncio.Event()
    turns: list[TurnReport] = []

    @states.on_turn
    async def waits_once(report: TurnReport) -> None:
        turns.append(report)
        if len(turns) == 1:
            is_told.set()
            await may_go.wait()

    async def nothing(_: TurnContext) -> None: ...

    first = asyncio.ensure_future(bot.turn(nothing))
    await is_told.wait()
    await bot.turn(nothing)
    assert not first.done()
    may_go.set()
    await first


async def test_a_report_is_plain_data(states: StateScopes, reports: list[TurnReport]) -> None:
    async def nothing(_: TurnContext) -> None: ...

    await Bot(StateMiddleware(states)).turn(nothing, message(user="s3cret user"))
    assert msgspec.json.decode(msgspec.json.encode(reports[0]), type=TurnReport) == reports[0]
    assert "s3cret" not in repr(reports[0])
    with pytest.raises(AttributeError):
        reports[0].read = 0  # type: ignore[misc]  # that it is refused is the test
