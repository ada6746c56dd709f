"""A whole storage, rewritten in the form that the app writes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

import jsonpickle
import pytest

from botstate_ext import MigrationReport
from botstate_ext.storage import ANY, MemoryStorage
from botstate_ext.testing import CountingStorage, FaultyStorage
from tests.serialization.older import as_1_4
from tests.turns import StateScopes

CORRUPT = b'{"profile": {"name": '


class Size(Enum):
    SMALL = "small"


@dataclass
class Profile:
    name: str
    size: Size = Size.SMALL
    since: datetime | None = None


class Older:
    """A plain class, as upstream's samples have them."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self.since = datetime(2024, 1, 2, tzinfo=timezone.utc)


PROFILE = Profile("Ann", Size.SMALL, datetime(2024, 1, 2, tzinfo=timezone.utc))


def upstream(document: dict[str, Any]) -> bytes:
    """The document as upstream's Blob adapter writes it."""
    return str(jsonpickle.encode({**document, "e_tag": "0x1"})).encode()


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def states(storage: MemoryStorage) -> StateScopes:
    states = StateScopes(storage)
    states.user.create_property("profile", Profile)
    states.user.create_property("older", Older)
    return states


async def body(storage: MemoryStorage, key: str) -> dict[str, Any]:
    item = await storage.get(key)
    assert item is not None
    return dict(json.loads(item.data))


@pytest.mark.bot_framework
async def test_typed_properties_are_plain_and_others_keep_their_tags(
    storage: MemoryStorage, states: StateScopes
) -> None:
    from botbuilder.dialogs import DialogInstance, DialogState

    dialogs = DialogState([DialogInstance()])
    shared = [1, 2]
    document = {
        "profile": PROFILE, "older": Older("Ann"), "dialogs": dialogs, "a": shared, "b": shared,
    }  # fmt: skip
    await storage.put_if("test/users/ann", upstream(document), etag=None)
    report = await states.migrate()
    assert (report.seen, report.rewritten, report.failed) == (1, 1, 0)
    stored = await body(storage, "test/users/ann")
    assert stored["profile"] == {"name": "Ann", "size": "small", "since": "2024-01-02T00:00:00Z"}
    assert stored["older"]["name"] == "Ann"
    assert "py/object" not in stored["older"]  # its property names the class
    assert stored["dialogs"]["py/object"].endswith("DialogState")
    assert (stored["a"], stored["b"]) == ([1, 2], [1, 2])
    assert "e_tag" not in stored
    assert stored["$state"]["scope"] == "user"
    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        assert await states.user.create_property("profile").get(work) == PROFILE
        older = await states.user.create_property("older").get(work)
        assert type(older) is Older
        assert older.since == Older().since
        dialog_state = await states.user.create_property("dialogs").get(work)
        assert type(dialog_state) is DialogState


async def test_what_is_done_is_not_written_again(
    storage: MemoryStorage, states: StateScopes
) -> None:
    await storage.put_if("test/users/ann", upstream({"profile": PROFILE}), etag=None)
    await states.migrate()
    before = await storage.get("test/users/ann")
    report = await states.migrate()
    assert (report.rewritten, report.unchanged) == (0, 1)
    assert await storage.get("test/users/ann") == before


async def test_a_dry_run_changes_nothing_and_says_what_it_would(
    storage: MemoryStorage, states: StateScopes
) -> None:
    await storage.put_if("test/users/ann", upstream({"profile": PROFILE}), etag=None)
    await storage.put_if("test/users/bob", b'{"profile":{"name":"Bob"}}', etag=None)
    before = await storage.get("test/users/ann")
    report = await states.migrate(dry_run=True)
    assert (report.seen, report.rewritten, report.unchanged) == (2, 1, 1)
    assert await storage.get("test/users/ann") == before


@pytest.mark.parametrize(
    "key",
    ["transcripts/1", "a/b/c/d", "shared", "test/users/", "unknown/x", "test/skills/users/x", "//"],
)
async def test_what_is_no_document_is_left_alone(
    storage: MemoryStorage, states: StateScopes, key: str
) -> None:
    data = upstream({"profile": PROFILE})
    await storage.put_if(key, data, etag=None)
    report = await states.migrate()
    assert (report.seen, report.others, report.rewritten) == (1, 1, 0)
    item = await storage.get(key)
    assert item is not None
    assert item.data == data


