"""A write whose answer was lost is made once, however many write meanwhile; where nothing tells any
more if it was made, the call says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import pytest

from botstate_ext import StateConflictError, StateData, turn_is_replay
from botstate_ext import StateStorageError as StorageError
from botstate_ext.documents.metadata import WRITES_KEPT
from botstate_ext.storage import ANY, ItemWrite, MemoryStorage, StoredItem
from tests.backends import OneByOne
from tests.turns import Bot, StateMiddleware, StateScopes, context, save_all

KEY = "test/users/user"
FEW = [0, 1, WRITES_KEPT - 1]
MANY = [WRITES_KEPT, WRITES_KEPT + 1, 3 * WRITES_KEPT]


class RetryingStorage(MemoryStorage):
    """The answer to a write is lost, others write, and the driver sends it again: a conflict."""

    def __init__(self, *, is_made: bool) -> None:
        super().__init__()
        self._is_made = is_made
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def put_if(self, key: str, data: bytes, **options: Any) -> str:
        if self.meanwhile is None or key != KEY:
            return await super().put_if(key, data, **options)
        meanwhile, self.meanwhile = self.meanwhile, None
        if self._is_made:
            await super().put_if(key, data, **options)
        await meanwhile()
        raise StateConflictError("it was changed", key=key, maybe_written=True)


class World:
    """A bot that appends "mine" to a list that others append to as well."""

    def __init__(self, *, is_made: bool) -> None:
        self.storage = RetryingStorage(is_made=is_made)
        self.states = StateScopes(self.storage)
        self.log = self.states.user.create_property("log", list[str], merge="append")

    async def stored(self) -> list[str]:
        return await self.log.get(context()) or []

    async def theirs(self, others: int = 1) -> None:
        for _ in range(others):
            await self.log.update(context(), lambda items: [*items, "theirs"], default=list)

    def lose_the_next_answer(self, others: int) -> None:
        self.storage.meanwhile = lambda: self.theirs(others)

    async def update(self, others: int) -> None:
        self.lose_the_next_answer(others)
        await self.log.update(context(), lambda items: [*items, "mine"])

    async def save(self, others: int, **mode: Any) -> None:
        async def logic(turn: Any) -> None:
            (await self.log.get(turn, list)).append("mine")
            if not turn_is_replay(turn):
                self.lose_the_next_answer(others)

        await Bot(StateMiddleware(self.states, **mode)).turn(logic)

    async def replay(self, others: int) -> None:
        await self.save(others, on_conflict="replay")

    async def write_data(self, others: int) -> None:
        data = await self.states.user.read_data(turn := context())
        self.lose_the_next_answer(others)
        data.set("log", [*data.get("log", list[str]), "mine"])
        written = await self.states.user.write_data(turn, data)
        assert isinstance(written, StateData)


WAYS = ["update", "save", "replay", "write_data"]


@pytest.mark.parametrize("before", [1, WRITES_KEPT + 1])
@pytest.mark.parametrize("others", FEW + MANY)
@pytest.mark.parametrize("way", WAYS)
async def test_what_was_made_is_never_made_again(way: str, others: int, before: int) -> None:
    world = World(is_made=True)
    await world.theirs(before)
    if others in FEW:
        await getattr(world, way)(others)
    else:
        with pytest.raises(StorageError, match="nothing tells if it was made") as raised:
            await getattr(world, way)(others)
        assert raised.value.maybe_written
    assert (await world.stored()).count("mine") == 1
    assert len(await world.stored()) == before + others + 1


@pytest.mark.parametrize("others", FEW + MANY)
@pytest.mark.parametrize("way", WAYS)
async def test_what_was_not_made_is_made_once_or_said_to_be_unknown(way: str, others: int) -> None:
    world = World(is_made=False)
    await world.theirs()
    expected = 0
    if others == 0 or others in MANY:  # it may arrive yet: nobody changed the ETag; or too many did
        with pytest.raises(StorageError) as raised:
            await getattr(world, way)(others)
        assert raised.value.maybe_written
    elif way == "write_data":  # a whole document is written as it was read, or not at all
        with pytest.raises(StateConflictError):
            await getattr(world, way)(others)
    else:
        await getattr(world, way)(others)
        expected = 1
    assert (await world.stored()).count("mine") == expected


async def test_a_lost_answer_is_looked_for_before_others_write() -> None:
    """At once, and not after the pause before the next attempt: the more others write, the less the
    document tells."""
    world, turn = World(is_made=True), context()
    await world.theirs()

    async def pause(attempt: int) -> None:
        await world.theirs(3 * WRITES_KEPT)

    world.states.user._work_of(turn).pause = pause
    world.lose_the_next_answer(0)
    await world.log.update(turn, lambda items: [*items, "mine"])
    assert await world.stored() == ["theirs", "mine"]


async def test_a_save_that_is_repeated_in_the_same_turn_says_it_again() -> None:
    world = World(is_made=True)
    await world.theirs()
    turn = context()
    (await world.log.get(turn, list)).append("mine")
    world.lose_the_next_answer(others=WRITES_KEPT + 1)
    for _ in range(2):
        with pytest.raises(StorageError) as raised:
            await world.states.user.save_changes(turn)
        assert raised.value.maybe_written
    assert (await world.stored()).count("mine") == 1
    await world.states.user.load(turn, force=True)
    (await world.log.get(turn, list)).append("more")
    await world.states.user.save_changes(turn)
    stored = await world.stored()
    assert (stored.count("mine"), stored.count("more")) == (1, 1)


async def test_a_lost_write_is_not_made_again_after_an_update_read_the_document() -> None:
    """The save fails; an update() renews the document; the turn's end saves once more."""
    world = World(is_made=True)
    other = world.states.user.create_property("other", int)
    await world.theirs()
    turn = context()
    (await world.log.get(turn, list)).append("mine")

    async def unreachable() -> None:
        raise StorageError("put", KEY, "no answer", maybe_written=True)

    async def fails(keys: Any) -> Any:
        raise StorageError("read", KEY, "no answer")

    world.storage.meanwhile = unreachable
    get_many, world.storage.get_many = world.storage.get_many, fails  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        await world.states.user.save_changes(turn)
    world.storage.get_many = get_many  # type: ignore[method-assign]
    await other.update(turn, lambda value: value + 1, default=0)
    await world.states.user.save_changes(turn)
    assert (await world.stored()).count("mine") == 1


