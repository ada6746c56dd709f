"""Replay: the turn that lost a race runs again, and nobody can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from botstate_ext import StateConflictError, StateStorageError, turn_is_replay
from botstate_ext.storage import MemoryStorage, StateStorage
from botstate_ext.storage.waiting import BackOff
from botstate_ext.testing import CountingStorage, FaultyStorage
from botstate_ext.turn.replay import MAX_ATTEMPTS
from tests.backends import OneByOne
from tests.turns import (
    ON_AGENTS,
    Activity,
    Bot,
    MessageFactory,
    StateMiddleware,
    StateScopes,
    TurnContext,
    context,
    message,
    next_step,
    reference_to,
)

if TYPE_CHECKING or not ON_AGENTS:
    from botbuilder.dialogs import (
        DialogSet,
        DialogTurnStatus,
        WaterfallDialog,
        WaterfallStepContext,
    )
    from botbuilder.dialogs.prompts import PromptOptions, TextPrompt
else:
    from microsoft_agents.hosting.dialogs import (
        DialogSet,
        DialogTurnStatus,
        WaterfallDialog,
        WaterfallStepContext,
    )
    from microsoft_agents.hosting.dialogs.prompts import PromptOptions, TextPrompt

KEY = "test/conversations/conv"


@pytest.fixture
def memory() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def counting(memory: MemoryStorage) -> CountingStorage:
    return CountingStorage(OneByOne(memory))


@pytest.fixture
def storage(counting: CountingStorage) -> FaultyStorage:
    return FaultyStorage(counting)


@pytest.fixture
def states(storage: FaultyStorage) -> StateScopes:
    return StateScopes(storage)


@pytest.fixture
def bot(states: StateScopes) -> Bot:
    return Bot(StateMiddleware(states, on_conflict="replay"))


def said(bot: Bot) -> list[str]:
    return [activity.text for activity in bot.adapter.activity_buffer]


class Others:
    """Other instances of the bot, which write between this turn's load and its save."""

    def __init__(self, storage: StateStorage) -> None:
        self.states = StateScopes(storage)

    async def append(self, item: str, *, scope: str = "conversation") -> None:
        chosen = getattr(self.states, scope)

        def add(items: list[str]) -> None:
            items.append(item)

        await chosen.create_property("items").update(context(), add, default=list)

    async def items(self, scope: str = "conversation") -> Any:
        return await getattr(self.states, scope).create_property("items").get(context())


@pytest.fixture
def others(memory: MemoryStorage) -> Others:
    return Others(memory)


Interference = Callable[[int], Awaitable[Any]]


def appending(
    states: StateScopes, item: str, interfere: Interference, *, scope: str = "conversation"
) -> Callable[[TurnContext], Awaitable[None]]:
    """A turn that appends and says what it sees, while others do ``interfere(attempt)``."""
    items = getattr(states, scope).create_property("items")
    attempts = iter(range(1, 1000))

    async def logic(turn: TurnContext) -> None:
        attempt = next(attempts)
        assert turn_is_replay(turn) == (attempt > 1)
        value = await items.get(turn, list)
        await interfere(attempt)
        value.append(item)
        await turn.send_activity(",".join(value))

    return logic


async def test_the_user_sees_one_turn(states: StateScopes, bot: Bot, others: Others) -> None:
    async def interfere(attempt: int) -> None:
        if attempt <= 2:
            await others.append(f"theirs {attempt}")

    turn = await bot.turn(appending(states, "mine", interfere))
    assert said(bot) == ["theirs 1,theirs 2,mine"]
    assert await others.items() == ["theirs 1", "theirs 2", "mine"]
    assert turn_is_replay(turn)


