"""RoutedStorage: what is where, and one listing over all of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from botbuilder.core import MemoryStorage as UpstreamMemoryStorage
from botbuilder.core import TurnContext
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext.storage import (
    BlobStorage,
    MemoryStorage,
    RoutedStorage,
    StateStorage,
    as_state_storage,
)
from botstate_ext.testing import FaultyStorage, ManualClock
from tests.storage.plain import PlainStorage
from tests.turns import Bot, message

CHANNELS = ("a", "b", "b-", "ba", "c")


async def listed(storage: StateStorage, prefix: str = "") -> list[str]:
    return [item.key async for item in storage.list_items(prefix)]


async def by_pages(storage: StateStorage, prefix: str, limit: int) -> list[str]:
    keys, token = [], None
    for _ in range(1000):
        page = await storage.list_page(prefix, limit=limit, continuation_token=token)
        assert len(page.items) <= limit
        keys += [item.key for item in page.items]
        token = page.continuation_token
        if token is None:
            return keys
    raise AssertionError("this listing does not end")


async def test_each_channel_has_a_storage_and_the_rest_the_default() -> None:
    emulator, teams = MemoryStorage(), UpstreamMemoryStorage()
    default = MemoryStorage()
    states = StateScopes(RoutedStorage({"emulator": emulator, "msteams": teams}, default=default))
    seen = states.user.create_property("seen", int)
    bot = Bot(StateMiddleware(states))

    async def turn(turn_context: TurnContext) -> None:
        await seen.set(turn_context, 1)
        await states.private.create_property("x").set(turn_context, 1)
        await states.shared.at("order").create_property("x").set(turn_context, 1)

    for channel in ("emulator", "msteams", "webchat"):
        await bot.turn(turn, message(channel=channel))
    assert await listed(emulator) == [
        "emulator/conversations/conv/users/user/",
        "emulator/users/user",
    ]
    assert await listed(as_state_storage(teams)) == [
        "msteams/conversations/conv/users/user/",
        "msteams/users/user",
    ]
    assert await listed(default) == [
        "shared/order",
        "webchat/conversations/conv/users/user/",
        "webchat/users/user",
    ]
    assert len(await listed(states.storage)) == 7


async def test_a_sweep_reaches_all_of_them() -> None:
    clock = ManualClock(datetime(2024, 5, 6, tzinfo=timezone.utc))
    inner = {name: MemoryStorage(clock=clock) for name in ("emulator", "default")}
    storage = RoutedStorage({"emulator": inner["emulator"]}, default=inner["default"])
    states = StateScopes(storage, clock=clock, user_expires_after=timedelta(hours=1))
    for channel in ("emulator", "webchat"):
        async with states.unit_of_work(channel_id=channel, user_id="ann") as work:
            await states.user.set_state(work, "x", 1)
    clock.advance(timedelta(hours=1))
    report = await states.sweep()
    assert (report.seen, report.removed) == (2, 2)
    assert await listed(storage) == []


async def test_what_is_in_the_wrong_storage_is_neither_found_nor_listed() -> None:
    default = MemoryStorage()
    await default.put_if("emulator/users/ann", b"{}", etag=None)
    storage = RoutedStorage({"emulator": MemoryStorage()}, default=default)
    assert await storage.get("emulator/users/ann") is None
    assert await listed(storage) == []
    assert await storage.list_folders() == set()
    assert [page.items async for page in storage.list_due("x", "y")] == [()]


async def test_it_can_do_what_all_can() -> None:
    plain = as_state_storage(PlainStorage())
    whole = RoutedStorage({"a": MemoryStorage()}, default=MemoryStorage())
    partly = RoutedStorage({"a": plain}, default=MemoryStorage())
    for power in ("conditional", "lists", "metadata", "any_bytes"):
        assert getattr(whole, power)
        assert not getattr(partly, power)


async def test_a_failure_of_one_is_not_an_absence() -> None:
    broken = FaultyStorage(MemoryStorage())
    storage = RoutedStorage({"a": broken}, default=MemoryStorage())
    broken.fail("get")
    with pytest.raises(Exception, match="failed"):
        await storage.get_many(["a/1", "b/1"])


@pytest.mark.parametrize("channel", ["", "a/b"])
def test_a_channel_is_one_part_of_a_key(channel: str) -> None:
    with pytest.raises(ValueError, match="channel"):
        RoutedStorage({channel: MemoryStorage()}, default=MemoryStorage())


@pytest.mark.parametrize("token", ["", "x", "é", "W10=", "WzksZmFsc2UsbnVsbCxudWxsXQ=="])
async def test_a_token_of_another_is_refused(token: str) -> None:
    storage = RoutedStorage({"a": MemoryStorage()}, default=MemoryStorage())
    with pytest.raises(ValueError, match="token"):
        await storage.list_page(continuation_token=token)


part = st.text("ab-/", min_size=1, max_size=4)


@given(
    st.sets(part.filter(lambda key: not key.endswith(".")), max_size=12),
    st.sets(st.sampled_from(CHANNELS)),
    st.text("ab-/", max_size=2),
    st.integers(1, 4),
    st.booleans(),
)
async def test_a_listing_is_that_of_one_storage(
    keys: set[str], channels: set[str], prefix: str, limit: int, is_one: bool
) -> None:
    """Whatever the routes, and also when two of them lead to the same storage."""
    one = MemoryStorage()
    storage = RoutedStorage(
        {channel: one if is_one else MemoryStorage() for channel in channels}, default=one
    )
    for key in keys:
        await storage.put_if(key, b"{}", etag=None)
    expected = sorted(key for key in keys if key.startswith(prefix))
    assert await by_pages(storage, prefix, limit) == expected
    assert await storage.list_folders() == {k.partition("/")[0] for k in keys if "/" in k}


async def test_a_listing_goes_on_where_it_was_while_items_come_and_go() -> None:
    storage = RoutedStorage({"b": MemoryStorage()}, default=MemoryStorage())
    for key in ("a/1", "a/2", "b/1", "b/2", "b/3", "c/1", "c/2"):
        await storage.put_if(key, b"{}", etag=None)
    seen, token = [], None
    for step in range(20):
        page = await storage.list_page(limit=2, continuation_token=token)
        seen += [item.key for item in page.items]
        token = page.continuation_token
        if token is None:
            break
        await storage.put_if(f"a/0{step}", b"{}", etag=None)  # before where it is by now
        await storage.delete_if(seen[-1])
    assert seen == ["a/1", "a/2", "b/1", "b/2", "b/3", "c/1", "c/2"]


async def test_on_blob(azurite: str, container_name: str) -> None:
    async with RoutedStorage(
        {"b": BlobStorage(connection_string=azurite, container_name=container_name)},
        default=BlobStorage(connection_string=azurite, container_name=f"{container_name}-rest"),
    ) as storage:
        keys = ["a/1", "a/2", "b/1", "b/2", "b/3", "c/1"]
        for key in keys:
            await storage.put_if(key, b"{}", etag=None)
        assert await by_pages(storage, "", 2) == keys
        assert await by_pages(storage, "b/", 2) == keys[2:5]


async def test_closing_closes_all_also_if_one_fails() -> None:
    closed = []

    class Closing(MemoryStorage):
        def __init__(self, name: str, error: Exception | None = None) -> None:
            super().__init__()
            self.name, self.error = name, error

        async def aclose(self) -> None:
            closed.append(self.name)
            if self.error is not None:
                raise self.error

    routes = {"a": Closing("a", OSError("cannot close a")), "b": Closing("b")}
    storage = RoutedStorage(routes, default=Closing("default"))
    with pytest.raises(OSError, match="cannot close a"):
        await storage.aclose()
    assert sorted(closed) == ["a", "b", "default"]
