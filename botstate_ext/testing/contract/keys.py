"""Keys: which are taken, and that they stay as they are."""

from __future__ import annotations

import json
from typing import Final

import pytest

from ...errors import StateKeyError, StateTooLargeError
from ...storage.base import StateStorage
from .helpers import says, stored

BAD: Final = (
    *("", "a\\b", "a/./b", "a/../b", "..", ".", "./a", "a.", "a./b"),
    *("a\nb", "a\x00", "a\x85", "\ud800", "\ufffe", "a/" * 255 + "a"),
)
STRANGE: Final = (
    *("emulator/conversations/c|1/users/u 1/", "a//b", "/a", "..a/b", "a..b", ".a", "%2e%2e/a"),
    *("%2F", "a:b@c;d", '!@#$%^&*()_+??><":QASD~`', " a ", "a?b=c#d", "{x}", "[x]"),
)


class KeyContract:
    """Which keys are taken."""

    @pytest.mark.parametrize("bad", BAD, ids=ascii)
    async def test_a_bad_key_is_refused(self, storage: StateStorage, bad: str) -> None:
        with pytest.raises(StateKeyError, match="key") as caught:
            await storage.get_many(["good", bad])
        assert repr(bad) in str(caught.value)
        with pytest.raises(StateKeyError):
            await storage.put_if(bad, b"{}", etag=None)
        with pytest.raises(StateKeyError):
            await storage.delete_if(bad)

    async def test_a_key_may_have_1024_characters(self, storage: StateStorage, key: str) -> None:
        longest = key + "x" * (1024 - len(key))
        await storage.put_if(longest, b'{"a":1}', etag=None)
        assert says(storage, await stored(storage, longest), b'{"a":1}')
        for too_long in (longest + "x", key + "😀" * 512):
            with pytest.raises(StateTooLargeError, match="1024"):
                await storage.put_if(too_long, b"{}", etag=None)

    @pytest.mark.parametrize("name", STRANGE)
    async def test_a_strange_key_is_taken_as_it_is(
        self, storage: StateStorage, prefix: str, name: str
    ) -> None:
        etag = await storage.put_if(prefix + name, b'{"a":1}', etag=None)
        assert (await stored(storage, prefix + name)).etag == etag
        if storage.lists:
            assert [info.key async for info in storage.list_items(prefix)] == [prefix + name]
        assert await storage.delete_if(prefix + name, etag=etag)

    async def test_keys_that_look_alike_are_different(
        self, storage: StateStorage, prefix: str
    ) -> None:
        names = ["a", "A", "a/", "/a", "%61", "a%2Fb", "a/b", "é", "e\u0301", "a b", "a+b", "a%20b"]
        for number, name in enumerate(names):
            await storage.put_if(prefix + name, b'{"n":%d}' % number, etag=None)
        for number, name in enumerate(names):
            item = await stored(storage, prefix + name)
            assert json.loads(item.data) == {"n": number}
