"""Contract of keys: which ones are accepted, and that they stay as they are."""

from __future__ import annotations

import json
from random import Random
from typing import Final

import pytest

from ...errors import StateKeyError, StateTooLargeError
from ...storage.base import StateStorage
from .helpers import needs, pages, says, stored

BAD: Final = (
    *("", "a\\b", "a/./b", "a/../b", "..", ".", "./a", "a.", "a./b"),
    *("a\nb", "a\x00", "a\x85", "\ud800", "\ufffe", "a/" * 255 + "a"),
)
STRANGE: Final = (
    *("emulator/conversations/c|1/users/u 1/", "a//b", "/a", "..a/b", "a..b", ".a", "%2e%2e/a"),
    *("%2F", "a:b@c;d", '!@#$%^&*()_+??><":QASD~`', " a ", "a?b=c#d", "{x}", "[x]"),
)


class KeyContract:
    """Tests which keys are accepted."""

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

    async def test_long_keys_that_do_not_compress(self, storage: StateStorage, prefix: str) -> None:
        """Test keys near the limit of an index over keys, which counts bytes after compression."""
        random = Random(4711)
        scripts = {"CJK": (0x4E00, 0x9FFF), "Hangul": (0xAC00, 0xD7A3), "pairs": (0x20000, 0x2A6D0)}
        keys = []
        for first, last in scripts.values():
            length = (1024 - len(prefix)) // (2 if first > 0xFFFF else 1)
            longest = prefix + "".join(chr(random.randint(first, last)) for _ in range(length))
            # They differ only at the very end.
            keys += [longest, longest[:-1], longest[:-1] + chr(first - 1)]
        for number, key in enumerate(keys):
            await storage.put_if(key, b'{"n":%d}' % number, etag=None)
        for number, key in enumerate(keys):
            assert says(storage, await stored(storage, key), b'{"n":%d}' % number)
        if storage.lists:
            listed = [info.key async for info in storage.list_items(prefix)]
            assert listed == sorted(keys)
            assert await pages(storage, prefix, limit=2) == [
                sorted(keys)[start : start + 2] for start in range(0, len(keys), 2)
            ]

    async def test_keys_are_in_the_order_of_their_characters(
        self, storage: StateStorage, prefix: str
    ) -> None:
        """Test that keys are sorted by code point, not in the order of a language."""
        needs(storage.lists, "it does not list")
        names = ["Z", "a", "B", "\u00e9", "e", "\u5b57", "\uff5e", "~", "-", "\u0430"]
        for name in names:
            await storage.put_if(prefix + name, b"{}", etag=None)
        listed = [info.key async for info in storage.list_items(prefix)]
        assert listed == sorted(prefix + name for name in names)
        await storage.put_if(prefix + "\U0001f600", b"{}", etag=None)
        for name in ("\uff5e", "\U0001f600"):
            page = await storage.list_page(prefix + name)
            assert [info.key for info in page.items] == [prefix + name]

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
