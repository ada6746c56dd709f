"""A few hundred histories; ``make histories`` checks ten thousand. And proof that the checker sees
what it is there to see: each test breaks one thing that the package relies on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from botstate_ext.documents.document import Document
from botstate_ext.documents.pending_writes import Outcome, PendingWrite
from botstate_ext.storage import MemoryStorage, StoredItem
from botstate_ext.storage.base import ANY
from botstate_ext.storage.kept_items import KeptItems, Operation
from botstate_ext.turn.middleware import StateMiddleware, _sent_at_once
from botstate_ext.unit_of_work.replay_storage import StagedStorage

from .checker import problems
from .simulation import Cache, history_of
from .storage import SimulatedStorage, Weather

COUNT = 200


@pytest.mark.parametrize("seed", range(0, COUNT, 20))
def test_histories(seed: int) -> None:
    found = {number: problems(history_of(number)) for number in range(seed, seed + 20)}
    assert {number: lines for number, lines in found.items() if lines} == {}


def test_a_history_that_was_wrong_once() -> None:
    """A late step that removes a document arrived after its turn had run again."""
    assert problems(history_of(119_500)) == []


def test_the_same_seed_gives_the_same_history() -> None:
    one, two = history_of(7), history_of(7)
    assert one.versions == two.versions
    assert one.reads == two.reads
    assert one.marks == two.marks
    assert one.versions != history_of(8).versions


def found_in(**options: Any) -> str:
    """What the checker says of thirty histories."""
    return "\n".join(line for seed in range(30) for line in problems(history_of(seed, **options)))


def on(storage: type[MemoryStorage]) -> Any:
    return lambda history, random, weather: SimulatedStorage(history, random, weather, storage())


class WithoutETags(MemoryStorage):
    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        return await super().put_if(key, data, etag=ANY, metadata=metadata)


class FromACache(MemoryStorage):
    """What is read is what was stored before the last write."""

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[str, StoredItem] = {}

    async def put_if(self, key: str, data: bytes, **options: Any) -> str:
        stored = await super().get_many((key,))
        self._before.update(stored)
        return await super().put_if(key, data, **options)

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        stored = await super().get_many(keys)
        return {key: self._before.get(key, item) for key, item in stored.items()}


def test_a_lost_update_is_seen() -> None:
    assert "lost update" in found_in(make_storage=on(WithoutETags))


def test_a_read_of_what_is_not_stored_is_seen() -> None:
    assert "what was never stored" in found_in(make_storage=on(FromACache))


def test_what_is_applied_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    confirm = Document.confirm_pending_writes

    def forgetful(document: Document) -> dict[Outcome, list[PendingWrite]]:
        confirm(document)
        return {outcome: [] for outcome in Outcome}

    monkeypatch.setattr(Document, "confirm_pending_writes", forgetful)
    monkeypatch.setattr(
        "botstate_ext.unit_of_work.write_loop.joint_outcome", lambda _: Outcome.NOT_STORED
    )
    echoing = Weather(echoes=0.3)
    told = found_in(
        make_storage=lambda history, random, _: SimulatedStorage(history, random, echoing)
    )
    assert "stored a mark twice" in told


def test_what_is_not_taken_back_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> None: ...

    monkeypatch.setattr("botstate_ext.unit_of_work.replay_storage.take_back", nothing)
    assert "failed, and is there" in found_in()


def test_what_is_said_too_early_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    init = StateMiddleware.__init__

    def hasty(middleware: StateMiddleware, *arguments: Any, **options: Any) -> None:
        init(middleware, *arguments, **options)
        monkeypatch.setattr(middleware, "_replies", _sent_at_once)

    monkeypatch.setattr(StateMiddleware, "__init__", hasty)
    assert "said" in found_in()


@pytest.mark.slow
def test_a_repetition_of_what_may_have_been_made_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a crowd, the traces of a write whose answer was lost are soon gone."""
    outcome = PendingWrite.outcome

    def hopeful(write: PendingWrite, *read: Any) -> Outcome:
        found = outcome(write, *read)
        return Outcome.NOT_STORED if found is Outcome.UNKNOWN else found

    monkeypatch.setattr("tests.histories.simulation.CROWDS", 1)
    monkeypatch.setattr(PendingWrite, "outcome", hopeful)
    repeating = Weather(is_repeated=0.2)
    told = found_in(
        make_storage=lambda history, random, _: SimulatedStorage(history, random, repeating)
    )
    assert "failed, and is there" in told or "stored a mark twice" in told


# With a cache


@pytest.mark.parametrize("cache", ["replay", "sticky"])
@pytest.mark.parametrize("seed", range(0, 60, 20))
def test_histories_with_a_cache(seed: int, cache: Cache) -> None:
    histories = {number: history_of(number, cache=cache) for number in range(seed, seed + 20)}
    found = {number: problems(history) for number, history in histories.items()}
    assert {number: lines for number, lines in found.items() if lines} == {}
    assert sum(history.cached for history in histories.values()) > 50


def test_a_turn_that_is_not_compared_at_its_end_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> None: ...

    monkeypatch.setattr(StagedStorage, "check_assumed", nothing)
    assert "what was never stored" in found_in(cache="replay")


def test_what_is_kept_during_a_write_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeptItems, "_spoil", lambda *_: None)
    assert "what was never stored" in found_in(cache="sticky")


def test_what_is_kept_after_a_write_without_an_answer_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The write may arrive after the next read."""
    monkeypatch.setattr(
        KeptItems, "end_uncertain", lambda items, operation: items.end(operation, None)
    )
    told = found_in(
        cache="sticky",
        make_storage=lambda history, random, _: SimulatedStorage(
            history, random, Weather(arrives_late=0.4)
        ),
    )
    assert "what was never stored" in told


def test_what_is_kept_although_its_write_failed_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer was lost, and it is stored."""
    begin, end = KeptItems.begin_write, KeptItems.end

    def keeping(items: KeptItems, keys: Collection[str]) -> Operation:
        kept = {key: items._items[key] for key in keys if key in items._items}
        operation = begin(items, keys)
        items._items.update(kept)
        items._bytes += sum(each.size for each in kept.values())
        return operation

    def ending(items: KeptItems, operation: Operation) -> None:
        end(items, operation, None)

    monkeypatch.setattr(KeptItems, "begin_write", keeping)
    monkeypatch.setattr(KeptItems, "end_uncertain", ending)
    assert "what was never stored" in found_in(cache="sticky")
