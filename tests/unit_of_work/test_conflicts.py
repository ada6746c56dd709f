"""Lost races in each mode, lost answers, and loads that failed: what is stored is never guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from botstate_ext import StateConflictError, StateStorageError
from botstate_ext.storage import MemoryStorage, StateStorage
from botstate_ext.testing import FaultyStorage
from botstate_ext.unit_of_work.write_changes import MAX_ATTEMPTS
from tests.backends import OneByOne, body, read_all
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context, save_all

KEY = "test/users/user"


@pytest.mark.parametrize("mode", ["merge", "raise", "last_writer_wins"])
@pytest.mark.parametrize("same_property", [True, False])
async def test_a_lost_race_in_each_mode(mode: Any, same_property: bool) -> None:
    states = StateScopes(MemoryStorage())
    bot = Bot(StateMiddleware(states, on_conflict=mode))
    a, b = states.user.create_property("a"), states.user.create_property("b")

    async def races(turn: TurnContext) -> None:
        await a.set(turn, "mine")
        other = context()
        await (a if same_property else b).set(other, "theirs")
        await states.user.save_changes(other)

    if mode == "raise" or (mode == "merge" and same_property):
        with pytest.raises(StateConflictError, match="Etag conflict") as raised:
            await bot.turn(races)
        assert raised.value.properties == ("a",)
        expected = {("a" if same_property else "b"): "theirs"}
    elif same_property:
        await bot.turn(races)
        expected = {"a": "mine"}
    else:
        await bot.turn(races)
        expected = {"a": "mine", "b": "theirs"}
    assert await read_all(states.user) == expected


@pytest.mark.parametrize("mode", ["merge", "raise", "last_writer_wins"])
async def test_deleted_meanwhile_raises_in_every_mode_if_it_was_changed(mode: Any) -> None:
    memory = MemoryStorage()
    states = StateScopes(memory)
    bot = Bot(StateMiddleware(states, on_conflict=mode))
    a = states.user.create_property("a", list[int], merge="append")
    await a.update(context(), lambda v: [1], default=list)

    async def changes_what_is_deleted(turn: TurnContext) -> None:
        (await a.get(turn, list)).append(2)
        await states.user.delete(context())

    async def reads_what_is_deleted(turn: TurnContext) -> None:
        await a.get(turn)
        await states.user.delete(context())

    with pytest.raises(StateConflictError):
        await bot.turn(changes_what_is_deleted)
    assert await body(memory, KEY) is None
    await a.update(context(), lambda v: [1], default=list)
    await bot.turn(reads_what_is_deleted)
    assert await body(memory, KEY) is None


async def test_the_error_of_several_documents_says_which_were_saved() -> None:
    faulty = FaultyStorage(OneByOne(MemoryStorage()))
    states = StateScopes(faulty)
    order, turn = states.shared.create_property("order"), context()
    for id_ in ("1", "2", "3"):
        await order.at(id_).set(turn, id_)
    faulty.fail("put", at=2)
    with pytest.raises(StateStorageError) as raised:
        await save_all(states, turn)
    assert raised.value.saved == ("shared/1", "shared/3")
    assert raised.value.not_saved == ("shared/2",)
    assert "Saved: 'shared/1', 'shared/3'. Not saved: 'shared/2'." in str(raised.value)
    await save_all(states, turn)
    assert await order.at("2").get(context()) == "2"


# Answers that are lost


class Busy(MemoryStorage):
    """Another writer comes right after the write whose answer is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.then: Callable[[StateStorage], Any] | None = None
        self.reported: Exception = StateStorageError("put", KEY, "no answer", maybe_written=True)

    async def put_if(self, key: str, data: bytes, **options: Any) -> str:
        etag = await super().put_if(key, data, **options)
        if self.then is None:
            return etag
        then, self.then = self.then, None
        await then(self)
        raise self.reported


