"""No error, log line or repr shows what a bot remembers, or how to reach its storage."""

from __future__ import annotations

import asyncio
import base64
import enum
import logging
import traceback
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from botstate_ext import BlobLeaseLock, ExpiredState, SavedState, StateData
from botstate_ext.storage import BlobStorage, MemoryStorage, RoutedStorage, as_state_storage
from botstate_ext.testing import CountingStorage, FaultyStorage, ManualClock
from tests.turns import (
    Bot,
    StateMiddleware,
    StateScopes,
    TurnContext,
    UpstreamMemoryStorage,
    context,
)

START = datetime(2024, 5, 6, tzinfo=timezone.utc)
USER = "test/users/user"


class Color(enum.Enum):
    RED = "red"


@dataclass
class Card:
    number: int
    color: Color = Color.RED


class Plain:
    def __init__(self, number: object = None) -> None:
        self.number = number


class Opaque:
    """What no storage takes."""

    def __init__(self, secret: object) -> None:
        self.secret = secret
        self.lock = asyncio.Lock

    def __repr__(self) -> str:
        return f"Opaque({self.secret!r})"


TYPES: list[Any] = [
    int, bool, list[int], dict[str, int], dict[int, str], tuple[int, str], Color, Card, Plain,
    Literal["a", "b"], datetime, timedelta, UUID, Decimal, bytes, set[int], Card | None,
]  # fmt: skip


def shapes(secret: str) -> Iterator[Any]:
    yield secret
    yield [secret]
    yield {secret: secret}
    yield {"number": secret, secret: 1}
    yield {"number": 1, "color": secret}
    yield {"py/object": secret}
    yield {"py/object": "builtins.dict", "py/reduce": [{"py/function": secret}]}
    yield {"py/tuple": [secret, {"py/id": 99}]}


