"""How a unit of work tries again when others were faster."""

from __future__ import annotations

from typing import Any

import pytest

from botstate_ext import StateConflictError
from botstate_ext import storage as storages
from botstate_ext.testing import CountingStorage
from botstate_ext.unit_of_work.write_changes import MAX_ATTEMPTS
from tests.turns import StateScopes, context

KEY = "shared/1"


@pytest.fixture
def storage() -> CountingStorage:
    return CountingStorage(storages.MemoryStorage())


class Race:
    """A turn's change of a list that others change too, and each time it waits, once more."""

    def __init__(self, storage: CountingStorage, others: int) -> None:
        self.states = StateScopes(storage)
        self.items = self.states.shared.create_property("items", list, merge="append").at("1")
        self.turn = context()
        self.states.shared._work_of(self.turn).pause = self.pause
        self.pauses: list[int] = []
        self._others = others

    async def pause(self, attempt: int) -> None:
        self.pauses.append(attempt)
        if self._others:
            await self.someone_else()

    async def someone_else(self) -> None:
        self._others -= 1
        await self.items.update(context(), lambda items: [*items, "theirs"], default=list)

    async def append(self) -> None:
        value: Any = await self.items.get(self.turn, list)
        value.append("mine")
        await self.someone_else()
        await self.states.shared.save_changes(self.turn)


async def test_what_is_written_after_a_pause_was_read_after_it(storage: CountingStorage) -> None:
    race = Race(storage, others=2)
    await race.append()
    assert race.pauses == [1], "the write of another during the pause cost no further attempt"
    assert await race.items.get(context()) == ["theirs", "theirs", "mine"]


async def test_it_gives_up_and_says_how_often_it_tried() -> None:
    class AlwaysLate(storages.MemoryStorage):
        async def put_if(self, key: str, data: bytes, **options: Any) -> str:
            raise StateConflictError("someone was faster", key=key)

    race = Race(CountingStorage(AlwaysLate()), others=0)
    (await race.items.get(race.turn, list)).append("mine")
    with pytest.raises(StateConflictError, match=f"faster {MAX_ATTEMPTS} times") as raised:
        await race.states.shared.save_changes(race.turn)
    assert raised.value.attempts == MAX_ATTEMPTS