async def test_a_turn_that_is_not_disturbed_costs_two_round_trips(
    states: StateScopes, bot: Bot, counting: CountingStorage
) -> None:
    async def nothing(attempt: int) -> None: ...

    turn = await bot.turn(appending(states, "a", nothing))
    assert not turn_is_replay(turn)
    assert counting.round_trips == 2
    counting.reset()

    async def reads(turn: TurnContext) -> None:
        await states.user.create_property("name").get(turn)

    await bot.turn(reads)
    assert (counting.round_trips, counting.operations["put"]) == (1, 0)


async def test_others_are_always_faster(
    states: StateScopes, bot: Bot, others: Others, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "botstate_ext.unit_of_work.write_loop._BACK_OFF", BackOff(first=0, longest=0)
    )
    errors: list[Any] = []

    async def interfere(attempt: int) -> None:
        await others.append(str(attempt))

    async def on_error(turn: TurnContext, error: Exception) -> None:
        errors.append(error)
        await turn.send_activity("sorry")

    bot.adapter.on_turn_error = on_error
    await bot.turn(appending(states, "mine", interfere))
    assert type(errors[0]) is StateConflictError
    assert (errors[0].attempts, errors[0].key) == (MAX_ATTEMPTS, KEY)
    assert said(bot) == ["sorry"]
    assert await others.items() == [str(n) for n in range(1, MAX_ATTEMPTS + 1)]


async def test_a_document_that_was_deleted_meanwhile(
    states: StateScopes, bot: Bot, others: Others
) -> None:
    async def interfere(attempt: int) -> None:
        if attempt == 1:
            await others.states.conversation.delete(context())

    await others.append("old")
    await bot.turn(appending(states, "mine", interfere))
    assert said(bot) == ["mine"]
    assert await others.items() == ["mine"]


class Service:
    """Something that a turn keeps on its context."""


async def test_the_context_is_put_back(states: StateScopes, bot: Bot, others: Others) -> None:
    shared: dict[str, int] = {}
    seen: list[Any] = []

    async def handler(turn: TurnContext, activities: list[Activity], send: Any) -> None:
        await send()

    async def logic(turn: TurnContext) -> None:
        activity = turn.activity
        services, key = (turn.services, Service) if ON_AGENTS else (turn, "service")
        seen.append(
            (
                activity.text,
                activity.channel_data,
                turn.responded,
                services.has(key),
                "mine" in turn.turn_state,
                turn.turn_state["theirs"],
                len(turn._on_send_activities),
                len(turn._on_update_activity),
                hasattr(turn, "extra"),
                turn.buffered_reply_activities,
            )
        )
        activity.text = "changed"
        activity.channel_data["list"].append(1)
        turn.activity = message("replaced")
        services.set(key, Service())
        turn.turn_state["mine"] = 1
        turn.turn_state["theirs"] = "overwritten"
        turn.on_send_activities(handler)
        turn.on_update_activity(handler)
        turn.extra = 1
        await turn.send_activity("answer")
        items = await states.conversation.create_property("items").get(turn, list)
        if len(seen) < 3:
            await others.append("theirs")
        items.append("mine")

    class Outside:
        async def on_turn(self, turn: TurnContext, logic: Any) -> None:
            turn.turn_state["theirs"] = shared
            activity = turn.activity
            await next_step(turn, logic)
            assert turn.activity.text == "replaced"
            assert activity.text == "changed"  # the same object as ever

    activity = message("original")
    activity.channel_data = {"list": []}
    adapter = bot.adapter
    bot = Bot(Outside(), StateMiddleware(states, on_conflict="replay"))
    adapter.on_turn_error = None
    turn = await bot.turn(logic, activity)
    assert seen == [("original", {"list": [1]}, False, False, False, shared, 0, 0, False, [])] * 3
    assert said(bot) == ["answer"]
    assert turn.turn_state["mine"] == 1
    assert len(turn._on_send_activities) == 1


