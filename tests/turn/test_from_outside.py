"""What users, channels and other writers of the storage send to break a bot."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from botstate_ext import StateConflictError, StateEncodeError, StateQueryError
from botstate_ext.keys import build as keys_module
from botstate_ext.listing.continuation import _checksum
from botstate_ext.storage import BlobStorage
from tests.maintenance.world import HOUR, KEY, World
from tests.turns import Bot, StateMiddleware, context, message

NOT_IN_MSGSPEC = ["\ud800", float("inf"), {"\ud800": [float("-inf")]}]


@pytest.mark.parametrize("value", NOT_IN_MSGSPEC)
async def test_what_waits_for_its_handler_does_not_lock_its_document(value: Any) -> None:
    world, got = World(), []
    x = world.states.conversation.create_property("x", expires_after=HOUR)
    y = world.states.conversation.create_property("y")
    x.on_expired(lambda state: got.append(state.value))
    await world.write(x, value)
    world.clock.advance(2 * HOUR)
    await world.write(y, 1)
    await world.write(y, 2)
    assert await world.read(y) == 2
    assert (await world.states.sweep()).handlers_run == 1
    assert got == [value]


async def test_a_name_with_half_a_character_in_a_kept_reference() -> None:
    world, got = World(), []
    x = world.states.conversation.create_property("x", expires_after=HOUR, keep_reference=True)
    x.on_expired(lambda state: got.append(state.reference.user.name))
    activity = message()
    activity.from_property.name = "\ud800"
    await world.bot.turn(lambda turn: x.set(turn, float("inf")), activity)
    world.clock.advance(2 * HOUR)
    await world.read(x)
    await world.states.sweep()
    assert got == ["\ud800"]


@pytest.mark.parametrize("kind", ["x\ud800", "x" * 100_000])
async def test_a_redelivered_activity_of_a_hostile_type(kind: str) -> None:
    world, turns = World(), []
    bot = Bot(StateMiddleware(world.states, deduplicate=HOUR))
    activity = message()
    activity.type = kind

    async def logic(turn: Any) -> None:
        turns.append(turn)

    await bot.turn(logic, activity)
    await bot.turn(logic, activity)
    assert len(turns) == 1
    item = await world.memory.get(KEY)
    assert item is not None
    assert len(item.data) < 1000


@pytest.mark.parametrize(
    "state",
    [
        {"props": {"x": {"expires": "9999-12-31T23:59:59-12:00"}}},
        {"props": {"x": {"expires": "0001-01-01T00:00:00+12:00"}}},
        {"props": {"x": {"expires": "2024-03-01T13:00:00Z", "lifetime": "-P999999999D"}}},
        {"created": "9999-12-31T23:59:59-12:00"},
        {"updated": "9999-12-31T23:59:59-12:00"},
        {"handled": {"a": "9999-12-31T23:59:59-12:00"}},
        {
            "expiring": [
                {"id": "a", "name": "x", "value": 1, "expired": "0001-01-01T00:00:00+12:00"}
            ]
        },
    ],
)
async def test_times_at_the_ends_of_time(state: dict[str, Any]) -> None:
    world = World()
    bot = Bot(StateMiddleware(world.states, deduplicate=HOUR))
    x = world.states.conversation.create_property("x", expires_after=HOUR, sliding=True)
    y = world.states.conversation.create_property("y")
    text = json.dumps({"x": {"a": 1}, "$state": {"v": 1, **state}}).encode()
    await world.memory.put_if(KEY, text, etag=None)
    assert (await world.states.sweep(dry_run=True)).failed == 0

    async def logic(turn: Any) -> None:
        await x.get(turn)
        await y.set(turn, 1)

    await bot.turn(logic)
    assert await world.read(y) == 1


@pytest.mark.parametrize(
    "beside",
    [
        {"stateexpires": "2024-01-01T00:00:00", "statecreated": "2024-01-01"},
        {"statechannel": "%ff", "stateuser": "%ff", "stateconversation": "%ff"},
    ],
)
async def test_metadata_of_others_does_not_stop_a_listing(beside: dict[str, str]) -> None:
    world = World()
    await world.memory.put_if(KEY, b"{}", etag=None, metadata=beside)
    (record,) = [record async for record in world.states.conversation.scan()]
    assert (record.expires, record.created, record.user_id) == (None, None, None)


async def test_a_forged_token_that_is_nested_deeply() -> None:
    content = b"\x94\xc0\xc0\xa0" + b"\x91" * 100_000 + b"\xc0"
    token = base64.urlsafe_b64encode(_checksum("user", content) + content).decode()
    with pytest.raises(StateQueryError):
        await World().states.user.list_documents(continuation_token=token)


def test_the_cache_of_ids_keeps_no_long_one() -> None:
    keys_module._escaped.cache_clear()
    for number in range(10):
        assert keys_module.escape(f"{number}" + "u" * 600).startswith("=")
    assert keys_module._escaped.cache_info().currsize == 0


async def test_a_patch_that_is_nested_too_deeply() -> None:
    states, turn = World().states, context()
    deep: Any = 1
    for _ in range(5_000):
        deep = {"a": deep}
    with pytest.raises(StateEncodeError, match="nested too deeply"):
        await states.user.patch_state(turn, "x", deep)
    with pytest.raises(StateEncodeError, match="nested too deeply"):
        await states.user.get_or_set_state(turn, "x", deep)


@pytest.mark.blob
@pytest.mark.parametrize("etag", ['a"\r\nX-Evil: 1', 'a", *', "é", "\ud800", " ", "x" * 10_000])
async def test_a_forged_etag_is_a_lost_race_and_no_header(
    azurite: str, container_name: str, etag: str
) -> None:
    async with BlobStorage(connection_string=azurite, container_name=container_name) as blob:
        await blob.put_if("k", b"1", etag=None)
        with pytest.raises(StateConflictError):
            await blob.put_if("k", b"2", etag=etag)
        with pytest.raises(StateConflictError):
            await blob.delete_if("k", etag=etag)
        assert (await blob.get("k")).data == b"1"  # type: ignore[union-attr]  # it is there


async def test_a_handler_cancelled_from_within_does_not_end_the_sweep() -> None:
    world = World()
    x = world.states.conversation.create_property("x", expires_after=HOUR)

    @x.on_expired
    async def broken(state: Any) -> None:
        raise asyncio.CancelledError

    await world.write(x, 1)
    world.clock.advance(2 * HOUR)
    report = await world.states.sweep()
    assert (report.failed, report.removed) == (1, 0)
