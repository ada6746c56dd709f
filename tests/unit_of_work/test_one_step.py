"""On a transactional storage a turn is stored whole: all of its documents or none, in one step."""

from __future__ import annotations

from typing import Any

import pytest

from botstate_ext import SavedState, StateConflictError, StateStorageError
from botstate_ext.documents.metadata import WRITES_KEPT
from botstate_ext.storage import MemoryStorage, RoutedStorage
from botstate_ext.testing import CountingStorage, FaultyStorage
from tests.backends import OneByOne
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context, save_all

IDS = ("1", "2", "3")
KEYS = tuple(f"shared/{id_}" for id_ in IDS)


class World:
    """Three lists in documents of their own, to which a turn and others append."""

    def __init__(self, *, merge: Any = "append", **mode: Any) -> None:
        self.memory = MemoryStorage()
        self.faulty = FaultyStorage(self.memory)
        self.counting = CountingStorage(self.faulty)
        self.states = StateScopes(self.counting)
        self.others = StateScopes(self.memory)
        self.merge, self.mode = merge, mode

    def log(self, states: StateScopes, id_: str) -> Any:
        return states.shared.create_property("log", list[str], merge=self.merge).at(id_)

    async def theirs(self, *ids: str, times: int = 1) -> None:
        for id_ in ids * times:
            log = self.log(self.others, id_)
            await log.update(context(), lambda items: items.append("theirs"), default=list)

    async def turn(self, *overtaken: str, ids: tuple[str, ...] = IDS) -> None:
        async def logic(turn: TurnContext) -> None:
            for id_ in ids:
                (await self.log(self.states, id_).get(turn, list)).append("mine")
            nonlocal overtaken
            await self.theirs(*overtaken)
            overtaken = ()
            self.counting.reset()

        await Bot(StateMiddleware(self.states, **self.mode)).turn(logic)

    async def stored(self) -> list[list[str]]:
        logs = [self.log(self.others, id_) for id_ in IDS]
        return [await log.get(context()) or [] for log in logs]


@pytest.mark.parametrize("mode", [{}, {"on_conflict": "replay"}], ids=str)
@pytest.mark.parametrize("count", [1, 2, 3, 6])
async def test_a_turn_costs_two_round_trips_whatever_it_writes(mode: Any, count: int) -> None:
    counting = CountingStorage(MemoryStorage())
    states = StateScopes(counting)
    scopes = [states.conversation, states.user, states.private, states.bot]
    properties = [scope.create_property("n", int) for scope in scopes][:count]
    bot = Bot(StateMiddleware(states, **mode))

    async def writes(turn: TurnContext) -> None:
        for each in properties:
            await each.set(turn, (await each.get(turn) or 0) + 1)

    async def reads(turn: TurnContext) -> None:
        for each in properties:
            assert await each.get(turn) == 2

    for _ in range(2):
        counting.reset()
        await bot.turn(writes)
        assert (counting.round_trips, counting.operations) == (2, {"get": 1, "put": 1})
    counting.reset()
    await bot.turn(reads)
    assert (counting.round_trips, counting.operations) == (1, {"get": 1})


@pytest.mark.parametrize("overtaken", [("2",), ("1", "3"), IDS], ids=str)
async def test_only_what_lost_is_read_again_and_all_is_tried_again(
    overtaken: tuple[str, ...],
) -> None:
    world = World()
    await world.theirs(*IDS)
    await world.turn(*overtaken)
    assert world.counting.keys_read == dict.fromkeys([f"shared/{id_}" for id_ in overtaken], 1)
    assert world.counting.operations == {"put": 2, "get": 1}
    for id_, items in zip(IDS, await world.stored(), strict=True):
        others = 2 if id_ in overtaken else 1
        assert sorted(items) == ["mine"] + ["theirs"] * others


@pytest.mark.parametrize("options", [{"merge": None}, {"on_conflict": "raise"}], ids=str)
async def test_a_conflict_names_every_document_that_lost_and_nothing_is_stored(
    options: Any,
) -> None:
    world = World(**options)
    await world.theirs(*IDS)
    with pytest.raises(StateConflictError) as raised:
        await world.turn("1", "3")
    assert raised.value.keys == (KEYS[0], KEYS[2])
    assert (raised.value.saved, raised.value.not_saved) == ((), KEYS)
    assert await world.stored() == [["theirs"] * 2, ["theirs"], ["theirs"] * 2]


async def test_last_writer_wins_overwrites_in_one_step() -> None:
    world = World(merge=None, on_conflict="last_writer_wins")
    await world.turn(*IDS)
    assert await world.stored() == [["mine"]] * 3