async def test_update_and_saves_by_hand_are_committed_with_the_turn(
    states: StateScopes, bot: Bot, others: Others, memory: MemoryStorage
) -> None:
    items = states.conversation.create_property("items")
    order = states.shared.create_property("order", list)
    attempts: list[int] = []

    async def logic(turn: TurnContext) -> None:
        attempts.append(1)
        await order.at("1").update(turn, lambda value: [*value, "mine"], default=list)
        await order.at("1").update(turn, lambda value: [*value, "mine too"])
        value = await items.get(turn, list)
        value.append("mine")
        await states.conversation.save_changes(turn)
        value.append("mine too")
        await states.conversation.save_changes(turn)
        assert await order.at("1").get(turn) == ["mine", "mine too"]
        assert await memory.get_many(["shared/1"]) == {}
        if len(attempts) == 1:
            await others.append("theirs")

    await bot.turn(logic)
    assert len(attempts) == 2
    assert await others.items() == ["theirs", "mine", "mine too"]
    assert await others.states.shared.create_property("order").at("1").get(context()) == [
        "mine",
        "mine too",
    ]


@pytest.mark.parametrize("is_nested", [False, True])
async def test_a_turn_that_saved_by_force_is_not_run_again(
    states: StateScopes, bot: Bot, others: Others, is_nested: bool
) -> None:
    """A bot saves so before it calls a skill. The skill's own turns would make each attempt fail,
    and each would call it again."""
    items, calls = states.conversation.create_property("items"), []

    async def calls_a_skill(turn: TurnContext) -> None:
        (await items.get(turn, list)).append("mine")
        await states.conversation.save_changes(turn, force=True)
        calls.append("the skill")
        await others.append("the skill's")

    async def logic(turn: TurnContext) -> None:
        if is_nested:
            await bot.turn(calls_a_skill)
        else:
            await calls_a_skill(turn)

    with pytest.raises(StateConflictError, match="force=True") as caught:
        await bot.turn(logic)
    assert caught.value.key == "test/conversations/conv"
    assert calls == ["the skill"]
    assert await others.items() == ["the skill's"]


async def test_a_turn_that_saved_by_force_and_met_nobody_is_stored(
    states: StateScopes, bot: Bot, others: Others
) -> None:
    items = states.conversation.create_property("items")

    async def logic(turn: TurnContext) -> None:
        (await items.get(turn, list)).append("mine")
        await states.conversation.save_changes(turn, force=True)

    await bot.turn(logic)
    assert await others.items() == ["mine"]


async def test_a_failed_turn_stores_nothing_not_even_what_update_did(
    states: StateScopes, bot: Bot, memory: MemoryStorage
) -> None:
    async def logic(turn: TurnContext) -> None:
        await states.user.create_property("n").update(turn, lambda n: n + 1, default=0)
        await states.conversation.create_property("x").set(turn, 1)
        await states.conversation.save_changes(turn)
        raise RuntimeError("the bot")

    with pytest.raises(RuntimeError, match="the bot"):
        await bot.turn(logic)
    assert [item.key async for item in memory.list_items()] == []


async def test_deletions_are_committed_with_the_turn(
    states: StateScopes, bot: Bot, others: Others, memory: MemoryStorage
) -> None:
    attempts: list[int] = []

    async def logic(turn: TurnContext) -> None:
        attempts.append(1)
        value = await states.conversation.create_property("items").get(turn)
        await states.conversation.delete(turn)
        assert await states.conversation.create_property("items").get(turn) is None
        if len(attempts) == 1:
            await others.append("theirs")
        await turn.send_activity(f"deleted {value}")

    await others.append("old")
    await bot.turn(logic)
    assert said(bot) == ["deleted ['old', 'theirs']"]
    assert await memory.get(KEY) is None


