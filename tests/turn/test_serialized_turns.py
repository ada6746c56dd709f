"""Turns of one conversation, one after another, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from datetime import timedelta
from typing import Any

import pytest

from botstate_ext import InProcessTurnLock, StateConflictError, TurnLock
from botstate_ext import storage as storages
from tests.turns import (
    Bot,
    Logic,
    StateMiddleware,
    StateScopes,
    TurnContext,
    context,
    message,
    reference_to,
)


class Timer:
    """Instead of waiting: notes for how long, and is over when it is told to be."""

    def __init__(self) -> None:
        self.waits: list[float | None] = []
        self.is_over = asyncio.Event()

    async def __call__(self, place: asyncio.Future[None], seconds: float | None) -> None:
        self.waits.append(seconds)
        over = asyncio.ensure_future(self.is_over.wait())
        try:
            await asyncio.wait((place, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()


class Turns:
    """A bot whose turns wait to be let go on, and what they did."""

    def __init__(self, states: StateScopes, serialize_turns: bool | TurnLock = True) -> None:
        self.states = states
        self.bot = Bot(StateMiddleware(states, serialize_turns=serialize_turns))
        self.seen = states.conversation.create_property("seen", list)
        self.running: dict[str, asyncio.Event] = {}

    def start(self, text: str, logic: Logic | None = None, **fields: Any) -> asyncio.Task[Any]:
        names = [name for name in ("user", "conversation") if name in fields]
        activity = message(text, **{name: fields.pop(name) for name in names})
        for name, value in fields.items():
            setattr(activity, name, value)
        return asyncio.ensure_future(self.bot.turn(logic or self._logic, activity))

    async def _logic(self, turn: TurnContext) -> None:
        text = turn.activity.text
        self.running[text] = asyncio.Event()
        await self.running[text].wait()
        (await self.seen.get(turn, list)).append(text)

    async def stored(self) -> list[str]:
        value: list[str] = await self.seen.get(context(), list)
        return value


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(30):
        await asyncio.sleep(0)


@pytest.fixture
def states() -> StateScopes:
    return StateScopes(storages.MemoryStorage())


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def turns(states: StateScopes) -> Turns:
    return Turns(states)


async def test_a_turn_loads_when_the_one_before_it_has_saved(turns: Turns) -> None:
    one, two = turns.start("one"), turns.start("two")
    await settle()
    assert list(turns.running) == ["one"]
    turns.running["one"].set()
    await settle()
    assert list(turns.running) == ["one", "two"]
    turns.running["two"].set()
    await asyncio.gather(one, two)
    # Without an order they would conflict: the property has no merge.
    assert await turns.stored() == ["one", "two"]


async def test_a_hundred_turns_come_in_order_and_none_raises(
    turns: Turns, states: StateScopes
) -> None:
    async def append(turn: TurnContext) -> None:
        (await turns.seen.get(turn, list)).append(turn.activity.text)

    await asyncio.gather(*(turns.start(str(number), append) for number in range(100)))
    assert await turns.stored() == [str(number) for number in range(100)]


async def test_other_conversations_are_not_delayed(turns: Turns) -> None:
    tasks = [turns.start("one"), turns.start("two", conversation="another")]
    await settle()
    assert list(turns.running) == ["one", "two"]
    await let_all_go(turns, tasks)


async def test_false_serializes_nothing(states: StateScopes) -> None:
    turns = Turns(states, serialize_turns=False)
    tasks = [turns.start("one"), turns.start("two", conversation="another"), turns.start("three")]
    await settle()
    assert list(turns.running) == ["one", "two", "three"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_messages_wait_ten_seconds_and_invokes_two(states: StateScopes, timer: Timer) -> None:
    turns = Turns(states, InProcessTurnLock(wait_for=timer))
    tasks = [turns.start("one"), turns.start("two"), turns.start("three", type="invoke")]
    await settle()
    assert timer.waits == [10, 2]
    await let_all_go(turns, tasks)


@pytest.mark.parametrize("later", [0, 50])
async def test_a_crowd_whose_wait_is_over_goes_on_one_by_one(
    states: StateScopes, timer: Timer, later: int
) -> None:
    """500 turns wait for one; their wait ends together, and others come after that. The property
    has no merge: two that run beside each other conflict."""
    turns = Turns(states, InProcessTurnLock(wait_for=timer))
    running, most, order = 0, 0, []

    async def logic(turn: TurnContext) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        seen = await turns.seen.get(turn, list)
        await asyncio.sleep(0)
        seen.append(turn.activity.text)
        order.append(turn.activity.text)
        running -= 1

    stuck = turns.start("stuck")
    await settle()
    waiting = [turns.start(f"{number}", logic) for number in range(500)]
    await settle()
    timer.is_over.set()
    await asyncio.sleep(0)
    turns.running["stuck"].set()
    await asyncio.sleep(0)
    waiting += [turns.start(f"{number}", logic) for number in range(500, 500 + later)]
    raised = await asyncio.gather(stuck, *waiting, return_exceptions=True)
    conflicts = [error for error in raised if isinstance(error, StateConflictError)]
    assert len(conflicts) <= 2, "of those that ran beside the one that held the lock"
    assert most <= 2
    assert order[500:] == [f"{number}" for number in range(500, 500 + later)]


async def test_a_turn_that_hangs_after_its_wait_holds_up_nobody_for_longer(
    states: StateScopes, timer: Timer
) -> None:
    """By the real clock: the wait of the next one is as short as can be."""
    lock = InProcessTurnLock(wait=timedelta(milliseconds=1), wait_for=timer)
    turns = Turns(states, lock)
    tasks = [turns.start(text) for text in ("one", "two", "three", "four")]
    await settle()
    timer.is_over.set()
    while len(turns.running) < 4:  # noqa: ASYNC110 - the loop's own timers
        await asyncio.sleep(0)
    for event in turns.running.values():
        event.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not lock._overtime.held


async def test_who_is_cancelled_in_overtime_leaves_its_place(
    states: StateScopes, timer: Timer
) -> None:
    lock = InProcessTurnLock(wait=timedelta(minutes=5), wait_for=timer)
    turns = Turns(states, lock)
    one, two, three, four = (turns.start(text) for text in ("one", "two", "three", "four"))
    await settle()
    timer.is_over.set()
    await settle()
    assert list(turns.running) == ["one", "two"]
    three.cancel()
    with pytest.raises(asyncio.CancelledError):
        await three
    turns.running["two"].set()
    await settle()
    assert list(turns.running) == ["one", "two", "four"]
    for text in ("one", "four"):
        turns.running[text].set()
    await asyncio.gather(one, two, four, return_exceptions=True)
    assert repr(lock) == "<InProcessTurnLock, 0 held>"
    assert not lock._overtime.held


async def test_an_invoke_waits_no_longer_than_its_wait(states: StateScopes, timer: Timer) -> None:
    turns = Turns(states, InProcessTurnLock(wait=timedelta(minutes=5), wait_for=timer))
    tasks = [turns.start("one"), turns.start("two"), turns.start("three", type="invoke")]
    await settle()
    timer.is_over.set()
    await settle()
    assert list(turns.running) == ["one", "two", "three"]
    for event in turns.running.values():
        event.set()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_both_waits_can_be_set(states: StateScopes, timer: Timer) -> None:
    lock = InProcessTurnLock(
        wait=timedelta(minutes=1), invoke_wait=timedelta(milliseconds=500), wait_for=timer
    )
    turns = Turns(states, lock)
    tasks = [turns.start("one"), turns.start("two"), turns.start("three", type="invoke")]
    await settle()
    assert timer.waits == [60, 0.5]
    await let_all_go(turns, tasks)


async def test_who_waited_too_long_goes_on_with_a_warning(
    states: StateScopes, timer: Timer, caplog: pytest.LogCaptureFixture
) -> None:
    lock = InProcessTurnLock(wait_for=timer)
    turns = Turns(states, lock)
    tasks = [turns.start("one"), turns.start("two")]
    await settle()
    assert "goes on beside" not in caplog.text
    timer.is_over.set()
    await settle()
    assert list(turns.running) == ["one", "two"], "both run"
    assert "waited 10 s for others of 'test/conversations/conv'" in caplog.text
    turns.running["one"].set()
    await tasks[0]
    # The place is not that of the late one: when the first has ended, it is free.
    assert repr(lock) == "<InProcessTurnLock, 0 held>"
    turns.running["two"].set()
    # ETags are the guarantee: both changed one property that has no merge.
    with pytest.raises(Exception, match="Etag conflict"):
        await tasks[1]
    assert await turns.stored() == ["one"]


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "typing"},
        {"type": "messageReaction"},
        {"type": "event", "name": "ContinueConversation"},
    ],
    ids=lambda fields: fields["type"],
)
async def test_these_do_not_wait_and_hold_nobody_up(turns: Turns, fields: dict[str, Any]) -> None:
    tasks = [turns.start("one"), turns.start("two", **fields), turns.start("three")]
    await settle()
    assert list(turns.running) == ["one", "two"]
    turns.running["one"].set()
    await settle()
    assert list(turns.running) == ["one", "two", "three"]
    for task in tasks[1:]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_event_of_the_channel_waits(turns: Turns) -> None:
    tasks = [turns.start("one"), turns.start("two", type="event", name="tokens/response")]
    await settle()
    assert list(turns.running) == ["one"]
    await let_all_go(turns, tasks)


async def test_by_chooses_who_waits_for_whom(states: StateScopes) -> None:
    lock = InProcessTurnLock(by=lambda turn: turn.activity.from_property.id)
    turns = Turns(states, lock)
    tasks = [
        turns.start("one", user="ann"),
        turns.start("two", user="bob"),
        turns.start("three", user="ann", conversation="another"),
    ]
    await settle()
    assert list(turns.running) == ["one", "two"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_by_may_leave_it_to_the_conversation(states: StateScopes) -> None:
    turns = Turns(states, InProcessTurnLock(by=lambda turn: None))
    tasks = [turns.start("one"), turns.start("two")]
    await settle()
    assert list(turns.running) == ["one"]
    await let_all_go(turns, tasks)


async def test_an_activity_without_conversation_waits_for_nobody(states: StateScopes) -> None:
    turns = Turns(states)
    tasks = [turns.start("one", conversation=None), turns.start("two", conversation=None)]
    await settle()
    assert list(turns.running) == ["one", "two"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_turns_inside_turns(turns: Turns) -> None:
    order: list[str] = []

    async def innermost(turn: TurnContext) -> None:
        order.append("innermost")

    async def inner(turn: TurnContext) -> None:
        await turns.start("third", innermost)
        order.append("inner")

    async def outer(turn: TurnContext) -> None:
        # By way of another conversation and back, and in tasks of their own.
        await turns.start("second", inner, conversation="another")
        order.append("outer")

    await turns.start("first", outer)
    assert order == ["innermost", "inner", "outer"]


async def test_a_turn_inside_a_late_turn(states: StateScopes, timer: Timer) -> None:
    timer.is_over.set()
    turns = Turns(states, InProcessTurnLock(wait_for=timer))
    first = turns.start("one")
    await settle()

    async def nothing(turn: TurnContext) -> None: ...

    async def outer(turn: TurnContext) -> None:
        await turns.start("inner", nothing)

    await turns.start("late", outer)
    assert len(timer.waits) == 1, "only the outer one waited"
    await let_all_go(turns, [first])


async def test_a_task_that_outlives_its_turn_queues_like_any_other(turns: Turns) -> None:
    go_on = asyncio.Event()
    left_behind: list[asyncio.Task[Any]] = []

    async def outlives(turn: TurnContext) -> None:
        async def later() -> None:
            await go_on.wait()
            await turns.start("left behind")

        left_behind.append(asyncio.ensure_future(later()))

    await turns.start("first", outlives)
    second = turns.start("second")
    await settle()
    go_on.set()
    await settle()
    assert list(turns.running) == ["second"]
    await let_all_go(turns, [second, *left_behind])
    assert await turns.stored() == ["second", "left behind"]


async def test_a_skills_reply_reaches_the_parent_that_waits_for_it(
    turns: Turns, states: StateScopes
) -> None:
    """The reply comes by another request, and so by a task that is in no turn."""
    asked, answered = asyncio.Event(), asyncio.Event()
    said = states.user.create_property("said")

    async def channel_of_the_skill() -> None:
        await asked.wait()
        reference = reference_to(message())
        await turns.bot.adapter.continue_conversation(reference, on_reply)

    async def on_reply(turn: TurnContext) -> None:
        # What the parent makes of it may be turns of their own.
        await turns.start("inner", nothing)
        await said.set(turn, "by the skill")
        answered.set()

    async def nothing(turn: TurnContext) -> None: ...

    async def parent(turn: TurnContext) -> None:
        asked.set()
        await answered.wait()

    skill = asyncio.ensure_future(channel_of_the_skill())
    await turns.start("parent", parent)
    await skill
    assert await said.get(context()) == "by the skill"


async def test_cancelled_turns_do_not_wedge_the_conversation(turns: Turns) -> None:
    holder, waiter, last = turns.start("holder"), turns.start("waiter"), turns.start("last")
    await settle()
    waiter.cancel()
    holder.cancel()
    await settle()
    assert list(turns.running) == ["holder", "last"]
    await let_all_go(turns, [last])
    assert await turns.stored() == ["last"]


async def test_a_turn_that_raises_lets_the_next_one_in(turns: Turns) -> None:
    async def fails(turn: TurnContext) -> None:
        raise RuntimeError("the bot")

    first, second = turns.start("one", fails), turns.start("two")
    with pytest.raises(RuntimeError, match="the bot"):
        await first
    await let_all_go(turns, [second])


async def test_conversations_that_are_over_take_no_memory(states: StateScopes) -> None:
    lock = InProcessTurnLock()
    turns = Turns(states, lock)
    most = 0

    async def count(turn: TurnContext) -> None:
        nonlocal most
        most = max(most, len(lock._queue))
        await asyncio.sleep(0)

    await asyncio.gather(*(turns.start("hi", count, conversation=str(n)) for n in range(500)))
    assert most > 1
    assert len(lock._queue) == 0


class EveryoneTogether(TurnLock):
    """A user's own, which holds everything together under one key and notes who was inside."""

    def __init__(self) -> None:
        super().__init__(by=lambda turn: "all")
        self.held: list[tuple[str, timedelta]] = []
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def hold(self, key: str, wait: timedelta) -> AsyncIterator[bool]:
        self.held.append((key, wait))
        async with self._lock:
            yield True


