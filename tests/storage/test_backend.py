"""The tools of a backend's author: bounds, pages, opening once, and forwarding everything."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.storage import MemoryStorage, StateStorage
from botstate_ext.storage.backend import OpenOnce, StorageWrapper, prefix_end
from botstate_ext.storage.base import FLAGS
from botstate_ext.testing import CountingStorage, FaultyStorage, ManualClock

# What the base derives from the primitives, and so goes through `_run` by itself.
DERIVED = {"get", "list_items", "read", "write", "delete"}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@given(texts, texts)
def test_the_end_of_a_prefix_divides_what_starts_with_it_from_the_rest(
    prefix: str, key: str
) -> None:
    end = prefix_end(prefix)
    is_in_range = prefix <= key and (end is None or key < end)
    assert is_in_range is key.startswith(prefix)
    assert (prefix + key).startswith(prefix)
    assert end is None or prefix + key < end
    if end is not None:
        assert end.encode(), "a database can compare with it"


class TestOpenOnce:
    async def test_fifty_at_once_open_once(self) -> None:
        opened: list[int] = []

        async def open_() -> int:
            await asyncio.sleep(0)
            opened.append(len(opened))
            return opened[-1]

        async def close(number: int) -> None:
            closed.append(number)

        closed: list[int] = []
        once = OpenOnce(open_, close)
        assert await asyncio.gather(*(once.get() for _ in range(50))) == [0] * 50
        await once.aclose()
        await once.aclose()
        assert (await once.get(), opened, closed) == (1, [0, 1], [0])

    async def test_those_who_waited_for_a_failure_get_it_and_the_next_tries_again(self) -> None:
        tries = 0

        async def open_() -> str:
            nonlocal tries
            tries += 1
            await asyncio.sleep(0)
            if tries == 1:
                raise OSError("refused")
            return "open"

        async def close(_: str) -> None: ...

        once = OpenOnce(open_, close)
        outcomes = await asyncio.gather(*(once.get() for _ in range(9)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [OSError] * 9
        assert (await once.get(), tries) == ("open", 2)

    async def test_another_opens_if_the_first_is_cancelled(self) -> None:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def open_() -> str:
            began.set()
            await go_on.wait()
            return "open"

        async def close(_: str) -> None: ...

        once = OpenOnce(open_, close)
        first, second = (asyncio.ensure_future(once.get()) for _ in range(2))
        await began.wait()
        first.cancel()
        go_on.set()
        assert await second == "open"
        assert first.cancelled()


class TestStorageWrapper:
    def test_it_forwards_everything_that_is_not_derived(self) -> None:
        public = {
            name
            for name, member in vars(StateStorage).items()
            if inspect.isfunction(member) and not name.startswith("_")
        }
        assert public - DERIVED <= set(vars(StorageWrapper))

    def test_the_flags_are_all_of_the_bases(self) -> None:
        declared = {name for name, value in vars(StateStorage).items() if isinstance(value, bool)}
        assert declared == set(FLAGS)

    def test_it_has_the_flags_of_what_it_is_around(self) -> None:
        for flag in FLAGS:
            storage = MemoryStorage()
            setattr(storage, flag, not getattr(storage, flag))
            assert getattr(StorageWrapper(storage), flag) is getattr(storage, flag)

    @pytest.mark.parametrize("wrap", [StorageWrapper, CountingStorage, FaultyStorage])
    async def test_what_is_due_comes_from_the_index(
        self, wrap: type[StorageWrapper], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = MemoryStorage()
        for number in range(1_200):
            metadata = {"due": f"{number % 2}"}
            await storage.put_if(f"{number:04}", b"{}", etag=None, metadata=metadata)
        monkeypatch.setattr(storage, "list_page", None)  # a listing would fail
        wrapped = wrap(storage)
        pages = [page async for page in wrapped.list_due("due", "0")]
        assert sum(page.seen for page in pages) == 600
        found = [item.key for page in pages for item in page.items]
        assert sorted(found) == [f"{number:04}" for number in range(0, 1_200, 2)]
        if isinstance(wrapped, CountingStorage):
            assert wrapped.operations == {"list": len(pages)}

    async def test_a_fault_may_hit_any_page_of_what_is_due(self) -> None:
        storage = MemoryStorage()
        for number in range(1_200):
            await storage.put_if(f"{number}", b"{}", etag=None)
        faulty = FaultyStorage(storage)
        faulty.fail("list", at=2, error=OSError("page two"))
        pages = faulty.list_due("due", "0")
        assert len((await anext(pages)).items) == 500
        with pytest.raises(OSError, match="page two"):
            await anext(pages)


async def test_a_sweep_around_a_due_index_reads_no_listing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from datetime import datetime, timedelta, timezone

    from botstate_ext import StateScopes

    clock = ManualClock(datetime(2024, 5, 6, tzinfo=timezone.utc))
    memory = MemoryStorage(clock=clock)
    states = StateScopes(CountingStorage(memory), clock=clock)
    cart = states.shared.create_property("cart", list, expires_after=timedelta(hours=1)).at("1")
    async with states.unit_of_work() as work:
        await cart.set(work, ["pizza"])
    clock.advance(timedelta(hours=2))
    monkeypatch.setattr(memory, "list_page", None)
    assert (await states.sweep()).failed == 0
    assert await memory.get("shared/1") is None
