"""A turn that begins with documents from the cache: without a read, and never on stale state that
nobody notices."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from botstate_ext import (
    DocumentCache,
    StateConflictError,
    StateStorageError,
    TurnReport,
    turn_is_replay,
)
from botstate_ext.storage import MemoryStorage, StateStorage
from botstate_ext.testing import CountingStorage, FaultyStorage, ManualClock
from tests.backends import OneByOne
from tests.cancellation import CancelledAt
from tests.storage.test_warm import Slow, Unconditional
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context, message

MINUTE = timedelta(minutes=1)
USER = "test/users/user"
CONVERSATION = "test/conversations/conv"
REPLAY: dict[str, Any] = {"on_conflict": "replay"}


def cache(**options: Any) -> DocumentCache:
    return DocumentCache(**{"max_bytes": 100_000, "max_age": MINUTE, **options})


class Instance:
    """One process of a bot that counts in each conversation, and for each user."""

    def __init__(
        self,
        storage: StateStorage,
        kept: DocumentCache | None = None,
        *,
        clock: Any = None,
        conversation_key: Any = None,
        **options: Any,
    ) -> None:
        self.faulty = FaultyStorage(storage)
        self.counting = CountingStorage(self.faulty)
        self.states = StateScopes(
            self.counting,
            cache=cache() if kept is None else kept,
            clock=clock,
            conversation_key=conversation_key,
        )
        self.bot = Bot(StateMiddleware(self.states, **(options or REPLAY)))
        # Without a default, which `get` would store.
        self.count = self.states.conversation.create_property("count")
        self.visits = self.states.user.create_property("visits")
        self.reports: list[TurnReport] = []
        self.states.on_turn(self.reports.append)

    async def turn(self, logic: Callable[[TurnContext], Awaitable[Any]]) -> list[str]:
        """Run a turn, and return what it said. Counts from here."""
        self.counting.reset()
        self.bot.adapter.activity_buffer.clear()
        await self.bot.turn(logic)
        return [activity.text for activity in self.bot.adapter.activity_buffer]

    async def add(self, turn: TurnContext) -> None:
        """Count, and say so."""
        count = (await self.count.get(turn) or 0) + 1
        await self.count.set(turn, count)
        await turn.send_activity(str(count))

    async def tell(self, turn: TurnContext) -> None:
        """Say the number, and write nothing."""
        await turn.send_activity(str(await self.count.get(turn) or 0))

    async def stored(self) -> int:
        return await self.count.get(context()) or 0


@pytest.fixture(params=["in one step", "one by one"])
def memory(request: pytest.FixtureRequest) -> StateStorage:
    storage = MemoryStorage()
    return storage if request.param == "in one step" else OneByOne(storage)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2024, 5, 6, tzinfo=timezone.utc))


# Without a read


async def test_the_next_turn_starts_without_a_read(memory: StateStorage) -> None:
    instance = Instance(memory)
    assert await instance.turn(instance.add) == ["1"]
    assert instance.counting.keys_read == {USER: 1, CONVERSATION: 1}
    assert await instance.turn(instance.add) == ["2"]
    assert instance.counting.operations == {"put": 1}
    assert [(each.read, each.cached) for each in instance.reports] == [(2, 0), (0, 2)]


async def test_a_turn_that_only_reads_compares_what_it_used_at_its_end(
    memory: StateStorage,
) -> None:
    instance = Instance(memory)
    await instance.turn(instance.add)
    assert await instance.turn(instance.tell) == ["1"]
    assert instance.counting.keys_read == {CONVERSATION: 1}
    assert (instance.reports[-1].read, instance.reports[-1].cached) == (1, 2)

    async def nothing(turn: TurnContext) -> None: ...

    await instance.turn(nothing)
    assert instance.counting.operations == {}


async def test_a_turn_that_writes_one_of_two_documents_compares_both(memory: StateStorage) -> None:
    instance = Instance(memory)
    await instance.turn(instance.add)

    async def both(turn: TurnContext) -> None:
        await instance.visits.get(turn)
        await instance.add(turn)

    await instance.turn(both)
    assert instance.counting.keys_read == {USER: 1, CONVERSATION: 1}
    assert instance.counting.round_trips == 2


# Stale state, under replay


async def test_a_turn_that_read_stale_state_runs_again(memory: StateStorage) -> None:
    one, two = Instance(memory), Instance(memory)
    await one.turn(one.add)
    await two.turn(two.add)
    assert await one.turn(one.tell) == ["2"]
    assert one.reports[-1].replays == 1
    assert one.counting.keys_read == {USER: 1, CONVERSATION: 2}  # compared, then both read
    assert await one.turn(one.tell) == ["2"]
    assert one.reports[-1].replays == 0


async def test_a_turn_that_wrote_on_stale_state_runs_again(memory: StateStorage) -> None:
    one, two = Instance(memory), Instance(memory)
    for number in range(4):
        assert await one.turn(one.add) == [str(2 * number + 1)]
        assert await two.turn(two.add) == [str(2 * number + 2)]
    assert one.reports[-1].replays == two.reports[-1].replays == 1
    assert await one.stored() == 8


async def test_a_document_that_was_absent_is_kept_as_absent_and_compared(
    memory: StateStorage,
) -> None:
    one, two = Instance(memory), Instance(memory)
    assert await one.turn(one.tell) == ["0"]
    await two.turn(two.add)
    assert await one.turn(one.tell) == ["1"]


async def test_only_the_documents_that_the_turn_used_make_it_run_again(
    memory: StateStorage,
) -> None:
    one, two = Instance(memory), Instance(memory)
    await one.turn(one.add)
    await two.turn(lambda turn: two.visits.set(turn, 1))
    assert await one.turn(one.add) == ["2"]
    assert one.reports[-1].replays == 0


async def test_a_bot_that_raised_over_stale_state_runs_again(memory: StateStorage) -> None:
    one, two = Instance(memory), Instance(memory)
    await one.turn(one.add)
    await two.turn(two.add)

    async def needs_two(turn: TurnContext) -> None:
        if (await one.count.get(turn) or 0) < 2:
            raise RuntimeError("one is not enough")
        await turn.send_activity("two")

    assert await one.turn(needs_two) == ["two"]
    assert one.reports[-1].outcome == "saved"


@pytest.mark.parametrize("on_error", ["discard", "save"])
async def test_a_bot_that_raised_over_state_that_is_not_stale_has_raised(
    memory: StateStorage, on_error: str
) -> None:
    one = Instance(memory, on_conflict="replay", on_error=on_error)
    await one.turn(one.add)

    async def fail(turn: TurnContext) -> None:
        await one.count.get(turn)
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await one.turn(fail)
    assert one.counting.keys_read == {CONVERSATION: 1}


@pytest.mark.parametrize("on_error", ["discard", "save"])
async def test_a_bot_that_raised_raises_its_own_error_if_nothing_can_be_compared(
    memory: StateStorage, on_error: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = Instance(memory, on_conflict="replay", on_error=on_error)
    await one.turn(one.add)
    one.faulty.fail("get")

    async def fail(turn: TurnContext) -> None:
        await one.count.get(turn)
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await one.turn(fail)
    (record,) = (each for each in caplog.records if each.levelno >= logging.WARNING)
    assert "FaultyStorage was told to fail" in record.getMessage()


async def test_update_that_refused_over_stale_state_runs_again(memory: StateStorage) -> None:
    one, two = Instance(memory), Instance(memory)
    await one.turn(one.add)
    await two.turn(two.add)

    def take(left: int) -> int:
        if left < 2:
            raise ValueError("sold out")
        return left - 2

    async def buy(turn: TurnContext) -> None:
        try:
            await one.count.update(turn, take)
        except ValueError as error:
            await turn.send_activity(str(error))
        else:
            await turn.send_activity("yours")

    assert await one.turn(buy) == ["yours"]
    assert await one.stored() == 0


async def test_a_document_that_is_gone_is_not_deleted_a_second_time_unseen(
    memory: StateStorage,
) -> None:
    one, two = Instance(memory), Instance(memory)
    await one.turn(one.add)

    async def check_out(instance: Instance, turn: TurnContext) -> None:
        ordered = await instance.count.get(turn) or 0
        await instance.states.conversation.delete(turn)
        await turn.send_activity(f"ordered {ordered}")

    assert await two.turn(lambda turn: check_out(two, turn)) == ["ordered 1"]
    assert await one.turn(lambda turn: check_out(one, turn)) == ["ordered 0"]


async def test_a_skill_is_not_called_with_stale_state(memory: StateStorage) -> None:
    one, two = Instance(memory), Instance(memory)
    await one.turn(one.add)
    await two.turn(two.add)
    called = []

    async def call_skill(turn: TurnContext) -> None:
        count = await one.count.get(turn)
        await one.states.conversation.save_changes(turn, force=True)
        called.append(count)

    await one.turn(call_skill)
    assert called == [2]


async def test_a_turn_that_runs_again_reads_what_is_stored_then(memory: StateStorage) -> None:
    one, two = Instance(memory), Instance(memory)
    await one.turn(one.add)
    seen = []

    async def racing(turn: TurnContext) -> None:
        seen.append(await one.count.get(turn))
        if not turn_is_replay(turn) or len(seen) == 2:
            await two.turn(two.add)
        await one.count.set(turn, 10)

    await one.turn(racing)
    assert seen == [1, 2, 3]


async def test_a_turn_in_a_turn_begins_with_what_the_outer_one_has_written(
    memory: StateStorage,
) -> None:
    one, two = Instance(memory), Instance(memory)
    inner = Bot(StateMiddleware(one.states, on_conflict="replay", serialize_turns=False))
    await one.turn(one.add)
    await two.turn(two.add)

    async def logic(turn: TurnContext) -> None:
        await one.add(turn)
        await one.states.conversation.save_changes(turn)
        await inner.turn(one.add)

    await one.turn(logic)
    assert await one.stored() == 4


async def test_a_turn_in_a_turn_that_raised_over_stale_state_lets_the_outer_one_run_again(
    memory: StateStorage,
) -> None:
    one, two = Instance(memory), Instance(memory)
    inner = Bot(StateMiddleware(one.states, on_conflict="replay", serialize_turns=False))
    await one.turn(one.add)
    await two.turn(two.add)

    async def needs_two(turn: TurnContext) -> None:
        if (await one.count.get(turn) or 0) < 2:
            raise RuntimeError("one is not enough")

    async def logic(turn: TurnContext) -> None:
        try:
            await inner.turn(needs_two)
        except RuntimeError as error:
            await turn.send_activity(str(error))
        else:
            await turn.send_activity("two")

    assert await one.turn(logic) == ["two"]


# Kept, and for how long


async def test_an_expired_property_is_absent_although_its_document_is_kept(
    memory: StateStorage, clock: ManualClock
) -> None:
    one = Instance(memory, clock=clock)
    code = one.states.conversation.create_property("code", expires_after=timedelta(seconds=10))
    await one.turn(lambda turn: code.set(turn, "1234"))
    clock.advance(timedelta(seconds=11))
    seen = []

    async def ask(turn: TurnContext) -> None:
        seen.append(await code.get(turn))

    await one.turn(ask)
    assert seen == [None]
    assert one.reports[-1].cached == 2


async def test_what_is_older_than_max_age_is_read(memory: StateStorage, clock: ManualClock) -> None:
    one = Instance(memory, clock=clock)
    await one.turn(one.add)
    clock.advance(MINUTE + timedelta(seconds=1))
    await one.turn(one.add)
    assert one.counting.keys_read == {USER: 1, CONVERSATION: 1}


async def test_what_does_not_fit_is_read(memory: StateStorage) -> None:
    one = Instance(memory, cache(max_bytes=1000))
    for _ in range(3):
        await one.turn(one.add)
        assert one.counting.keys_read[CONVERSATION] == 1
        assert len(one.states._workspace.warm._items) <= 1  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", [REPLAY, {"on_conflict": "merge"}], ids=str)
async def test_after_a_failed_write_the_next_turn_reads(
    memory: StateStorage, mode: dict[str, Any]
) -> None:
    one = Instance(memory, cache(sticky="all"), **mode)
    await one.turn(one.add)
    one.faulty.fail("put")
    with pytest.raises(StateStorageError):
        await one.turn(one.add)
    assert await one.turn(one.add) == ["2"]
    assert one.counting.keys_read[CONVERSATION] == 1


@pytest.mark.parametrize("mode", [REPLAY, {"on_conflict": "merge"}], ids=str)
async def test_a_turn_cancelled_at_each_await_leaves_nothing_that_is_not_stored(
    memory: StateStorage, mode: dict[str, Any]
) -> None:
    at = 0
    while True:
        at += 1
        one = Instance(Slow(memory), cache(sticky="all"), **mode)
        before = await one.stored()
        await one.turn(one.add)
        steps = CancelledAt(one.turn(one.add), at)
        await steps.ended()
        for _ in range(5):
            await asyncio.sleep(0)
        after = await one.stored()
        assert after in (before + 1, before + 2)
        assert await one.turn(one.tell) == [str(after)]
        if steps.awaits < at:
            break
    assert one.counting.keys_read.total() <= 1
    assert at > 1


async def test_an_erased_user_is_forgotten_at_once(memory: StateStorage) -> None:
    one = Instance(memory)
    await one.turn(lambda turn: one.visits.set(turn, 7))
    await one.states.erase_user("test", "user")
    assert len(one.states._workspace.warm._items) == 0  # type: ignore[union-attr]
    seen = []

    async def ask(turn: TurnContext) -> None:
        seen.append(await one.visits.get(turn))

    await one.turn(ask)
    assert seen == [None]


async def test_an_erased_user_is_forgotten_where_another_process_had_erased_it(
    memory: StateStorage,
) -> None:
    """Their document is not found any more, and is kept all the same."""
    one, two = Instance(memory), Instance(memory)
    note = one.states.private.create_property("note")
    await one.turn(lambda turn: note.set(turn, 7))
    await two.states.erase_user("test", "user")
    key, warm = one.states.private.get_storage_key(context()), one.states._workspace.warm
    assert warm is not None
    await one.states.erase_user("test", "user", dry_run=True)
    assert warm.kept([key])[key] is not None
    await one.states.erase_user("test", "user")
    assert warm.kept([key]) == {}


async def test_a_write_on_stale_state_does_not_bring_an_erased_user_back(
    memory: StateStorage,
) -> None:
    one, two = Instance(memory), Instance(memory, cache(sticky="all"), on_conflict="merge")
    await two.turn(lambda turn: two.visits.set(turn, 7))
    await one.states.erase_user("test", "user")
    with pytest.raises(StateConflictError):
        await two.turn(lambda turn: two.visits.set(turn, 8))
    assert await memory.get(USER) is None


# What reads as ever


async def test_work_outside_turns_reads_what_is_stored(memory: StateStorage) -> None:
    one, two = Instance(memory, cache(sticky="all")), Instance(memory)
    await one.turn(one.add)
    await two.turn(two.add)
    for mode in ("merge", "replay"):
        async with one.states.unit_of_work(
            channel_id="test",
            user_id="user",
            conversation_id="conv",
            on_conflict=mode,
        ) as work:
            assert await one.count.get(work) == 2


async def test_what_the_turn_reads_again_is_read(memory: StateStorage) -> None:
    one = Instance(memory, cache(sticky=True), on_conflict="merge")
    await one.turn(one.add)
    others = StateScopes(memory).conversation.create_property("count")
    await others.update(context(), lambda _: 10)
    seen: list[Any] = []

    def see(count: int) -> int:
        seen.append(count)
        return count + 1

    async def again(turn: TurnContext) -> None:
        seen.append(await one.count.get(turn))
        await one.count.update(turn, see)
        await others.update(context(), lambda _: 20)
        await one.states.conversation.load(turn, force=True)
        seen.append(await one.count.get(turn))

    await one.turn(again)
    assert seen == [1, 10, 20]


async def test_jobs_keep_nothing(memory: StateStorage) -> None:
    one = Instance(memory)
    await one.turn(one.add)
    for number in range(20):
        await memory.put_if(f"test/conversations/{number}", b'{"count": 1}', etag=None)
        async with one.states.unit_of_work(
            channel_id="test", conversation_id=str(number), on_conflict="replay"
        ) as work:
            await one.count.get(work)
    await one.states.sweep()
    await one.states.migrate()
    assert len(one.states._workspace.warm._items) == 2  # type: ignore[union-attr]
    assert await one.turn(one.add) == ["2"]
    assert one.reports[-1].replays == 0


# Sticky


@pytest.mark.parametrize("mode", ["merge", "raise", "last_writer_wins"])
async def test_sticky_begins_with_the_documents_of_the_conversation(
    memory: StateStorage, mode: str
) -> None:
    one = Instance(memory, cache(sticky=True), on_conflict=mode)
    note = one.states.private.create_property("note")

    async def all_three(turn: TurnContext) -> None:
        await one.add(turn)
        await note.set(turn, await one.visits.get(turn))

    await one.turn(all_three)
    await one.turn(all_three)
    assert one.counting.keys_read == {USER: 1}
    assert (one.reports[-1].read, one.reports[-1].cached) == (1, 2)
    await one.turn(one.tell)
    assert one.counting.keys_read == {USER: 1}


async def test_sticky_user_begins_with_the_users_document_too(memory: StateStorage) -> None:
    one = Instance(memory, cache(sticky="user"), on_conflict="merge")
    total = one.states.bot.create_property("total")

    async def logic(turn: TurnContext) -> None:
        await one.add(turn)
        await one.visits.get(turn)
        await total.get(turn)

    await one.turn(logic)
    await one.turn(logic)
    assert one.counting.keys_read == {"bot/bot": 1}
    assert one.reports[-1].cached == 2


async def test_sticky_all_begins_with_all_documents(memory: StateStorage) -> None:
    one = Instance(memory, cache(sticky="all"), on_conflict="merge")
    total = one.states.bot.create_property("total")

    async def logic(turn: TurnContext) -> None:
        await one.add(turn)
        await one.visits.get(turn)
        await total.get(turn)

    await one.turn(logic)
    await one.turn(logic)
    assert one.counting.operations == {"put": 1}
    await one.turn(one.tell)
    assert one.counting.operations == {}


async def test_sticky_reads_a_conversations_document_that_the_app_chooses(
    memory: StateStorage,
) -> None:
    """Several conversations may lead to it."""
    one = Instance(
        memory,
        cache(sticky=True),
        on_conflict="merge",
        conversation_key=lambda turn: "all",
    )
    for _ in range(2):
        await one.turn(one.add)
        assert one.counting.keys_read == {USER: 1, "conversation/all": 1}


async def test_sticky_sees_every_write_of_its_own_process(memory: StateStorage) -> None:
    one = Instance(memory, cache(sticky="all"), on_conflict="merge")
    await one.turn(one.add)
    await one.count.update(context(), lambda count: (count or 0) + 10)
    async with one.states.unit_of_work(
        channel_id="test", user_id="user", conversation_id="conv"
    ) as work:
        await one.count.set(work, (await one.count.get(work) or 0) + 100)
    assert await one.turn(one.tell) == ["111"]
    await one.states.conversation.delete(context())
    assert await one.turn(one.tell) == ["0"]


async def test_sticky_merges_a_write_that_another_process_made_all_the_same(
    memory: StateStorage, clock: ManualClock
) -> None:
    one = Instance(memory, cache(sticky=True), clock=clock, on_conflict="merge")
    await one.turn(one.add)
    others = StateScopes(memory)
    await others.conversation.create_property("theirs").update(context(), lambda _: 1)
    assert await one.turn(one.add) == ["2"]
    assert await others.conversation.create_property("theirs").get(context()) == 1
    assert await one.turn(one.tell) == ["2"]
    await others.conversation.create_property("count").update(context(), lambda _: 50)
    assert await one.turn(one.tell) == ["2"]
    clock.advance(MINUTE + timedelta(seconds=1))
    assert await one.turn(one.tell) == ["50"]


async def test_a_sweep_of_another_process_does_not_stop_a_sticky_turn(
    memory: StateStorage, clock: ManualClock
) -> None:
    one = Instance(memory, cache(sticky="all"), clock=clock, on_conflict="merge")
    code = one.states.conversation.create_property("code", expires_after=timedelta(seconds=10))
    await one.turn(lambda turn: code.set(turn, "1234"))
    clock.advance(timedelta(seconds=11))
    report = await StateScopes(memory, clock=clock).sweep()
    assert report.removed == 1
    assert await memory.get(CONVERSATION) is None
    assert await one.turn(one.add) == ["1"]
    assert await one.stored() == 1


# What is refused


@pytest.mark.parametrize("mode", ["merge", "raise", "last_writer_wins"])
def test_a_mode_that_would_not_notice_is_refused(mode: str) -> None:
    states = StateScopes(MemoryStorage(), cache=cache())
    with pytest.raises(ValueError, match=r'on_conflict="replay".*DocumentCache\(sticky=True\)'):
        StateMiddleware(states, on_conflict=mode)  # type: ignore[arg-type]


def test_a_storage_that_checks_no_etag_is_refused() -> None:
    with pytest.raises(ValueError, match="leave out cache="):
        StateScopes(Unconditional(), cache=cache())


def test_what_is_no_cache_is_refused() -> None:
    with pytest.raises(TypeError, match="cache must be a DocumentCache, not dict"):
        StateScopes(MemoryStorage(), cache={})  # type: ignore[arg-type]


async def test_two_scopes_over_one_storage_share_a_cache() -> None:
    memory, shared = MemoryStorage(), cache(sticky="all")
    one, two = (StateScopes(memory, cache=shared) for _ in range(2))
    assert one.storage is two.storage
    bot = Bot(StateMiddleware(one))
    count = one.conversation.create_property("count", int, default=0)
    seen = []

    async def logic(turn: TurnContext) -> None:
        seen.append(await count.get(turn))

    await bot.turn(logic)
    await two.conversation.create_property("count").update(
        context(message()), lambda _: 5, default=0
    )
    await bot.turn(logic)
    assert seen == [0, 5]
