"""MemoryStorage and what it shares with others: pages, parallel work."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.errors import StateConflictError, StateKeyError
from botstate_ext.storage import MemoryStorage
from botstate_ext.storage.parallel import all_outcomes, in_parallel
from botstate_ext.testing import ManualClock

NOON = datetime(2024, 1, 2, 12, tzinfo=timezone.utc)


async def test_two_storages_share_nothing() -> None:
    one, other = MemoryStorage(), MemoryStorage()
    await one.put_if("key", b"{}", etag=None)
    assert await other.get("key") is None


async def test_an_item_has_the_time_of_its_write() -> None:
    clock = ManualClock(NOON)
    storage = MemoryStorage(clock=clock)
    await storage.put_if("a", b"{}", etag=None)
    clock.advance(timedelta(hours=1))
    await storage.put_if("b", b"{}", etag=None)
    page = await storage.list_page()
    assert [info.updated for info in page.items] == [NOON, NOON + timedelta(hours=1)]


async def test_nothing_shows_what_is_stored() -> None:
    storage = MemoryStorage()
    await storage.put_if("key", b"s3cret", etag=None, metadata={"of": "s3cret"})
    shown = f"{storage!r} {await storage.get('key')!r} {await storage.list_page()!r}"
    assert "s3cret" not in shown


async def test_metadata_cannot_be_changed_from_outside() -> None:
    storage = MemoryStorage()
    await storage.put_if("key", b"{}", etag=None, metadata={"n": "1"})
    item = await storage.get("key")
    assert item is not None
    with pytest.raises(TypeError):
        item.metadata["n"] = "2"  # type: ignore[index]  # the point of the test


@given(
    names=st.lists(st.text(st.sampled_from("ab/é"), min_size=1), unique=True, max_size=20),
    prefix=st.text(st.sampled_from("ab/"), max_size=2),
    limit=st.integers(1, 7),
    gone=st.sets(st.integers(0, 19)),
)
async def test_pages_hold_every_key_once_in_order(
    names: list[str], prefix: str, limit: int, gone: set[int]
) -> None:
    storage = MemoryStorage()
    for name in names:
        await storage.put_if(name, b"{}", etag=None)
    left = [name for number, name in enumerate(names) if number not in gone]
    for name in set(names) - set(left):
        await storage.delete_if(name)
    found, token = [], None
    while True:
        page = await storage.list_page(prefix, limit=limit, continuation_token=token)
        found += [info.key for info in page.items]
        token = page.continuation_token
        if token is None:
            break
    assert found == sorted(name for name in left if name.startswith(prefix))


async def test_the_first_failure_stops_the_others() -> None:
    stopped = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(True)

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError

    with pytest.raises(LookupError):
        await in_parallel([wait(), fail(), wait()])
    assert stopped == [True, True]


async def test_outcomes_keep_their_order() -> None:
    async def give(value: int) -> int:
        if value == 1:
            raise LookupError(value)
        return value

    zero, error, two = await all_outcomes(give(value) for value in range(3))
    assert (zero, two) == (0, 2)
    assert isinstance(error, LookupError)


async def test_its_first_items_are_given_as_to_the_sdks() -> None:
    item = {"name": "Ada", "e_tag": "7"}
    storage = MemoryStorage({"key": item, "other": {"a": 1}})
    assert await storage.read(["key", "none"]) == {"key": item}
    item["name"] = "changed"
    found = (await storage.read(["key"]))["key"]
    assert found["name"] == "Ada", "it was copied"
    assert [info.key async for info in storage.list_items()] == ["key", "other"]
    with pytest.raises(StateConflictError):
        await storage.write({"key": {"e_tag": "6"}})
    await storage.write({"key": found})
    assert found["e_tag"] != "7"


def test_a_first_item_under_a_key_that_no_storage_takes_is_refused() -> None:
    with pytest.raises(StateKeyError):
        MemoryStorage({"a\\b": {}})


async def test_due_items_come_in_pages_and_the_storage_may_change_between_them() -> None:
    storage = MemoryStorage()
    for number in range(1_200):
        await storage.put_if(f"{number:04}", b"{}", etag=None)
    found: list[str] = []
    async for page in storage.list_due("due", "0"):
        assert len(page.items) <= 500
        found += [item.key for item in page.items]
        await storage.delete_if("1199")
    assert found == [f"{number:04}" for number in range(1_199)]