async def test_each_report_knows_the_problems_up_to_then(
    storage: MemoryStorage, states: StateScopes
) -> None:
    for number in range(60):
        await storage.put_if(f"test/users/{number}", CORRUPT, etag=None)
    reports: list[MigrationReport] = []
    last = await states.migrate(on_progress=reports.append)
    assert last.failed == 60
    assert isinstance(last.problems, tuple)
    assert [len(r.problems) for r in reports] == [*range(1, 61), 60]
    tenth = reports[9].problems
    assert list(tenth) == list(last.problems[:10])
    assert (tenth[-1], tenth[2:4]) == (last.problems[9], list(last.problems[2:4]))
    with pytest.raises(IndexError):
        tenth[10]


async def test_what_the_code_cannot_read_is_reported_and_stays(
    storage: MemoryStorage, states: StateScopes
) -> None:
    corrupt = {
        "test/users/cut": CORRUPT,
        "test/users/list": b"[1]",
        "test/users/wrong": b'{"profile": {"py/tuple": [1]}, "e_tag": "1"}',
        "test/users/cycle": b'{"profile": {"a": {"py/id": 0}}}',
    }
    for key, data in corrupt.items():
        await storage.put_if(key, data, etag=None)
    await storage.put_if("test/users/zoe", upstream({"profile": PROFILE}), etag=None)
    report = await states.migrate()
    assert report.rewritten == 1
    assert sorted(problem.key for problem in report.problems) == sorted(corrupt)
    for key, data in corrupt.items():
        item = await storage.get(key)
        assert item is not None
        assert item.data == data


async def test_versions_stay_what_they_are(storage: MemoryStorage) -> None:
    states = StateScopes(storage)
    states.user.create_property(
        "profile", Profile, version=2, migrations={1: lambda value: {"name": value["called"]}}
    )
    old = {"py/object": "app.Old", "called": "Ann"}
    await storage.put_if("test/users/ann", json.dumps({"profile": old}).encode(), etag=None)
    newer = {"profile": old, "$state": {"v": 1, "props": {"profile": {"version": 3}}}}
    await storage.put_if("test/users/bob", json.dumps(newer).encode(), etag=None)
    assert (await states.migrate()).rewritten == 2
    assert (await body(storage, "test/users/ann"))["profile"] == {"called": "Ann"}
    bob = await body(storage, "test/users/bob")
    assert bob["profile"] == {"called": "Ann"}
    assert bob["$state"]["props"]["profile"]["version"] == 3
    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        assert await states.user.create_property("profile").get(work) == Profile("Ann")


async def test_a_property_that_keeps_its_tags_keeps_them(storage: MemoryStorage) -> None:
    states = StateScopes(storage)
    states.user.create_property("profile", Profile, write_type_tags=True)
    await storage.put_if("test/users/ann", upstream({"profile": PROFILE}), etag=None)
    await states.migrate()
    assert "py/object" in (await body(storage, "test/users/ann"))["profile"]


@pytest.mark.parametrize("of_all", [True, False])
async def test_the_option_is_carried_out_both_ways(storage: MemoryStorage, of_all: bool) -> None:
    """What declares a type is written as the app says; one property may say otherwise."""
    states = StateScopes(storage, write_type_tags=of_all)
    states.user.create_property("profile", Profile)
    states.user.create_property("older", Older)
    states.user.create_property("other", Profile, write_type_tags=not of_all)
    states.user.create_property("numbers", list[int])
    instances = {"profile": PROFILE, "older": Older("Ann"), "other": PROFILE}
    rest = {"numbers": [1, 2], "undeclared": (1,), "none": None}
    plain = {"name": "Ann", "size": "small", "since": "2024-01-02T00:00:00Z"}
    older = {"name": "Ann", "since": "2024-01-02T00:00:00Z"}
    for key, values in (
        ("tagged", instances),
        ("plain", {"profile": plain, "older": older, "other": plain}),
    ):
        data = upstream({**values, **rest})
        await storage.put_if(f"test/users/{key}", data, etag=None)
    assert (await states.migrate(dry_run=True)).rewritten == 2
    assert (await states.migrate()).rewritten == 2
    assert (await states.migrate()).rewritten == 0
    for key in ("tagged", "plain"):
        document = await body(storage, f"test/users/{key}")
        tagged = {name for name in instances if "py/object" in document[name]}
        assert tagged == ({"profile", "older"} if of_all else {"other"})
        read = jsonpickle.decode(json.dumps(document))  # noqa: S301 - as the SDK does
        assert {name: read[name] for name in rest} == rest
        for name in tagged:
            assert type(read[name]) is type(instances[name])
            assert name == "older" or read[name] == instances[name]
        async with states.unit_of_work(channel_id="test", user_id=key) as work:
            found = await states.user.create_property("profile").get(work)
            assert found == PROFILE