class Seen:
    """Everything that was logged, raised or represented."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.raised = 0

    def show(self, *things: object) -> None:
        self.texts += [text for thing in things for text in (repr(thing), str(thing))]

    async def attempt(self, doing: Awaitable[Any]) -> None:
        try:
            self.show_kind(await doing)
        except Exception as error:  # noqa: BLE001 - what it shows is looked at
            self.raised += 1
            self.show(error)
            self.texts += traceback.format_exception(error)

    def show_kind(self, result: object) -> None:
        if type(result).__module__.startswith("botstate_ext"):
            self.show(result)

    def check(self, *secrets: str) -> None:
        for text in self.texts:
            for secret in secrets:
                assert secret not in text, text


@contextmanager
def watched() -> Iterator[Seen]:
    seen = Seen()
    handler = logging.Handler()
    handler.emit = lambda record: seen.texts.append(  # type: ignore[method-assign]
        logging.Formatter().format(record)
    )
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield seen
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


secrets = st.text("ghjkqwxyz0123456789", min_size=16, max_size=24).map(lambda text: f"zq{text}")


@settings(max_examples=5, deadline=None)
@given(secrets, st.sampled_from(["raise", "quarantine"]))
async def test_what_is_stored_and_does_not_fit(secret: str, on_undecodable: Any) -> None:
    with watched() as seen:
        for type_ in TYPES:
            for value in shapes(secret):
                states = StateScopes(MemoryStorage())
                body = msgspec.json.encode({"x": value})
                await states.storage.put_if(USER, body, etag=None)
                prop = states.user.create_property("x", type_, on_undecodable=on_undecodable)
                await seen.attempt(prop.get(context()))
                turn = context()
                await seen.attempt(prop.update(turn, lambda value: value, default=None))
                await seen.attempt(states.user.get_state(turn, "x"))
                await seen.attempt(states.user.patch_state(turn, "x", {"number": secret}))
                await seen.attempt(states.user.save_changes(turn))
                await seen.attempt(states.query(context(), "$.user.x.number"))
                await seen.attempt(states.sweep())
                await seen.attempt(states.migrate())
        seen.check(secret)
    assert seen.raised > 20


@settings(max_examples=5, deadline=None)
@given(secrets)
async def test_what_is_set_and_cannot_be_stored(secret: str) -> None:
    values = [
        *shapes(secret),
        Opaque(secret),
        {1: secret},
        {("a", secret): 1},
        Plain(Opaque(secret)),
    ]
    values += [lambda: secret, Card(secret), Card(1, secret), {"a": {"b": Opaque(secret)}}]  # type: ignore[arg-type]
    with watched() as seen:
        for type_ in (None, *TYPES):
            for value in values:
                states = StateScopes(MemoryStorage(), max_bytes=60, max_depth=3)
                prop = states.user.create_property("x", type_, max_bytes=50)
                turn = context()
                await seen.attempt(prop.set(turn, value))
                await seen.attempt(states.user.save_changes(turn))
                await seen.attempt(_set(states, turn, value))
        seen.check(secret)
    assert seen.raised > 20


@settings(max_examples=5, deadline=None)
@given(secrets)
async def test_whole_turns_with_all_that_can_go_wrong(secret: str) -> None:
    clock = ManualClock(START)
    storage = FaultyStorage(MemoryStorage(clock=clock))
    states = StateScopes(storage, clock=clock, max_bytes=400)
    kept: list[SavedState] = []
    expired: list[ExpiredState] = []
    states.on_saved(values=True)(kept.append)
    name = states.user.create_property("name", expires_after=timedelta(hours=1))
    name.on_expired(expired.append)
    old = states.user.create_property("old", int, version=2, migrations={1: lambda v: int(v)})
    bot = Bot(StateMiddleware(states))
    held: list[Any] = []

    async def turn(turn_context: TurnContext) -> None:
        await name.set(turn_context, {"pin": secret})
        await states.user.set_state(turn_context, "nested", [secret])
        view = states.view(turn_context)
        record = await states.user.get_state(turn_context, "name")
        seen.show(view, record, states.user.get_cached_state(turn_context), turn_context)
        seen.show(states, states.user, name, storage, states.user._work_of(turn_context))
        await seen.attempt(states.render(turn_context, "{@user.nested.missing}", strict=True))
        await seen.attempt(states.user.query(turn_context, "$.nested[?search(@, '(a|aa)+b')]"))
        held.append(turn_context)

    with watched() as seen:
        await seen.attempt(bot.turn(turn))
        await seen.attempt(_conflict(states, secret))
        await seen.attempt(states.user.set_state(held[0], "late", secret))
        held.clear()
        storage.fail("put")
        await seen.attempt(bot.turn(turn))
        storage.lose_answer("put")
        await seen.attempt(bot.turn(turn))
        data = await states.user.read_data(context())
        await seen.attempt(_misfit(data))
        data.set("big", secret * 40)
        await seen.attempt(states.user.write_data(context(), data))
        await seen.attempt(states.user.write_data(context(), StateData({"old": secret})))
        await seen.attempt(old.get(context()))
        await states.storage.put_if("test/users/broken", b'{"x": "' + secret.encode(), etag=None)
        async for listed in states.user.scan(data=True):
            seen.show(listed)
        clock.advance(timedelta(hours=2))
        await seen.attempt(states.sweep())
        seen.show(await states.storage.get(USER), await states.storage.list_page())
        seen.show(*kept, *expired, data)
        await seen.attempt(states.erase_user("test", "user"))
        seen.check(secret)
    assert kept
    assert any(secret in str(saved.values) for saved in kept)
    assert seen.raised >= 6


@given(st.binary(min_size=24, max_size=40))
@settings(max_examples=4, deadline=None)
async def test_how_storage_is_reached(key: bytes) -> None:
    secret = base64.b64encode(b"\xfb" + key).decode()
    signature = secret.rstrip("=").replace("+", "A").replace("/", "B")
    address = "http://127.0.0.1:9/devstoreaccount1"  # where nothing listens
    connection = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
        f"AccountKey={secret};BlobEndpoint={address};"
    )

    sources: list[dict[str, Any]] = [
        {"connection_string": connection},
        {"account_url": f"{address}?sv=2020-08-04&sig={signature}"},
        {"account_url": address, "credential": secret},
    ]
    with watched() as seen:
        for source in sources:
            blob = BlobStorage(container_name="state", **source)
            states = StateScopes(RoutedStorage({"test": blob}, default=MemoryStorage()))
            seen.show(blob, states.storage, states, BlobLeaseLock(blob), CountingStorage(blob))
            seen.show(StateMiddleware(states, serialize_turns=BlobLeaseLock(blob)))
            await blob.aclose()
        for broken in (connection.replace("AccountName", "Name"), secret, secret[:-2]):
            await seen.attempt(_made(broken))
        seen.check(secret, signature)
    assert seen.raised


def test_storages_show_no_items() -> None:
    upstream = UpstreamMemoryStorage({USER: {"pin": "zqsecret"}})
    assert "zqsecret" not in repr(as_state_storage(upstream))


async def _set(states: StateScopes, turn: TurnContext, value: Any) -> None:
    data = StateData()
    data.set("x", value)
    await states.user.write_data(turn, data)


async def _misfit(data: StateData) -> None:
    data.get("nested", int)


async def _made(connection: str) -> None:
    BlobStorage(connection_string=connection, container_name="state")


async def _conflict(states: StateScopes, secret: str) -> None:
    one, two = context(), context()
    await states.user.set_state(one, "name", secret)
    await states.user.set_state(two, "name", [secret])
    await states.user.save_changes(one)
    await states.user.save_changes(two)