async def test_a_lock_of_ones_own(states: StateScopes) -> None:
    lock = EveryoneTogether()
    turns = Turns(states, lock)
    tasks = [turns.start("one"), turns.start("two", conversation="another")]
    await settle()
    assert list(turns.running) == ["one"]
    await let_all_go(turns, tasks)
    assert lock.held == [("all", timedelta(seconds=10))] * 2


@pytest.mark.parametrize("name", ["wait", "invoke_wait"])
def test_a_wait_is_a_duration(name: str) -> None:
    seconds: dict[str, Any] = {name: 10}
    negative: dict[str, Any] = {name: timedelta(seconds=-1)}
    with pytest.raises(TypeError, match=f"{name} must be a timedelta"):
        InProcessTurnLock(**seconds)
    with pytest.raises(ValueError, match=f"{name} must not be negative"):
        InProcessTurnLock(**negative)


def test_serialize_turns_takes_a_lock(states: StateScopes) -> None:
    wrong: Any = asyncio.Lock
    with pytest.raises(TypeError, match="True, False or a TurnLock"):
        StateMiddleware(states, serialize_turns=wrong)


async def let_all_go(turns: Turns, tasks: list[asyncio.Task[Any]]) -> None:
    """Let turns go on as they come to it, until these have ended."""
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        for event in turns.running.values():
            event.set()
    for task in tasks:
        task.result()


async def test_a_sub_channel_is_no_other_conversation() -> None:
    """The lock's key is that of the conversation's document, as the host makes it."""
    asked: list[str] = []

    class Noting(TurnLock):
        @asynccontextmanager
        async def hold(self, key: str, wait: timedelta) -> AsyncIterator[bool]:
            asked.append(key)
            yield True

    states = StateScopes(storages.MemoryStorage())

    def key_activity(activity: Any) -> Any:
        activity = copy(activity)
        activity.channel_id = activity.channel_id.partition(":")[0]
        return activity

    states._workspace.host.key_activity = key_activity  # type: ignore[method-assign]
    turns = Turns(states, Noting())
    for channel in ("test", "test:sub"):
        await turns.start("one", turns_nothing, channel_id=channel)
    assert asked == ["test/conversations/conv"] * 2


async def turns_nothing(turn: TurnContext) -> None: ...