async def test_expiry_and_what_waits_for_a_handler_are_kept(
    storage: MemoryStorage, states: StateScopes
) -> None:
    ends = datetime(2124, 1, 1, tzinfo=timezone.utc).isoformat()
    ended = datetime(2024, 1, 1, tzinfo=timezone.utc).isoformat()
    times = {"profile": {"expires": ends}, "gone": {"expires": ended, "handler": True}}
    document = {"profile": PROFILE, "gone": 1, "$state": {"v": 1, "scope": "user", "props": times}}
    await storage.put_if("test/users/ann", upstream(document), etag=None)
    await states.migrate()
    state = (await body(storage, "test/users/ann"))["$state"]
    assert state["props"]["profile"]["expires"].startswith("2124")
    assert [entry["name"] for entry in state["expiring"]] == ["gone"]


async def test_the_hint_tells_how_references_count(storage: MemoryStorage) -> None:
    shared = [1]
    # Nothing in it tells the two ways to count apart: they give different values.
    document = {"a": {}, "b": shared, "c": [2], "d": shared}
    old = json.dumps(as_1_4(document)).encode()
    now = datetime.now(timezone.utc)
    found = {}
    for hint in (now - timedelta(days=1), now + timedelta(days=1)):
        await storage.put_if("test/users/ann", old, etag=ANY)
        await StateScopes(storage).migrate(jsonpickle_1_before=hint)
        found[hint > now] = (await body(storage, "test/users/ann"))["d"]
    assert found[True] == [1], "written before, so counted as 1.x did"
    assert found[False] != [1]


async def test_a_writer_in_between_loses_nothing(
    storage: MemoryStorage, states: StateScopes
) -> None:
    await storage.put_if("test/users/ann", upstream({"profile": PROFILE}), etag=None)

    class Meanwhile(CountingStorage):
        async def put_if(self, key: str, data: bytes, **options: Any) -> str:
            if first:
                first.pop()
                changed = upstream({"profile": PROFILE, "other": 7})
                await storage.put_if(key, changed, etag=ANY)
            return await super().put_if(key, data, **options)

    first = [True]
    states = StateScopes(Meanwhile(storage))
    states.user.create_property("profile", Profile)
    report = await states.migrate()
    assert (report.rewritten, report.failed) == (1, 0)
    stored = await body(storage, "test/users/ann")
    assert stored["other"] == 7
    assert stored["profile"]["name"] == "Ann"


async def test_a_lost_answer_is_no_problem(storage: MemoryStorage) -> None:
    await storage.put_if("test/users/ann", upstream({"profile": PROFILE}), etag=None)
    faulty = FaultyStorage(storage)
    states = StateScopes(faulty)
    states.user.create_property("profile", Profile)
    faulty.lose_answer("put")
    report = await states.migrate()
    assert (report.rewritten, report.failed) == (1, 0)


@pytest.mark.slow
async def test_ten_thousand_documents_interrupted_and_resumed() -> None:
    storage = MemoryStorage()
    count, good = 10_000, upstream({"profile": PROFILE})
    for number in range(count):
        data = CORRUPT if number % 100 == 0 else good
        await storage.put_if(f"test/users/{number:05}", data, etag=None)
    counting = CountingStorage(storage)
    states = StateScopes(counting)
    states.user.create_property("profile", Profile)
    latest: list[MigrationReport] = []

    def note(report: MigrationReport) -> None:
        latest[:] = [report]
        if report.seen == 6_200:
            task.cancel()

    task = asyncio.ensure_future(states.migrate(on_progress=note))
    with pytest.raises(asyncio.CancelledError):
        await task
    (first,) = latest
    assert first.rewritten < count
    assert first.resume is not None

    report = await states.migrate(resume=first.resume)
    assert report.seen == 4_000, "whole pages are not looked at again"
    report = await states.migrate()
    corrupt = {f"test/users/{number:05}" for number in range(0, count, 100)}
    assert {problem.key for problem in report.problems} == corrupt
    assert report.rewritten == 0
    assert report.unchanged == count - len(corrupt)
    for number in (0, 1, 9_900, 9_999):
        item = await storage.get(f"test/users/{number:05}")
        assert item is not None
        assert (item.data == CORRUPT) == (number % 100 == 0)
        assert b"py/" not in item.data


@pytest.mark.parametrize(
    "options",
    [{"parallel": 0}, {"jsonpickle_1_before": datetime(2024, 1, 1)}],  # noqa: DTZ001  # that is the point
)
async def test_options_are_checked(states: StateScopes, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"parallel|aware"):
        await states.migrate(**options)