async def test_what_the_turn_only_read_counts_too(
    states: StateScopes, bot: Bot, others: Others
) -> None:
    """Two who each read what the other writes: as if one had come after the other."""
    limit = states.user.create_property("items")
    attempts: list[Any] = []

    async def logic(turn: TurnContext) -> None:
        seen = await limit.get(turn)
        if not attempts:
            await others.append("limit", scope="user")
        attempts.append(seen)
        await states.conversation.create_property("items").set(turn, seen)

    await bot.turn(logic)
    assert attempts == [None, ["limit"]]
    assert await others.items() == ["limit"]


async def test_a_whole_document_counts_and_is_committed_with_the_turn(
    states: StateScopes, bot: Bot, others: Others, memory: MemoryStorage
) -> None:
    attempts: list[Any] = []

    async def logic(turn: TurnContext) -> None:
        limit = (await states.user.read_data(turn)).get("items")
        order = states.shared.at("1")
        data = await order.read_data(turn)
        data.set("limit", [limit])
        await order.write_data(turn, data)
        assert await memory.get("shared/1") is None
        if not attempts:
            await others.append("limit", scope="user")
        attempts.append(limit)

    await bot.turn(logic)
    assert attempts == [None, ["limit"]]
    order = states.shared.create_property("limit").at("1")
    assert await order.get(context()) == [["limit"]]


async def test_what_the_turn_loaded_and_never_looked_at_does_not(
    states: StateScopes, bot: Bot, others: Others
) -> None:
    async def interfere(attempt: int) -> None:
        await others.append("busy", scope="bot")

    turn = await bot.turn(appending(states, "mine", interfere))
    assert not turn_is_replay(turn)
    assert await others.items("bot") == ["busy"]


async def two_documents(states: StateScopes, turn: TurnContext) -> None:
    for scope in (states.conversation, states.user):
        value = await scope.create_property("items").get(turn, list)
        value.append("mine")


async def test_of_several_documents_none_is_applied_twice(
    states: StateScopes, bot: Bot, others: Others, storage: FaultyStorage, counting: CountingStorage
) -> None:
    """The other one comes when the first document is written, and the second is not yet."""
    await others.append("old")
    turn = asyncio.ensure_future(bot.turn(lambda turn: two_documents(states, turn)))
    held = storage.hold("put", at=2)
    await held.reached()
    assert await others.items() == ["old", "mine"]
    await others.append("theirs", scope="user")
    held.release()
    assert turn_is_replay(await turn)
    assert await others.items() == ["old", "mine"]
    assert await others.items("user") == ["theirs", "mine"]


async def test_what_was_created_is_taken_back_too(
    states: StateScopes, bot: Bot, others: Others, storage: FaultyStorage, memory: MemoryStorage
) -> None:
    gone: list[Any] = []

    async def logic(turn: TurnContext) -> None:
        gone.append(await memory.get(KEY))
        await two_documents(states, turn)

    turn = asyncio.ensure_future(bot.turn(logic))
    held = storage.hold("put", at=2)
    await held.reached()
    await others.append("theirs", scope="user")
    held.release()
    await turn
    assert gone == [None, None]
    assert await others.items() == ["mine"]


async def test_a_deletion_comes_last_and_stays(
    states: StateScopes, bot: Bot, others: Others, storage: FaultyStorage, memory: MemoryStorage
) -> None:
    """To take it back might bring back what someone else deleted meanwhile, too."""

    async def logic(turn: TurnContext) -> None:
        await states.conversation.delete(turn)
        (await states.user.create_property("items").get(turn, list)).append("mine")

    await others.append("old")
    turn = asyncio.ensure_future(bot.turn(logic))
    held = storage.hold("delete")
    await held.reached()
    assert await others.items("user") == ["mine"]
    await others.append("theirs")
    held.release()
    assert turn_is_replay(await turn)
    assert await others.items("user") == ["mine"]
    assert await memory.get(KEY) is None


