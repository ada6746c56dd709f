"""What a cache keeps: never an item that is older than a write that has ended."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.storage import StoredItem
from botstate_ext.storage.kept_items import KeptItems, Operation
from botstate_ext.testing import ManualClock

KEYS = ("a", "b")
MINUTE = timedelta(minutes=1)
START = datetime(2024, 5, 6, tzinfo=timezone.utc)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def items(clock: ManualClock) -> KeptItems:
    return KeptItems(10_000, MINUTE, clock)


def item(text: str) -> StoredItem:
    return StoredItem(text.encode(), f"etag {text[:9]}")


def read(items: KeptItems, **answer: StoredItem | None) -> None:
    """Read these keys, as the start of a turn does."""
    items.get(tuple(answer))
    items.end(items.begin_read(tuple(answer)), answer)


def keeps(items: KeptItems, key: str) -> bool:
    return key in items.get((key,))


def test_a_read_at_a_start_is_kept_and_an_absent_item_as_absent(items: KeptItems) -> None:
    assert items.get(("a", "b")) == {}
    read(items, a=item("1"), b=None)
    assert items.get(("a", "b", "c")) == {"a": item("1"), "b": None}


def test_what_no_turn_began_with_is_not_kept(items: KeptItems) -> None:
    items.end(items.begin_read(("a",)), {"a": item("1")})
    items.end(items.begin_write(("b",)), {"b": item("1")})
    assert len(items) == 0


def test_reads_that_never_come_are_not_waited_for_for_ever(items: KeptItems) -> None:
    for number in range(30_000):
        items.get((f"key {number}",))
    assert len(items._wanted) <= 10_001


def test_a_later_read_or_write_renews_what_is_kept(items: KeptItems) -> None:
    read(items, a=item("1"))
    items.end(items.begin_read(("a",)), {"a": item("2")})
    assert items.get(("a",)) == {"a": item("2")}
    items.end(items.begin_write(("a",)), {"a": item("3")})
    assert items.get(("a",)) == {"a": item("3")}
    items.end(items.begin_write(("a",)), {})
    assert items.get(("a",)) == {"a": None}


def test_a_write_on_its_way_or_failed_leaves_nothing(items: KeptItems) -> None:
    read(items, a=item("1"))
    write = items.begin_write(("a",))
    assert not keeps(items, "a")
    items.end(write, None)
    assert not keeps(items, "a")


def test_after_an_unknown_outcome_nothing_is_kept_for_max_age(
    items: KeptItems, clock: ManualClock
) -> None:
    read(items, a=item("1"))
    items.end_uncertain(items.begin_write(("a",)))
    clock.advance(MINUTE)
    read(items, a=item("1"))
    assert not keeps(items, "a")
    clock.advance(timedelta(seconds=1))
    read(items, a=item("1"))
    assert keeps(items, "a")


def test_keys_of_unknown_outcomes_are_not_held_for_ever(
    items: KeptItems, clock: ManualClock
) -> None:
    for number in range(100):
        items.end_uncertain(items.begin_write((f"key {number}",)))
        clock.advance(timedelta(seconds=7))
    assert len(items._uncertain) < 10


def test_what_is_older_than_max_age_goes(items: KeptItems, clock: ManualClock) -> None:
    read(items, a=item("1"))
    clock.advance(MINUTE)
    assert keeps(items, "a")
    clock.advance(timedelta(microseconds=1))
    assert not keeps(items, "a")
    assert items.size == 0
    assert len(items) == 0


def test_the_age_is_that_of_the_question_not_of_the_answer(
    items: KeptItems, clock: ManualClock
) -> None:
    items.get(("a",))
    slow = items.begin_read(("a",))
    clock.advance(MINUTE)
    items.end(slow, {"a": item("1")})
    clock.advance(timedelta(seconds=1))
    assert not keeps(items, "a")


def test_a_slow_answer_behind_a_quick_one_is_not_used_when_it_is_too_old(
    items: KeptItems, clock: ManualClock
) -> None:
    items.get(("a",))
    slow = items.begin_read(("a",))
    clock.advance(MINUTE)
    read(items, b=item("1"))
    items.end(slow, {"a": item("1")})
    clock.advance(timedelta(seconds=1))
    assert items.get(("a", "b")) == {"b": item("1")}


def test_a_clock_that_was_set_back_ends_what_is_kept(items: KeptItems, clock: ManualClock) -> None:
    read(items, a=item("1"))
    clock.advance(timedelta(seconds=-1))
    assert not keeps(items, "a")


def test_the_oldest_goes_when_it_is_too_much(items: KeptItems) -> None:
    for key in ("a", "b", "c"):
        read(items, **{key: item("x" * 3000)})
    assert list(items.get(("a", "b", "c"))) == ["b", "c"]
    assert items.size <= 10_000


def test_what_is_larger_than_all_is_not_kept(items: KeptItems) -> None:
    read(items, a=item("1"))
    read(items, b=item("x" * 10_000))
    assert list(items.get(("a", "b"))) == ["a"]


def test_forgetting_includes_the_answers_on_their_way(items: KeptItems) -> None:
    read(items, a=item("1"), b=item("1"))
    operations = items.begin_read(("a",)), items.begin_write(("b",))
    items.clear()
    for operation in operations:
        items.end(operation, {key: item("2") for key in KEYS})
    assert items.get(KEYS) == {}
    assert items.size == 0


def test_max_bytes_is_what_the_items_take() -> None:
    items = KeptItems(2_000_000, MINUTE, ManualClock(START))
    metadata = {"scope": "conversation", "expires": "2024-05-06T07:08:09Z"}
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(5_000):
        key = f"msteams/conversations/a:{number:040}"
        read(items, **{key: StoredItem(b"x" * (500 + number % 7), f"0x{number:030}", {**metadata})})
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert items.size > 1_900_000
    assert taken < 2_200_000


def test_the_repr_shows_nothing_that_is_kept(items: KeptItems) -> None:
    read(items, secret=item("secret"))
    assert "secret" not in repr(items)


@dataclass(eq=False)
class Sent:
    """An operation that was sent to a storage of versions."""

    key: str
    operation: Operation
    writes: bool
    answer: int | None = None
    """The version that it read or wrote, once the storage has done it."""


class Versions:
    """A storage of one number for each key, whose answers take their time; and a cache before
    it."""

    def __init__(self) -> None:
        self.items = KeptItems(1_000_000, MINUTE, ManualClock(START))
        self.stored = dict.fromkeys(KEYS, 0)
        self.known = dict.fromkeys(KEYS, 0)
        """The newest version of which the writer has its answer."""
        self.sent: list[Sent] = []
        self.late: list[Sent] = []
        """Writes that their sender has given up, and that may still arrive."""

    def send(self, key: str, *, writes: bool) -> None:
        if writes:
            operation = self.items.begin_write((key,))
        else:
            self.items.get((key,))
            operation = self.items.begin_read((key,))
        self.sent.append(Sent(key, operation, writes))

    def carry_out(self, sent: Sent) -> None:
        if sent.answer is None:
            self.stored[sent.key] += sent.writes
            sent.answer = self.stored[sent.key]

    def end(self, sent: Sent, how: Literal["answered", "failed", "unknown"]) -> None:
        self.sent.remove(sent)
        if how == "unknown" and sent.writes:
            self.items.end_uncertain(sent.operation)
            if sent.answer is None:
                self.late.append(sent)
        elif how == "answered":
            self.carry_out(sent)
            self.items.end(sent.operation, {sent.key: item(str(sent.answer))})
            if sent.writes:
                self.known[sent.key] = max(self.known[sent.key], sent.answer or 0)
        else:
            self.items.end(sent.operation, None)

    def check(self) -> None:
        for key, kept in self.items.get(KEYS).items():
            assert kept is not None
            version = int(kept.data)
            assert version >= self.known[key], "older than a write that has ended"
            assert version == self.stored[key], "not what is stored"


@given(st.data())
def test_no_interleaving_keeps_what_is_older_than_an_acknowledged_write(data: Any) -> None:
    versions = Versions()
    for _ in range(data.draw(st.integers(1, 25))):
        choices: list[Callable[[], None]] = [
            *(lambda key=key: versions.send(key, writes=False) for key in KEYS),
            *(lambda key=key: versions.send(key, writes=True) for key in KEYS),
            *(lambda sent=sent: versions.carry_out(sent) for sent in versions.sent),
            *(lambda sent=sent: versions.carry_out(sent) for sent in versions.late),
            *(lambda sent=sent: versions.end(sent, "answered") for sent in versions.sent),
            *(
                lambda sent=sent: versions.end(sent, "failed")
                for sent in versions.sent
                if sent.answer is None or not sent.writes
            ),
            *(lambda sent=sent: versions.end(sent, "unknown") for sent in versions.sent),
        ]
        choices[data.draw(st.integers(0, len(choices) - 1))]()
        versions.check()