async def test_a_replay_that_cannot_be_taken_back_for_sure_says_so() -> None:
    """The first document is written, the second loses its race; so many write to the first before
    it is taken back that nobody can tell if it was."""
    memory = MemoryStorage()
    states = StateScopes(OneByOne(memory))
    a, b = (states.shared.create_property("log", list[str]).at(id_) for id_ in "ab")
    for log in (a, b):
        await log.update(context(), lambda items: ["old"], default=list)
    put_if = memory.put_if
    runs = 0

    async def others(log: Any) -> None:
        memory.put_if = put_if  # type: ignore[method-assign]
        for _ in range(WRITES_KEPT + 1):
            await log.update(context(), lambda items: [*items, "theirs"])

    async def racing(key: str, data: bytes, **options: Any) -> str:
        if key == "shared/a":
            etag = await put_if(key, data, **options)
            await others(a)
            await others(b)
            return etag
        return await put_if(key, data, **options)

    async def logic(turn: Any) -> None:
        nonlocal runs
        runs += 1
        for log in (a, b):
            (await log.get(turn, list)).append("mine")
        memory.put_if = racing  # type: ignore[method-assign]

    with pytest.raises(StorageError) as raised:
        await Bot(StateMiddleware(states, on_conflict="replay")).turn(logic)
    assert raised.value.maybe_written
    assert runs == 1
    assert (await a.get(context()) or []).count("mine") == 1


class LateStep(MemoryStorage):
    """The first step of several writes is late: it is made once its sender has looked for it, and
    somebody has changed, and then removed, the document that it removes."""

    def __init__(self) -> None:
        super().__init__()
        self.is_slow = False
        self._late: Sequence[ItemWrite] = ()

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        if not self.is_slow:
            return await super().write_many(writes)
        self.is_slow, self._late = False, writes
        await super().put_if("shared/1", b"{}", etag=ANY)
        raise StorageError("put", None, "no answer", maybe_written=True)

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        found = await super().get_many(keys)
        late, self._late = self._late, ()
        if late:
            await super().delete_if("shared/1")
            await super().write_many(late)
        return found


async def test_a_step_that_removes_a_document_may_arrive_when_that_is_gone() -> None:
    """An ETag does not come back, but a removal also succeeds where nothing is left to remove."""
    storage = LateStep()
    states = StateScopes(storage)
    log = states.user.create_property("log", list[str])
    await log.set(turn := context(), ["theirs"])
    await states.user.save_changes(turn)
    await states.shared.create_property("a").at("1").set(turn, 1)
    await states.shared.at("1").save_changes(turn)

    async def logic(turn: Any) -> None:
        (await log.get(turn, list)).append("mine")
        await states.shared.at("1").delete(turn)
        storage.is_slow = not turn_is_replay(turn)

    with pytest.raises(StorageError) as raised:
        await Bot(StateMiddleware(states, on_conflict="replay")).turn(logic)
    assert raised.value.maybe_written
    assert await log.get(context()) == ["theirs", "mine"]


class LateCreation(MemoryStorage):
    """The first step is late, and somebody creates the document before it. Just before the second
    step that document is deleted again, and the first one is made."""

    def __init__(self) -> None:
        super().__init__()
        self.is_slow = False
        self._late: Sequence[ItemWrite] = ()

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        await self._late_ones()
        if not self.is_slow:
            return await super().write_many(writes)
        self.is_slow, self._late = False, writes
        created = next(write for write in writes if write.etag is None)
        await super().put_if(created.key, b"{}", etag=None)
        raise StorageError("put", None, "no answer", maybe_written=True)

    async def put_if(self, key: str, data: bytes, **options: Any) -> str:
        await self._late_ones()
        if not self.is_slow:
            return await super().put_if(key, data, **options)
        await self.write_many([ItemWrite(key, data, **options)])
        raise AssertionError

    async def _late_ones(self) -> None:
        late, self._late = self._late, ()
        if late:
            await super().delete_if(next(write.key for write in late if write.etag is None))
            await super().write_many(late)


@pytest.mark.parametrize("documents", [1, 2])
async def test_a_save_after_one_that_may_still_arrive_makes_nothing_twice(
    documents: int,
) -> None:
    storage = LateCreation()
    states = StateScopes(storage)
    scopes = [states.user, states.conversation][:documents]
    logs = [scope.create_property("log", list[str], merge="append") for scope in scopes]
    if documents > 1:
        await logs[1].set(turn := context(), ["theirs"])
        await save_all(states, turn)
    turn = context()
    for log in logs:
        (await log.get(turn, list)).append("mine")
    storage.is_slow = True
    with pytest.raises(StorageError) as raised:
        await save_all(states, turn)
    assert raised.value.maybe_written
    await save_all(states, turn)
    for log in logs:
        assert (await log.get(context()) or []).count("mine") == 1