async def test_what_cannot_be_taken_back_is_told_and_not_applied_twice(
    states: StateScopes, bot: Bot, others: Others, storage: FaultyStorage
) -> None:
    turn = asyncio.ensure_future(bot.turn(lambda turn: two_documents(states, turn)))
    held = storage.hold("put", at=2)
    await held.reached()
    await others.append("theirs", scope="user")
    await others.append("on top of it")
    held.release()
    with pytest.raises(StateConflictError, match="Saved: 'test/conversations/conv'") as caught:
        await turn
    assert caught.value.saved == (KEY,)
    assert caught.value.not_saved == ("test/users/user",)
    assert await others.items() == ["mine", "on top of it"]
    assert await others.items("user") == ["theirs"]
    assert said(bot) == []


async def test_a_storage_that_fails_in_the_middle_of_a_commit(
    states: StateScopes, bot: Bot, others: Others, storage: FaultyStorage
) -> None:
    storage.fail("put", at=2)
    with pytest.raises(StateStorageError) as caught:
        await bot.turn(lambda turn: two_documents(states, turn))
    assert caught.value.saved == ()
    assert (await others.items(), await others.items("user")) == (None, None)


@pytest.mark.parametrize("someone_comes_after", [False, True])
async def test_a_lost_answer_is_recognised_and_not_applied_twice(
    states: StateScopes,
    bot: Bot,
    others: Others,
    storage: FaultyStorage,
    someone_comes_after: bool,
) -> None:
    async def nothing(attempt: int) -> None: ...

    storage.lose_answer("put")
    held = storage.hold("get", at=2)  # 1 loads; 2 looks what became of the write
    turn = asyncio.ensure_future(bot.turn(appending(states, "mine", nothing)))
    await held.reached()
    if someone_comes_after:
        await others.append("theirs")
    held.release()
    assert not turn_is_replay(await turn)
    assert said(bot) == ["mine"]
    assert await others.items() == (["mine", "theirs"] if someone_comes_after else ["mine"])


async def test_a_lost_answer_of_a_write_that_never_arrived(
    states: StateScopes, bot: Bot, others: Others, storage: FaultyStorage
) -> None:
    async def nothing(attempt: int) -> None: ...

    storage.fail("put", error=StateStorageError("put", KEY, "no answer", maybe_written=True))
    with pytest.raises(StateStorageError, match="no answer"):
        await bot.turn(appending(states, "mine", nothing))
    assert (said(bot), await others.items()) == ([], None)


@pytest.mark.parametrize("exists", [False, True])
async def test_a_write_that_may_still_arrive_is_not_made_again(
    states: StateScopes, bot: Bot, others: Others, storage: FaultyStorage, exists: bool
) -> None:
    """No answer, and someone else has written since. An ETag does not come back, so a write under
    one is lost for certain; one that creates may arrive as soon as the document is deleted."""

    async def nothing(attempt: int) -> None: ...

    if exists:
        await others.append("old")
    storage.fail("put", error=StateStorageError("put", KEY, "no answer", maybe_written=True))
    held = storage.hold("get", at=2)
    turn = asyncio.ensure_future(bot.turn(appending(states, "mine", nothing)))
    await held.reached()
    await others.append("theirs")
    held.release()
    if exists:
        assert turn_is_replay(await turn)
        assert await others.items() == ["old", "theirs", "mine"]
    else:
        with pytest.raises(StateStorageError, match="no answer"):
            await turn
        assert await others.items() == ["theirs"]


async def test_a_turn_inside_the_turn_is_a_part_of_it(
    states: StateScopes, bot: Bot, others: Others
) -> None:
    items = states.conversation.create_property("items")
    limit = states.user.create_property("items")
    attempts: list[int] = []

    async def inner(turn: TurnContext) -> None:
        await limit.get(turn)
        value = await items.get(turn, list)
        value.append(f"inner {len(attempts)}")
        await turn.send_activity(f"inner {len(attempts)}")

    async def outer(turn: TurnContext) -> None:
        attempts.append(1)
        await turn.send_activity(f"outer {len(attempts)}")
        reference = reference_to(turn.activity)
        await turn.adapter.continue_conversation(reference, inner)
        if len(attempts) == 1:
            await others.append("theirs", scope="user")  # which only the inner one reads
        await states.conversation.load(turn, force=True)
        assert await items.get(turn) == [f"inner {len(attempts)}"]

    await bot.turn(outer)
    assert said(bot) == ["outer 2", "inner 2"]
    assert await others.items() == ["inner 2"]