@pytest.mark.parametrize("mode", [{}, {"on_conflict": "replay"}], ids=str)
async def test_a_step_that_fails_stores_nothing_and_says_so(mode: Any) -> None:
    world = World(**mode)
    await world.theirs(*IDS)
    world.faulty.fail("put")
    with pytest.raises(StateStorageError) as raised:
        await world.turn()
    assert (raised.value.saved, sorted(raised.value.not_saved)) == ((), sorted(KEYS))
    assert await world.stored() == [["theirs"]] * 3


class Answerless(MemoryStorage):
    """The answer of the next step is lost; others write before anyone can look."""

    meanwhile: Any = None
    is_made = True
    error: Exception | None = None

    async def write_many(self, writes: Any) -> dict[str, str]:
        if self.meanwhile is None:
            return await super().write_many(writes)
        meanwhile, self.meanwhile = self.meanwhile, None
        if self.is_made:
            await super().write_many(writes)
        await meanwhile()
        keys = [write.key for write in writes]
        raise self.error or StateConflictError("it was changed", key=keys[0], keys=keys)


@pytest.mark.parametrize("is_made", [True, False])
@pytest.mark.parametrize("mode", [{}, {"on_conflict": "replay"}], ids=str)
@pytest.mark.parametrize("error", ["no answer", "conflict", "conflict, perhaps our own"])
async def test_a_lost_answer_of_a_step_is_told_by_any_of_its_documents(
    mode: Any, is_made: bool, error: str
) -> None:
    """Of one document so many wrote since that it tells nothing; another still tells for all."""
    world = World(**mode)
    world.memory = storage = Answerless()
    world.counting = CountingStorage(storage)
    world.states, world.others = StateScopes(world.counting), StateScopes(storage)
    await world.theirs(*IDS)

    async def meanwhile() -> None:
        await world.theirs("1", times=WRITES_KEPT + 1)
        await world.theirs("2")

    storage.is_made, storage.meanwhile = is_made, meanwhile
    if error == "no answer":
        storage.error = StateStorageError("put", None, "no answer", maybe_written=True)
    elif error != "conflict":
        storage.error = StateConflictError("changed", keys=KEYS, key=KEYS[0], maybe_written=True)
    await world.turn()
    assert [items.count("mine") for items in await world.stored()] == [1, 1, 1]


async def test_where_nothing_tells_the_error_says_so() -> None:
    world = World()
    world.memory = storage = Answerless()
    world.states, world.others = StateScopes(storage), StateScopes(storage)
    await world.theirs(*IDS)

    async def meanwhile() -> None:
        await world.theirs(*IDS, times=WRITES_KEPT + 1)

    storage.meanwhile = meanwhile
    storage.error = StateStorageError("put", None, "no answer", maybe_written=True)
    with pytest.raises(StateStorageError) as raised:
        await world.turn()
    assert raised.value.maybe_written
    assert [items.count("mine") for items in await world.stored()] == [1, 1, 1]


async def test_handlers_are_called_when_all_is_stored_and_may_write_the_same_documents() -> None:
    world = World()
    seen: list[tuple[str, list[list[str]]]] = []

    @world.states.on_saved
    async def handler(saved: SavedState) -> None:
        seen.append((saved.key, await world.stored()))
        other = world.states.shared.create_property("other", int)
        for id_ in IDS:
            await other.at(id_).update(context(), lambda n: n + 1, default=0)

    await world.turn()
    assert [key for key, _ in seen] == list(KEYS)
    assert all(stored == [["mine"]] * 3 for _, stored in seen)


@pytest.mark.parametrize("is_default_whole", [True, False])
async def test_routed_documents_are_one_step_where_they_are_in_one_storage(
    is_default_whole: bool,
) -> None:
    default = CountingStorage(MemoryStorage() if is_default_whole else OneByOne(MemoryStorage()))
    routed = CountingStorage(MemoryStorage())
    states = StateScopes(RoutedStorage({"test": routed}, default=default))
    turn = context()
    for id_ in IDS:
        await states.shared.create_property("n").at(id_).set(turn, 1)
    await save_all(states, turn)
    assert default.operations["put"] == (1 if is_default_whole else 3)
    turn = context()
    for scope in (states.user, states.conversation):
        await scope.create_property("n").set(turn, 1)
    await save_all(states, turn)
    assert routed.operations["put"] == 1
    turn, before = context(), default.operations["put"]
    await states.user.create_property("n").set(turn, 2)
    await states.shared.create_property("n").at("1").set(turn, 2)
    await save_all(states, turn)
    assert (routed.operations["put"], default.operations["put"]) == (2, before + 1)
