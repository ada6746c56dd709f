"""Sweeps, erasures, migrations, exports and held replies through a front that loses, delays, cuts
and forges answers. Each job is run again, as its documentation says, until it is done."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final, TypeAlias

from botbuilder.core import TurnContext

from botstate_ext import ExpiredState, StateMiddleware, StateScopes, StateStorageError
from botstate_ext.storage import BlobStorage
from botstate_ext.testing import ManualClock
from tests.azurite import connection_string
from tests.storage.front import Chances, Front, front_of

from . import turns

COLUMNS: Final = ("", "operations", "requests", "faults", "done", "right", "raised or reported")
CHANCES: Final = Chances(
    lost=0.04, late=0.005, reset=0.04, half_closed=0.04, storm=0.01,
    shortened=0.04, forged=0.02, walled=0.02, seed=1,
)  # fmt: skip
MOST_RUNS: Final = 200
HOUR: Final = timedelta(hours=1)
START: Final = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)


@dataclass
class Result:
    """What a job came to."""

    operations: int
    """Documents to sweep, erase, migrate or export, or turns."""
    done: int = 0
    """Those that were reported as done, or acknowledged."""
    failures: Counter[str] = field(default_factory=Counter)
    """Errors that were raised or reported on the way, by name."""
    wrong: list[str] = field(default_factory=list)
    """Everything that must not be."""
    requests: int = 0
    injected: Counter[str] = field(default_factory=Counter)

    def note_end(self, error: StateStorageError) -> None:
        """Note that a run ended before it was done. Only a listing that failed may end one."""
        self.failures[type(error).__name__] += 1
        self.expect(error.operation == "list", f"one document ended a run: {error}")

    def expect(self, is_right: bool, otherwise: str) -> None:
        """Note what is wrong unless this is right."""
        if not is_right:
            self.wrong.append(otherwise)


class Fire:
    """A container that is reached through the front, or past it."""

    def __init__(self, front: Front, endpoint: str) -> None:
        self.front, self._endpoint = front, endpoint
        self._container = f"jobs-{uuid.uuid4().hex}"

    def calm(self) -> BlobStorage:
        """Return a storage that meets no fault."""
        return BlobStorage(
            connection_string=connection_string(self._endpoint),
            container_name=self._container,
            deadline=timedelta(minutes=5),
        )

    def burning(self) -> BlobStorage:
        """Return a storage that meets faults, as a new process would open it."""
        return BlobStorage(
            connection_string=self.front.connection_string,
            container_name=self._container,
            deadline=timedelta(seconds=5),
        )

    @asynccontextmanager
    async def states(self, *, burns: bool, **options: Any) -> AsyncIterator[StateScopes]:
        async with StateScopes(self.burning() if burns else self.calm(), **options) as states:
            yield states


Job: TypeAlias = Callable[[Fire, int, Callable[[], None]], Awaitable[Result]]
"""Does its work on so many documents. It calls the function when faults may begin."""


async def _sweeps(fire: Fire, count: int, inject: Callable[[], None]) -> Result:
    result, clock, handled = Result(count), ManualClock(START), Counter[int]()

    async def handle(expired: ExpiredState) -> None:
        handled[expired.value] += 1

    def declare(states: StateScopes) -> tuple[Any, Any]:
        cart = states.shared.create_property("cart", expires_after=HOUR)
        cart.on_expired(handle)
        return cart, states.shared.create_property("name", expires_after=24 * HOUR)

    async with fire.states(burns=False, clock=clock) as states:
        cart, name = declare(states)
        for number in range(count):
            async with states.unit_of_work() as work:
                await cart.at(str(number)).set(work, number)
                await name.at(str(number)).set(work, number)
    inject()
    clock.advance(HOUR)
    for _ in range(MOST_RUNS):
        clock.advance(timedelta(minutes=2))  # what a sweep had claimed is free again
        async with fire.states(burns=True, clock=clock) as states:
            declare(states)
            try:
                report = await states.sweep()
            except StateStorageError as error:
                result.note_end(error)
                continue
        result.failures["reported"] += report.failed
        async with fire.states(burns=False, clock=clock) as states:
            declare(states)
            left = await states.sweep(dry_run=True)
            result.expect(left.expired <= report.failed, f"{left.expired} left, unreported")
        if not report.expired and not report.failed:
            break
    async with fire.states(burns=False, clock=clock) as states:
        cart, name = declare(states)
        async with states.unit_of_work() as work:
            for number in range(count):
                lives = await name.at(str(number)).get(work)
                result.expect(lives == number, f"{number}: what lives is gone")
                result.expect(handled[number] >= 1, f"{number}: not handled")
        left = await states.sweep(dry_run=True)
        result.expect(left.expired == 0, f"{left.expired} not removed")
        result.done = count - left.expired
    return result


async def _plant_users(fire: Fire, users: int) -> dict[str, set[str]]:
    """Store two documents of each user; return the keys by user."""
    keys: dict[str, set[str]] = {}
    async with fire.states(burns=False) as states:
        profile, note = states.user.create_property("p"), states.private.create_property("n")
        for number in range(users):
            user, conversation = f"u{number}", f"c{number % 3}"
            async with states.unit_of_work(
                channel_id="test", user_id=user, conversation_id=conversation
            ) as work:
                await profile.set(work, {"name": user})
                await note.set(work, [user] * 20)
            keys[user] = {f"test/users/{user}", f"test/conversations/{conversation}/users/{user}/"}
    return keys


async def _stored(fire: Fire) -> set[str]:
    async with fire.calm() as storage:
        return {item.key async for item in storage.list_items()}


async def _erasures(fire: Fire, count: int, inject: Callable[[], None]) -> Result:
    keys = await _plant_users(fire, 2 * count)
    before, victims = await _stored(fire), [f"u{number}" for number in range(count)]
    result = Result(count)
    inject()
    for victim in victims:
        for _ in range(MOST_RUNS):
            async with fire.states(burns=True) as states:
                try:
                    report = await states.erase_user("test", victim)
                except StateStorageError as error:
                    result.note_end(error)
                    continue
            left = keys[victim] & await _stored(fire)
            result.expect(left <= report.failed.keys(), f"{victim}: {left} not reported")
            result.failures["reported"] += len(report.failed)
            result.expect(set(report.removed) <= keys[victim], f"{victim}: removed another's")
            if report.complete:
                result.done += 1
                break
    theirs = set().union(*(keys[victim] for victim in victims))
    result.expect(theirs <= before, "the keys are not those that were stored")
    result.expect(await _stored(fire) == before - theirs, "not what is to be left")
    return result


async def _exports(fire: Fire, count: int, inject: Callable[[], None]) -> Result:
    keys, result = await _plant_users(fire, count), Result(count)
    async with fire.states(burns=False) as states:
        expected = {user: await states.export_user("test", user) for user in keys}
    inject()
    for user, whole in expected.items():
        async with fire.states(burns=True) as states:
            try:
                export = await states.export_user("test", user)
            except StateStorageError as error:
                result.failures[type(error).__name__] += 1
                continue
        by_key = {each["key"]: each for each in whole["documents"]}
        found = {each["key"]: each for each in export["documents"]}
        result.failures["reported"] += len(export["failed"])
        result.expect(found.keys() | export["failed"].keys() == keys[user], f"{user}: not whole")
        result.expect(all(by_key.get(key) == found[key] for key in found), f"{user}: not equal")
        result.done += 1
    return result


async def _read(storage: BlobStorage, key: str) -> bytes:
    item = await storage.get(key)
    return b"" if item is None else item.data


async def _migrations(fire: Fire, count: int, inject: Callable[[], None]) -> Result:
    result = Result(count)
    values = {f"shared/{n}": {"list": [n] * 50, "text": f"item {n}"} for n in range(count)}
    async with fire.calm() as storage:
        for key, value in values.items():
            body = b'{"order": ' + json.dumps(value).encode() + b', "e_tag": "0x1"}'
            await storage.put_if(key, body, etag=None)
    inject()
    resume: str | None = None
    for _ in range(MOST_RUNS):
        async with fire.states(burns=True) as states:
            seen: list[Any] = []
            try:
                report = await states.migrate(resume=resume, on_progress=seen.append)
            except StateStorageError as error:
                result.note_end(error)
                # What has failed so far is looked at again only from the start.
                resume = seen[-1].resume if seen and not seen[-1].problems else None
                continue
        result.failures["reported"] += report.failed
        reported = {problem.key for problem in report.problems}
        async with fire.calm() as storage:
            left = {key for key in values if b"e_tag" in (await _read(storage, key))}
        if resume is None:
            result.expect(left <= reported, f"{left - reported} not reported")
        if not left:
            break
        resume = None
    async with fire.calm() as storage, fire.states(burns=False) as states:
        order = states.shared.create_property("order")
        async with states.unit_of_work() as work:
            for key, value in values.items():
                item = await storage.get(key)
                is_plain = item is not None and b"e_tag" not in item.data
                result.done += is_plain
                result.expect(is_plain, f"{key}: not migrated")
                found = await order.at(key.removeprefix("shared/")).get(work)
                result.expect(found == value, f"{key}: not equal")
    return result


def _turns(**options: Any) -> Job:
    """Return a job: turns that change two documents and say so twice, in held replies."""

    async def job(fire: Fire, count: int, inject: Callable[[], None]) -> Result:
        result, heard = Result(count), Counter[str]()
        inject()
        async with fire.states(burns=True) as states:
            order = states.shared.create_property("order", merge="append").at("1")
            mine = states.conversation.create_property("mine")

            async def converse(name: str) -> None:
                bot = turns.Bot(None, None, StateMiddleware(states, **options))
                for number in range(count // 4):
                    item = f"{name}-{number}"

                    async def logic(turn: TurnContext, item: str = item) -> None:
                        (await order.get(turn, list)).append(item)
                        await turn.send_activity(f"half {item}")
                        (await mine.get(turn, list)).append(item)
                        await turn.send_activity(f"whole {item}")

                    try:
                        await bot.turn(logic, name)
                        result.done += 1
                        is_raised = False
                    except StateStorageError as error:
                        result.failures[type(error).__name__] += 1
                        is_raised = True
                    said = [activity.text for activity in bot.adapter.activity_buffer]
                    bot.adapter.activity_buffer.clear()
                    wanted = [] if is_raised else [f"half {item}", f"whole {item}"]
                    result.expect(said == wanted, f"{item}: {said} heard")
                    heard[item] += not is_raised

            await asyncio.gather(*(converse(f"c{number}") for number in range(4)))
        async with fire.states(burns=False) as states:
            order = states.shared.create_property("order").at("1")
            mine = states.conversation.create_property("mine")
            contexts = [
                TurnContext(turns.ours().adapter, turns.activity(f"c{n}")) for n in range(4)
            ]
            ordered = Counter(await order.get(contexts[0]) or ())
            kept = Counter[str]()
            for turn in contexts:
                kept.update(await mine.get(turn) or ())
        for item in [item for item, is_heard in heard.items() if is_heard]:
            result.expect((ordered[item], kept[item]) == (1, 1), f"{item}: heard, and not stored")
        result.expect(max((*ordered.values(), *kept.values(), 0)) <= 1, "stored twice")
        return result

    return job


JOBS: Final[Mapping[str, Job]] = {
    "sweep": _sweeps,
    "erasure": _erasures,
    "export": _exports,
    "migration": _migrations,
    "held replies": _turns(replies="after_save"),
    "replay": _turns(on_conflict="replay"),
}


async def run(name: str, endpoint: str, chances: Chances, count: int) -> Result:
    """Run a job on so many documents, users or turns."""
    async with front_of(endpoint) as front:
        result = await JOBS[name](Fire(front, endpoint), count, lambda: front.inject(chances))
        result.requests, result.injected = len(front.requests), front.faults
    return result


async def row(name: str, endpoint: str) -> list[str]:
    """Run a long job and return its figures. Anything wrong ends the program."""
    result = await run(name, endpoint, CHANCES, 60)
    if result.wrong:
        sys.exit(f"{name}: {len(result.wrong)} wrong, such as: {result.wrong[0]}")
    figures = (result.operations, result.requests, result.injected.total(), result.done)
    return [name, *(f"{figure}" for figure in figures), "all", f"{result.failures.total()}"]