async def test_a_task_of_an_attempt_that_was_given_up_stores_nothing(
    states: StateScopes, bot: Bot, others: Others, memory: MemoryStorage
) -> None:
    order = states.shared.create_property("order", list).at("1")
    go_on = asyncio.Event()
    tasks: list[asyncio.Task[Any]] = []

    async def add(items: list[str], item: str) -> None:
        await go_on.wait()
        items.append(item)

    async def interfere(attempt: int) -> None:
        task = order.update(turns[0], lambda items: add(items, f"late {attempt}"), default=list)
        tasks.append(asyncio.create_task(task))
        await asyncio.sleep(0)
        if attempt == 1:
            await others.append("theirs")

    turns: list[TurnContext] = []
    append = appending(states, "mine", interfere)

    async def logic(turn: TurnContext) -> None:
        turns.append(turn)
        await append(turn)

    await bot.turn(logic)
    go_on.set()
    first, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, StateConflictError)
    assert "given up" in str(first)
    # One that began in the attempt that was committed goes on as a task of any turn.
    assert second == ["late 2"]
    assert await order.get(context()) == ["late 2"]


async def test_a_unit_of_work_outside_any_turn(states: StateScopes, others: Others) -> None:
    items = states.conversation.create_property("items")
    limit = states.user.create_property("items")
    ids = {"channel_id": "test", "user_id": "user", "conversation_id": "conv"}

    async def append(item: str, *, is_overtaken: bool) -> None:
        async with states.unit_of_work(**ids, on_conflict="replay") as work:
            await limit.get(work)
            (await items.get(work, list)).append(item)
            await states.conversation.save_changes(work)
            if is_overtaken:
                await others.append("theirs", scope="user")

    with pytest.raises(StateConflictError, match="someone else"):
        await append("first", is_overtaken=True)
    assert await others.items() is None
    await append("second", is_overtaken=False)
    assert await others.items() == ["second"]


async def test_a_unit_of_work_in_a_turn_takes_part_in_it(
    states: StateScopes, bot: Bot, others: Others
) -> None:
    order = states.shared.create_property("items").at("1")

    async def logic(turn: TurnContext) -> None:
        async with states.unit_of_work(on_conflict="replay") as work:
            await order.set(work, ["inside"])
        raise RuntimeError("the bot")

    with pytest.raises(RuntimeError, match="the bot"):
        await bot.turn(logic)
    assert await order.get(context()) is None


@pytest.mark.bot_framework
async def test_an_apps_own_states_are_saved_once(
    states: StateScopes, bot: Bot, others: Others
) -> None:
    from botbuilder.core import ConversationState
    from botbuilder.core import MemoryStorage as UpstreamStorage

    upstream = UpstreamStorage()
    own = ConversationState(upstream)
    states.add(own)
    numbers = own.create_property("numbers")

    async def interfere(attempt: int) -> None:
        if attempt == 1:
            await others.append("theirs")

    append = appending(states, "mine", interfere)

    async def logic(turn: TurnContext) -> None:
        await numbers.set(turn, (await numbers.get(turn) or 0) + 1)
        await append(turn)

    await bot.turn(logic)
    assert upstream.memory[KEY]["numbers"] == 1


