"""A turn that writes three documents, in a process that is killed at each of its steps: afterwards
all of the documents are the turn's, or none; and what the process acknowledged is there."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable, Coroutine, Generator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks import engines
from tests.turns import Bot, StateMiddleware, StateScopes, context

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a kill of POSIX"),
]

# Forked from one process that has imported everything: a start takes milliseconds, not seconds.
_processes: Final = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])
MOST_STEPS = 500


def kill_me() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class KilledAtAwait:
    """Awaits a coroutine, and kills the process at the await with this number, from 1."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], at: int) -> None:
        self._coroutine, self._left = coroutine, at

    def __await__(self) -> Generator[Any, Any, Any]:
        value: Any = None
        while True:
            try:
                future = self._coroutine.send(value)
            except StopIteration as end:
                return end.value
            self._left -= 1
            if self._left == 0:
                kill_me()
            value = yield future


def killed_at_statement(at: int) -> type[sqlite3.Connection]:
    """A connection that kills its process before the statement with this number, from 1."""
    left = at

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            kill_me()

    class Connection(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.set_trace_callback(count)

    return Connection


class Turns:
    """A bot whose turn writes one number to three documents."""

    def __init__(self, kind: str, address: str, name: str) -> None:
        self.states = StateScopes(engines.opened(kind, address, name))
        self.bot = Bot(StateMiddleware(self.states))
        scopes = (self.states.user, self.states.conversation, self.states.private)
        self.numbers = [scope.create_property("number") for scope in scopes]

    async def turn(self, number: int) -> None:
        async def logic(turn: Any) -> None:
            for each in self.numbers:
                await each.set(turn, number)

        await self.bot.turn(logic)

    async def stored(self) -> set[Any]:
        turn = context()
        return {await each.get(turn) for each in self.numbers}


async def _run(place: tuple[str, str, str], number: int, at: int, pipe: Connection) -> None:
    turns = Turns(*place)
    async with turns.states:
        await KilledAtAwait(turns.turn(number), at)
        pipe.send(number)


def in_await(place: tuple[str, str, str], number: int, at: int, pipe: Connection) -> None:
    asyncio.run(_run(place, number, at, pipe))


def in_statement(place: tuple[str, str, str], number: int, at: int, pipe: Connection) -> None:
    killing, connect = killed_at_statement(at), sqlite3.connect

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return connect(*arguments, factory=killing, **options)

    sqlite3.connect = connected  # type: ignore[assignment]
    asyncio.run(_run(place, number, 0, pipe))


def acknowledged(
    run: Callable[..., None], place: tuple[str, str, str], number: int, at: int
) -> tuple[bool, bool]:
    """Run the turn in a process. Return whether it was acknowledged, and whether it was killed."""
    mine, theirs = _processes.Pipe()
    process = _processes.Process(target=run, args=(place, number, at, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        is_acknowledged = bool(mine.recv())
    except EOFError:
        is_acknowledged = False
    process.join()
    mine.close()
    assert process.exitcode in (0, -signal.SIGKILL)
    return is_acknowledged, process.exitcode != 0


STEPS = {"await": in_await, "statement": in_statement}


@pytest.mark.parametrize(
    ("kind", "step"),
    [("sqlite", "await"), ("sqlite", "statement"), ("postgres", "await"), ("redis", "await")],
)
async def test_all_or_none(
    request: pytest.FixtureRequest, tmp_path: Path, container_name: str, kind: str, step: str
) -> None:
    address = str(tmp_path) if kind == "sqlite" else request.getfixturevalue(f"{kind}_url")
    place = (kind, address, container_name)
    turns, number, outcomes = Turns(*place), 1, set()
    async with turns.states:
        await turns.turn(number)
        for at in range(1, MOST_STEPS):
            is_acknowledged, is_killed = await asyncio.to_thread(
                acknowledged, STEPS[step], place, number + 1, at
            )
            stored = await turns.stored()
            assert len(stored) == 1, f"a part of the turn is there: killed at {step} {at}"
            assert stored <= {number, number + 1}
            assert stored == {number + 1} or not is_acknowledged
            outcomes.add((stored == {number + 1}, is_killed))
            if not is_killed:
                break
            number += 2
            await turns.turn(number)  # and the next turn works
            assert await turns.stored() == {number}
    assert (False, True) in outcomes, "it was killed before its commit"
    assert (True, False) in outcomes, "it got through in the end"
