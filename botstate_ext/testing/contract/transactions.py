"""Contract of writing several items in one step: all or none."""

from __future__ import annotations

import asyncio
import json

import pytest

from ...errors import StateConflictError, StateKeyError
from ...storage.base import ANY, ItemWrite, StateStorage
from .helpers import needs, stored

WHY_NOT = "it cannot write several items in one step"


class TransactionContract:
    """Tests ``write_many``."""

    async def test_without_transactions_it_says_so(self, storage: StateStorage, key: str) -> None:
        needs(not storage.transactional_for([key]), "it has transactions")
        with pytest.raises(NotImplementedError):
            await storage.write_many([ItemWrite(key, b"{}", None)])
        assert await storage.get(key) is None

    async def test_several_are_written_in_one_step(
        self, storage: StateStorage, prefix: str
    ) -> None:
        needs(storage.transactional, WHY_NOT)
        new, old, forced, gone, absent = (prefix + name for name in "abcde")
        etag = await storage.put_if(old, b'{"a":1}', etag=None)
        await storage.put_if(gone, b"{}", etag=None)
        etags = await storage.write_many(
            [
                ItemWrite(new, b'{"a":2}', None, {"n": "1"}),
                ItemWrite(old, b'{"a":3}', etag),
                ItemWrite(forced, b'{"a":4}', ANY),
                ItemWrite(gone, None, ANY),
                ItemWrite(absent, None, "not there"),
            ]
        )
        items = await storage.get_many([new, old, forced, gone, absent])
        assert {key: item.etag for key, item in items.items()} == etags
        assert {key: item.data for key, item in items.items()} == {
            new: b'{"a":2}',
            old: b'{"a":3}',
            forced: b'{"a":4}',
        }
        assert items[new].metadata == ({"n": "1"} if storage.metadata else {})
        assert etags[old] != etag
        assert await storage.write_many([]) == {}

    async def test_a_conflict_writes_nothing_and_names_who_lost(
        self, storage: StateStorage, prefix: str
    ) -> None:
        needs(storage.transactional, WHY_NOT)
        exists, stale, gone, fine = (prefix + name for name in "abcd")
        for key in (exists, stale):
            await storage.put_if(key, b'{"a":1}', etag=None)
        before = await storage.get_many([exists, stale, gone, fine])
        writes = [
            ItemWrite(fine, b'{"a":2}', None),
            ItemWrite(exists, b'{"a":2}', None),
            ItemWrite(stale, None, "another"),
            ItemWrite(gone, b'{"a":2}', "another"),
        ]
        with pytest.raises(StateConflictError, match="Etag conflict") as caught:
            await storage.write_many(writes)
        assert caught.value.keys == (exists, stale, gone), "in the order of the writes"
        assert caught.value.key == exists
        assert caught.value.not_saved == (fine, exists, stale, gone)
        assert await storage.get_many([exists, stale, gone, fine]) == before

    async def test_a_batch_that_no_storage_takes_writes_nothing(
        self, storage: StateStorage, key: str
    ) -> None:
        needs(storage.transactional, WHY_NOT)
        good = ItemWrite(key, b"{}", None)
        with pytest.raises(StateKeyError):
            await storage.write_many([good, ItemWrite("a\\b", b"{}", None)])
        with pytest.raises(ValueError, match="once"):
            await storage.write_many([good, good])
        with pytest.raises(ValueError, match="ETag"):
            await storage.write_many([good, ItemWrite(key + "2", None, None)])
        assert await storage.get(key) is None

    async def test_of_many_batches_one_wins(self, storage: StateStorage, prefix: str) -> None:
        needs(storage.transactional, WHY_NOT)
        keys = [f"{prefix}{number}" for number in range(4)]
        etags = await storage.write_many([ItemWrite(key, b"{}", None) for key in keys])

        async def write(number: int) -> bool:
            order = keys[number % 4 :] + keys[: number % 4]
            body = b'{"writer":%d}' % number
            try:
                await storage.write_many([ItemWrite(key, body, etags[key]) for key in order])
            except StateConflictError:
                return False
            return True

        won = await asyncio.gather(*map(write, range(10)))
        items = await storage.get_many(keys)
        assert [json.loads(items[key].data)["writer"] for key in keys] == [won.index(True)] * 4
        assert won.count(True) == 1

    async def test_a_reader_sees_all_or_none(self, storage: StateStorage, prefix: str) -> None:
        needs(storage.transactional, WHY_NOT)
        keys = [f"{prefix}{number}" for number in range(3)]

        async def write() -> None:
            for number in range(20):
                body = b'{"a":%d}' % number
                await storage.write_many([ItemWrite(key, body, ANY) for key in keys])

        writing = asyncio.ensure_future(write())
        while not writing.done():
            items = await storage.get_many(keys)
            assert len({item.data for item in items.values()}) <= 1
            assert len(items) in (0, 3)
            await asyncio.sleep(0)
        await writing
        assert json.loads((await stored(storage, keys[0])).data) == {"a": 19}