async def test_on_error_save_runs_again_too(states: StateScopes, others: Others) -> None:
    bot = Bot(StateMiddleware(states, on_conflict="replay", on_error="save"))

    async def interfere(attempt: int) -> None:
        if attempt == 1:
            await others.append("theirs")

    append = appending(states, "mine", interfere)

    async def logic(turn: TurnContext) -> None:
        await append(turn)
        raise RuntimeError("the bot")

    with pytest.raises(RuntimeError, match="the bot"):
        await bot.turn(logic)
    assert said(bot) == ["theirs,mine"]
    assert await others.items() == ["theirs", "mine"]


class Instance:
    """One instance of a bot with a dialog that asks for two things."""

    def __init__(self, storage: StateStorage) -> None:
        self.states = StateScopes(storage)
        self.bot = Bot(StateMiddleware(self.states, on_conflict="replay"))
        self._orders = self.states.conversation.create_property("orders")
        self._state = self.states.conversation.create_property("DialogState")

    async def _ask_what(self, step: WaterfallStepContext) -> Any:
        return await step.prompt("text", PromptOptions(prompt=MessageFactory.text("What?")))

    async def _ask_size(self, step: WaterfallStepContext) -> Any:
        step.values["what"] = step.result
        return await step.prompt("text", PromptOptions(prompt=MessageFactory.text("Size?")))

    async def _order(self, step: WaterfallStepContext) -> Any:
        orders = await self._orders.get(step.context, list)
        orders.append(f"{step.result} {step.values['what']}")
        await step.context.send_activity(f"{len(orders)} ordered")
        return await step.end_dialog()

    async def logic(self, turn: TurnContext) -> None:
        dialogs = DialogSet(self._state)
        steps = [self._ask_what, self._ask_size, self._order]
        dialogs.add(WaterfallDialog("order", steps)).add(TextPrompt("text"))
        dialog = await dialogs.create_context(turn)
        if (await dialog.continue_dialog()).status == DialogTurnStatus.Empty:
            await dialog.begin_dialog("order")

    async def says(self, text: str) -> list[str]:
        self.bot.adapter.activity_buffer.clear()
        await self.bot.turn(self.logic, message(text))
        return said(self.bot)


async def test_dialogs_on_two_instances(
    storage: FaultyStorage, memory: MemoryStorage, states: StateScopes
) -> None:
    """Two quick messages reach two instances: each is the answer to its own question."""
    one, two = Instance(storage), Instance(memory)
    assert await one.says("hi") == ["What?"]
    held = storage.hold("put")
    first = asyncio.create_task(one.says("large"))
    await held.reached()
    assert await two.says("pizza") == ["Size?"]
    held.release()
    assert await first == ["1 ordered"]
    orders = states.conversation.create_property("orders")
    assert await orders.get(context()) == ["large pizza"]


async def test_forty_turns_at_once_on_one_shared_order(memory: MemoryStorage) -> None:
    states = StateScopes(memory)
    order = states.shared.create_property("order").at("1")

    async def turn(number: int) -> None:
        async def logic(turn: TurnContext) -> None:
            items = await order.get(turn, list)
            await asyncio.sleep(0)
            items.append(number)
            await turn.send_activity(str(number))

        bot = Bot(StateMiddleware(states, on_conflict="replay"))
        await bot.turn(logic, message(conversation=f"c{number}", user=f"u{number}"))
        assert said(bot) == [str(number)]

    await asyncio.gather(*(turn(number) for number in range(40)))
    assert sorted(await order.get(context()) or ()) == list(range(40))


async def test_a_unit_of_work_may_be_left_by_another_task(
    states: StateScopes, others: Others
) -> None:
    items = states.shared.create_property("items").at("1")
    work = states.unit_of_work(on_conflict="replay")
    await asyncio.ensure_future(work.__aenter__())
    await items.set(work, ["across"])
    await asyncio.ensure_future(work.__aexit__(None, None, None))
    assert await items.get(context()) == ["across"]
    # It is over for everyone: what begins now takes part in nothing.
    async with states.unit_of_work(on_conflict="replay") as later:
        await items.set(later, ["later"])
    assert await items.get(context()) == ["later"]
