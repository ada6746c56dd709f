"""Contract of listings by page."""

from __future__ import annotations

import asyncio

import pytest

from ...storage.base import ANY, StateStorage
from ...storage.due_index import NEXT_EXPIRY
from .helpers import needs, pages


class ListingContract:
    """Tests ``list_page``."""

    async def test_a_listing_tells_what_is_there(self, storage: StateStorage, prefix: str) -> None:
        needs(storage.lists, "it does not list")
        key = prefix + "a b/é%"
        etag = await storage.put_if(key, b'{"a":1}', etag=None, metadata={"n": "1"})
        page = await storage.list_page(prefix)
        [info] = page.items
        assert (info.key, info.etag, info.size) == (key, etag, 7)
        assert info.metadata == ({"n": "1"} if storage.metadata else {})
        assert info.updated.utcoffset() is not None
        assert page.continuation_token is None

    async def test_a_listing_is_sorted_and_of_one_prefix(
        self, storage: StateStorage, prefix: str
    ) -> None:
        needs(storage.lists, "it does not list")
        names = ["b", "a/2", "a/1", "a", "a-", "B", "a/1/x", "/"]
        for name in names:
            await storage.put_if(prefix + name, b"{}", etag=None)
        await storage.put_if(prefix[:-1] + "x", b"{}", etag=None)
        listed = [info.key async for info in storage.list_items(prefix)]
        assert listed == sorted(prefix + name for name in names)
        below = [info.key async for info in storage.list_items(prefix + "a/")]
        assert below == [prefix + name for name in ("a/1", "a/1/x", "a/2")]
        assert (await storage.list_page(prefix + "nothing")).items == ()

    async def test_a_listing_by_page(self, storage: StateStorage, prefix: str) -> None:
        needs(storage.lists, "it does not list")
        keys = [f"{prefix}{number:02}" for number in range(25)]
        await asyncio.gather(*(storage.put_if(key, b"{}", etag=None) for key in keys))
        listed = await pages(storage, prefix, limit=10)
        assert [len(page) for page in listed if page] == [10, 10, 5]
        assert [key for page in listed for key in page] == keys

    async def test_a_listing_while_items_come_and_go(
        self, storage: StateStorage, prefix: str
    ) -> None:
        needs(storage.lists, "it does not list")
        for number in range(0, 20, 2):
            await storage.put_if(f"{prefix}{number:02}", b"{}", etag=None)
        first = await storage.list_page(prefix, limit=5)
        assert [info.key[-2:] for info in first.items] == ["00", "02", "04", "06", "08"]
        await storage.delete_if(prefix + "08")  # the last that was seen
        await storage.delete_if(prefix + "10")  # the next
        await storage.put_if(prefix + "01", b"{}", etag=None)
        await storage.put_if(prefix + "13", b"{}", etag=None)
        rest = await storage.list_page(prefix, continuation_token=first.continuation_token)
        assert [info.key[-2:] for info in rest.items] == ["12", "13", "14", "16", "18"]

    async def test_folders_are_told_once_each(self, storage: StateStorage, prefix: str) -> None:
        needs(storage.lists, "it does not list")
        before = await storage.list_folders()
        name = prefix.replace("/", "-")
        for key in (f"{name}b/1", f"{name}b/2/3", f"{name}a/1/", f"{name}c", f"{name}é %/1"):
            await storage.put_if(key, b"{}", etag=None)
        added = await storage.list_folders() - before
        assert added == {f"{name}a", f"{name}b", f"{name}é %"}

    async def test_a_limit_is_at_least_one(self, storage: StateStorage) -> None:
        needs(storage.lists, "it does not list")
        with pytest.raises(ValueError, match="limit"):
            await storage.list_page(limit=0)

    async def test_what_is_due_is_found_and_what_does_not_say(
        self, storage: StateStorage, prefix: str
    ) -> None:
        needs(storage.lists and storage.metadata, "it does not list metadata")
        for name, text in {"past": "2", "now": "3", "later": "31", "gone": "1"}.items():
            await storage.put_if(prefix + name, b"{}", etag=None, metadata={"due": text})
        await storage.put_if(prefix + "silent", b"{}", etag=None, metadata={"other": "1"})
        assert await _due(storage, prefix, "3") == {"past", "now", "silent", "gone"}
        await storage.put_if(prefix + "past", b"{}", etag=ANY, metadata={"due": "4"})
        await storage.put_if(prefix + "later", b"{}", etag=ANY, metadata={"due": "3"})
        await storage.delete_if(prefix + "gone")
        assert await _due(storage, prefix, "3") == {"now", "later", "silent"}

    async def test_an_index_of_what_is_due_agrees_with_the_listing(
        self, storage: StateStorage, prefix: str
    ) -> None:
        """Test the metadata entry that sweeps filter by: an engine may index only this entry."""
        needs(storage.lists and storage.metadata, "it does not list metadata")
        texts = ("2030-01-01T00:00:00", "2031-05-06T07:08:09", "2031-05-06T07:08:10", "never")
        for number in range(12):
            metadata = {NEXT_EXPIRY: texts[number % 4]} if number % 5 else {"other": "1"}
            await storage.put_if(f"{prefix}{number}", b"{}", etag=None, metadata=metadata)
        await storage.put_if(f"{prefix}1", b"{}", etag=ANY, metadata={NEXT_EXPIRY: texts[0]})
        await storage.put_if(f"{prefix}2", b"{}", etag=ANY)
        await storage.delete_if(f"{prefix}4")
        for until in texts:
            listed = {
                info.key: info
                async for info in storage.list_items(prefix)
                if info.metadata.get(NEXT_EXPIRY, "") <= until
            }
            found = [page async for page in storage.list_due(NEXT_EXPIRY, until)]
            due = {i.key: i for page in found for i in page.items if i.key.startswith(prefix)}
            assert due == listed


async def _due(storage: StateStorage, prefix: str, until: str) -> set[str]:
    found = [page async for page in storage.list_due("due", until)]
    assert sum(page.seen for page in found) >= sum(len(page.items) for page in found)
    keys = [item.key for page in found for item in page.items]
    return {key.removeprefix(prefix) for key in keys if key.startswith(prefix)}