@pytest.mark.parametrize("conflicting", [False, True], ids=["no answer", "conflict"])
@pytest.mark.parametrize("followed", ["nobody", "same property", "other property", "twelve"])
@pytest.mark.parametrize("how", ["save", "update"])
async def test_a_write_whose_answer_was_lost_is_ones_own_and_counts_once(
    how: str, followed: str, conflicting: bool
) -> None:
    storage = Busy()
    if conflicting:  # as a driver's own second attempt is answered
        storage.reported = StateConflictError("it exists already", key=KEY)
    states, turn = StateScopes(storage), context()
    log = states.user.create_property("log", list[str], merge="append")
    expected = {"nobody": 0, "same property": 1, "other property": 0, "twelve": 12}[followed]

    async def others(storage: StateStorage) -> None:
        for _ in range(expected):
            await log.update(context(), lambda items: [*items, "theirs"], default=list)
        if followed == "other property":
            await states.user.create_property("other").update(context(), lambda v: 1, default=0)

    await log.get(turn, list)
    await states.user.save_changes(turn)
    storage.then = others
    if how == "update":
        assert "mine" in await log.update(turn, lambda items: [*items, "mine"])
    else:
        (await log.get(turn, list)).append("mine")
        await states.user.save_changes(turn)
    assert await log.get(context()) == ["mine"] + ["theirs"] * expected
    (await log.get(turn, list)).append("more")
    await states.user.save_changes(turn)
    assert await log.get(context()) == ["mine"] + ["theirs"] * expected + ["more"]


async def test_a_write_that_never_arrived_is_an_error_and_may_be_tried_again() -> None:
    faulty = FaultyStorage(MemoryStorage())
    states, turn = StateScopes(faulty), context()
    value = states.user.create_property("value")
    await value.set(turn, 1)
    faulty.fail("put", error=StateStorageError("put", KEY, "timed out", maybe_written=True))
    with pytest.raises(StateStorageError, match="timed out"):
        await states.user.save_changes(turn)
    assert await faulty.get(KEY) is None
    await states.user.save_changes(turn)
    assert await value.get(context()) == 1


@pytest.mark.parametrize("operation", ["load", "get", "set", "save"])
async def test_a_scope_that_did_not_load_is_never_written(operation: str) -> None:
    faulty = FaultyStorage(MemoryStorage())
    states = StateScopes(faulty)
    value = states.user.create_property("value")
    await value.update(context(), lambda v: "kept", default="")
    stored = await body(faulty, KEY)
    turn = context()
    faulty.fail("get")
    calls: dict[str, Callable[[], Any]] = {
        "load": lambda: states.user.load(turn),
        "get": lambda: value.get(turn, "default"),
        "set": lambda: value.set(turn, "new"),
        "save": lambda: states.user.save_changes(turn, force=True),
    }
    with pytest.raises(StateStorageError):
        await calls[operation]()
    await states.user.save_changes(turn)
    await save_all(states, turn)
    assert await body(faulty, KEY) == stored
    assert states.user.get(turn) is None


async def test_a_turn_whose_load_failed_does_not_run_and_writes_nothing() -> None:
    faulty = FaultyStorage(MemoryStorage())
    states = StateScopes(faulty)
    ran: list[int] = []

    async def logic(turn: TurnContext) -> None:
        ran.append(1)

    faulty.fail("get")
    with pytest.raises(StateStorageError):
        await Bot(StateMiddleware(states, on_error="save")).turn(logic)
    assert ran == []


async def test_a_save_that_can_merge_goes_on_for_long_and_then_says_how_often_it_tried() -> None:
    class Overtaking(MemoryStorage):
        races = 0

        async def put_if(self, key: str, data: bytes, **options: Any) -> str:
            if b"mine" in data and self.races > 0:
                self.races -= 1
                raise StateConflictError("it was changed", key=key)
            return await super().put_if(key, data, **options)

    async def no_pause(attempt: int) -> None: ...

    storage = Overtaking()
    states, turn = StateScopes(storage), context()
    states.user._work_of(turn).pause = no_pause
    log = states.user.create_property("log", list[str], merge="append")
    (await log.get(turn, list)).append("mine")
    storage.races = 1_000_000
    with pytest.raises(StateConflictError, match="others were faster") as raised:
        await states.user.save_changes(turn)
    assert raised.value.attempts == MAX_ATTEMPTS
    storage.races = MAX_ATTEMPTS - 1
    await states.user.save_changes(turn)
    assert await log.get(context()) == ["mine"]
