"""PostgreSQL and Redis behind a front that loses, delays, cuts and forges answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botbuilder.core import TurnContext

pytest.importorskip("psycopg", reason="the extra postgres")
pytest.importorskip("redis", reason="the extra redis")

from botstate_ext import StateConflictError, StateMiddleware, StateScopes, StateStorageError
from botstate_ext.storage import PostgresStorage, RedisStorage, StateStorage
from tests.storage.tcp_front import FAULTS, TcpFront, tcp_front
from tests.turns import Bot, message

KINDS = ("postgres", "redis")


class Place:
    """A table or a prefix on a server, through the front or past it."""

    def __init__(self, kind: str, url: str, name: str) -> None:
        self.kind, self.url, self.name = kind, url, name
        parts = urlsplit(url)
        self.behind: dict[str, Any] = {"host": parts.hostname, "port": parts.port or 5432}
        folder = parse_qs(parts.query).get("host")
        if folder:  # PostgreSQL on a socket
            self.behind = {"path": f"{folder[0]}/.s.PGSQL.{parts.port or 5432}"}

    def through(self, front: TcpFront, **options: Any) -> StateStorage:
        address = f"127.0.0.1:{front.port}"
        if self.kind == "redis":
            return RedisStorage(f"redis://{address}/0", prefix=self.name, **options)
        parts = urlsplit(self.url)
        user = parts.netloc.rpartition("@")[0]
        url = f"postgresql://{user}@{address}{parts.path}?sslmode=disable&gssencmode=disable"
        return PostgresStorage(url, table=self.name, **options)

    def calm(self) -> StateStorage:
        if self.kind == "redis":
            return RedisStorage(self.url, prefix=self.name)
        return PostgresStorage(self.url, table=self.name)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, table_name: str) -> Place:
    return Place(request.param, request.getfixturevalue(f"{request.param}_url"), table_name)


@pytest.fixture
async def front(place: Place) -> AsyncIterator[TcpFront]:
    async with tcp_front(**place.behind) as front:
        yield front


def options_of(way: str) -> dict[str, Any]:
    return {"on_conflict": "replay"} if way == "replay" else {}


@asynccontextmanager
async def appending(place: Place, storage: StateStorage, way: str) -> AsyncIterator[Any]:
    """Gives a function that appends one item to an order in a turn."""
    async with StateScopes(storage) as states:
        order = states.shared.create_property(
            "order", merge="append" if way == "merge" else None
        ).at("1")
        bot = Bot(StateMiddleware(states, serialize_turns=False, **options_of(way)))

        async def append(item: str) -> None:
            async def logic(turn: TurnContext) -> None:
                if way == "update":
                    await order.update(turn, lambda items: [*items, item], default=list)
                else:
                    (await order.get(turn, list)).append(item)

            await bot.turn(logic, message(conversation=item))

        yield append


async def stored(place: Place) -> Counter[str]:
    async with StateScopes(place.calm()) as states, states.unit_of_work() as work:
        return Counter(await states.shared.create_property("order").at("1").get(work) or ())


@pytest.mark.parametrize(
    ("writers", "turns"), [(4, 3), pytest.param(20, 10, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("way", ["update", "merge", "replay"])
async def test_what_is_acknowledged_is_stored_exactly_once(
    place: Place, front: TcpFront, way: str, writers: int, turns: int
) -> None:
    acknowledged: list[str] = []
    unsure: list[str] = []
    denied: list[str] = []
    # Far longer than any of it takes, but for what hangs: an attempt has a third of it.
    storage = place.through(front, deadline=timedelta(seconds=30))
    async with appending(place, storage, way) as append:
        await append("first")
        front.chance = 0.15

        async def write(name: int) -> None:
            for number in range(turns):
                item = f"{name}-{number}"
                try:
                    await append(item)
                    acknowledged.append(item)
                except (StateStorageError, StateConflictError) as error:
                    # Of many who write one document, some may give up after 30 attempts.
                    (unsure if error.maybe_written else denied).append(item)

        await asyncio.gather(*(write(name) for name in range(writers)))
        front.chance = 0.0
    found = await stored(place)
    assert front.faults.total() > 0
    assert {item: found[item] for item in acknowledged} == dict.fromkeys(acknowledged, 1)
    assert [item for item in denied if item in found] == [], "said not to be written, and is there"
    assert max(found.values()) == 1
    assert found.keys() <= {"first", *acknowledged, *unsure}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_write_that_meets_a_fault_is_made_once(
    place: Place, front: TcpFront, fault: str
) -> None:
    async with place.through(front, deadline=timedelta(seconds=30)) as storage:
        etag = await storage.put_if("key", b'{"n":1}', etag=None)
        front.next_faults = [fault]
        try:
            again = await storage.put_if("key", b'{"n":2}', etag=etag)
        except StateStorageError as error:
            assert error.maybe_written  # noqa: PT017 - either is right
            again = None
        front.next_faults = []
        item = await storage.get("key")
        assert item is not None
        assert item.data in (b'{"n":1}', b'{"n":2}')
        if again is not None:
            assert (item.data, item.etag) == (b'{"n":2}', again)


async def test_closing_waits_for_calls(place: Place, front: TcpFront) -> None:
    storage = place.through(front)
    etag = await storage.put_if("key", b'{"n":1}', etag=None)
    front.arrived.clear()
    front.next_faults = ["delayed"]
    putting = asyncio.ensure_future(storage.put_if("key", b'{"n":2}', etag=etag))
    await front.arrived.wait()
    await storage.aclose()
    assert putting.done()
    async with place.calm() as calm:
        item = await calm.get("key")
    assert item is not None
    assert (item.data, item.etag) == (b'{"n":2}', await putting)
