"""Erasing and exporting everything of one user."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from botstate_ext import SavedState, StateConflictError, StateKeyError, StateStorageError, StateUser
from botstate_ext.storage import BlobStorage, MemoryStorage, as_state_storage
from botstate_ext.testing import CountingStorage, FaultyStorage
from tests.storage.plain import PlainStorage
from tests.turns import (
    Activity,
    Bot,
    StateMiddleware,
    StateScopes,
    TurnContext,
    UpstreamMemoryStorage,
    context,
    message,
    reference_to,
)

KINDS = ["memory", "upstream", "blob"]


@pytest.fixture(params=KINDS)
async def faults(
    request: pytest.FixtureRequest, container_name: str
) -> AsyncIterator[FaultyStorage]:
    if request.param == "memory":
        yield FaultyStorage(MemoryStorage())
    elif request.param == "upstream":
        yield FaultyStorage(as_state_storage(UpstreamMemoryStorage()))
    else:
        azurite = request.getfixturevalue("azurite")
        async with BlobStorage(connection_string=azurite, container_name=container_name) as blob:
            yield FaultyStorage(blob)


@pytest.fixture
def storage(faults: FaultyStorage) -> CountingStorage:
    return CountingStorage(faults)


@pytest.fixture
def states(storage: CountingStorage) -> StateScopes:
    return StateScopes(storage)


async def remember(
    states: StateScopes, user: str, conversation: str, channel: str = "test"
) -> None:
    """What a turn of this user leaves behind."""
    async with states.unit_of_work(
        channel_id=channel, user_id=user, conversation_id=conversation
    ) as work:
        for scope in (states.user, states.conversation, states.private):
            await scope.create_property("x").set(work, {"said": f"{user} in {conversation}"})


async def keys(states: StateScopes) -> set[str]:
    return {item.key async for item in states.storage.list_items()}


async def test_it_removes_what_is_theirs_and_reads_nobody(
    states: StateScopes, storage: CountingStorage
) -> None:
    for user in ("ann", "bob", "ann2", "an"):
        for conversation in ("1", "2"):
            await remember(states, user, conversation)
    await remember(states, "ann", "1", channel="other")
    before = await keys(states)
    theirs = {
        "test/users/ann",
        "test/conversations/1/users/ann/",
        "test/conversations/2/users/ann/",
    }
    rehearsed = await states.erase_user("test", "ann", dry_run=True)
    assert set(rehearsed.removed) == theirs
    assert rehearsed.dry_run
    assert await keys(states) == before
    storage.reset()
    report = await states.erase_user("test", "ann")
    assert set(report.removed) == theirs
    assert report.removed[-1] == "test/users/ann", "their own goes last"
    assert report.complete
    assert (report.channel_id, report.user_id) == ("test", "ann")
    assert await keys(states) == before - theirs
    assert storage.bodies == 0
    again = await states.erase_user("test", "ann")
    assert again.complete
    assert again.removed == ()


async def test_from_conversations_that_the_caller_knows(
    states: StateScopes, storage: CountingStorage
) -> None:
    for conversation in ("1", "2", "3"):
        await remember(states, "ann", conversation)
    storage.reset()
    seen: list[int] = []
    report = await states.erase_user(
        "test", "ann", conversation_ids=["1", "2", "nowhere"], on_progress=seen.append
    )
    assert report.removed == (
        "test/conversations/1/users/ann/",
        "test/conversations/2/users/ann/",
        "test/users/ann",
    )
    assert storage.bodies == 0
    assert seen == [1, 2, 3]
    assert "test/conversations/3/users/ann/" in await keys(states)


async def test_a_storage_that_does_not_list_needs_to_be_told() -> None:
    states = StateScopes(PlainStorage())
    await remember(states, "ann", "1")
    with pytest.raises(StateStorageError, match="cannot list"):
        await states.erase_user("test", "ann")
    report = await states.erase_user("test", "ann", conversation_ids=["1"])
    assert report.removed == ("test/conversations/1/users/ann/", "test/users/ann")
    assert await states.user.create_property("x").get(context(message(user="ann"))) is None


async def test_what_upstream_wrote_is_found_by_its_key(
    states: StateScopes, storage: CountingStorage
) -> None:
    for key in (
        "test/users/ann",
        "test/conversations/1/users/ann/",
        "test/conversations/1/users/ann/namespace",
        "test/conversations/1",
        "test/conversations/ann",
        "test/users/ann/",
    ):
        await storage.put_if(key, b'{"x": 1}', etag=None)
    report = await states.erase_user("test", "ann")
    assert report.removed == ("test/conversations/1/users/ann/", "test/users/ann")
    assert report.complete


@pytest.mark.parametrize("written_by_us", [True, False])
async def test_a_key_that_reads_two_ways_is_reported_and_stays(
    states: StateScopes, storage: CountingStorage, written_by_us: bool
) -> None:
    key = "test/conversations/c/users/a/users/b/"
    if written_by_us:
        async with states.unit_of_work(
            channel_id="test", user_id="b", conversation_id="c/users/a"
        ) as work:
            await states.private.create_property("x").set(work, 1)
    else:
        await storage.put_if(key, b'{"x": 1}', etag=None)
    for user in ("b", "a/users/b"):
        report = await states.erase_user("test", user)
        assert report.ambiguous == (key,)
        assert report.removed == ()
        assert not report.complete
        export = await states.export_user("test", user)
        assert (export["ambiguous"], export["documents"]) == ([key], [])
    assert (await states.erase_user("test", "a")).ambiguous == ()
    assert await keys(states) == {key}


async def test_metadata_decides_where_a_key_does_not_tell(
    states: StateScopes, storage: CountingStorage
) -> None:
    # The key of this conversation is the key of Ann's private state in conversation c.
    async with states.unit_of_work(channel_id="test", conversation_id="c/users/ann/") as work:
        await states.conversation.create_property("x").set(work, 1)
    report = await states.erase_user("test", "ann")
    assert (report.removed, report.ambiguous) == ((), ("test/conversations/c/users/ann/",))
    other = StateScopes(storage, namespace="bot2")
    await remember(other, "ann", "d")
    report = await states.erase_user("test", "ann")
    assert report.removed == ("test/conversations/d/users/ann/bot2", "test/users/ann")


async def test_what_several_wrote_is_nobodys(states: StateScopes) -> None:
    key = "test/conversations/c/users/ann/"
    async with states.unit_of_work(channel_id="test", conversation_id="c/users/ann/") as work:
        await states.conversation.create_property("x").set(work, 1)
    async with states.unit_of_work(channel_id="test", user_id="ann", conversation_id="c") as work:
        await states.private.create_property("y").set(work, 1)
    assert (await states.erase_user("test", "ann")).ambiguous == (key,)


async def test_a_long_id_is_not_taken_for_the_hash_in_its_key(states: StateScopes) -> None:
    long = "u" * 1100
    await remember(states, long, "c")
    [key] = [k for k in await keys(states) if k.startswith("test/users/")]
    pretender = key.removeprefix("test/users/")
    report = await states.erase_user("test", pretender)
    assert report.removed == ()
    assert len(report.ambiguous) == 2
    assert len((await states.erase_user("test", long)).removed) == 2


async def test_a_turn_that_runs_meanwhile_brings_nothing_back(states: StateScopes) -> None:
    await remember(states, "ann", "1")
    bot = Bot(StateMiddleware(states))
    said = states.user.create_property("said")

    async def turn(turn_context: TurnContext) -> None:
        await said.set(turn_context, "more")
        await states.private.create_property("said").set(turn_context, "more")
        report = await states.erase_user("test", "ann")
        assert len(report.removed) == 2

    with pytest.raises(StateConflictError):
        await bot.turn(turn, message(user="ann", conversation="1"))
    assert await keys(states) == {"test/conversations/1"}


async def test_a_turn_that_saves_just_before_is_removed_too(
    states: StateScopes, faults: FaultyStorage
) -> None:
    await remember(states, "ann", "1")
    late = StateScopes(faults)
    held = faults.hold("delete")
    erasing = asyncio.ensure_future(states.erase_user("test", "ann"))
    await held.reached()
    await remember(late, "ann", "1")
    held.release()
    report = await erasing
    assert report.complete
    assert set(report.removed) == {"test/conversations/1/users/ann/", "test/users/ann"}
    assert await keys(states) == {"test/conversations/1"}


async def test_what_fails_is_reported_and_done_by_the_next_run(
    states: StateScopes, faults: FaultyStorage
) -> None:
    for conversation in ("1", "2"):
        await remember(states, "ann", conversation)
    faults.fail("delete", at=1)
    report = await states.erase_user("test", "ann")
    assert list(report.failed) == ["test/conversations/1/users/ann/"]
    assert len(report.removed) == 2
    assert not report.complete
    report = await states.erase_user("test", "ann")
    assert report.complete
    assert report.removed == ("test/conversations/1/users/ann/",)


async def test_a_listing_that_fails_raises(states: StateScopes, faults: FaultyStorage) -> None:
    faults.fail("list")
    with pytest.raises(StateStorageError):
        await states.erase_user("test", "ann")


# Handlers


async def test_handlers_go_first_once_each_with_work_and_user(states: StateScopes) -> None:
    order = states.shared.create_property("order")
    orders = states.user.create_property("orders")
    calls: list[tuple[str, Any]] = []

    @order.on_erase
    async def forget(work: Any, user: StateUser) -> None:
        calls.append(("forget", user))
        for number in await orders.get(work, list):
            await order.at(number).update(work, lambda o: {**o, "by": "someone"})

    @orders.on_erase
    def second(work: Any, user: StateUser) -> None:
        calls.append(("second", user))

    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        await orders.set(work, ["1", "2"])
        for number in ("1", "2"):
            await order.at(number).set(work, {"by": "ann"})
    await remember(states, "ann", "c")
    assert (await states.erase_user("test", "ann", dry_run=True)).handlers_run == 0
    report = await states.erase_user("test", "ann")
    user = StateUser("test", "ann")
    assert sorted(calls) == [("forget", user), ("second", user)]
    assert report.handlers_run == 2
    assert "test/users/ann" in report.removed
    assert await order.at("2").get(context()) == {"by": "someone"}


async def test_while_a_handler_fails_what_it_may_need_stays(
    states: StateScopes, caplog: pytest.LogCaptureFixture
) -> None:
    await remember(states, "ann", "1")
    note = states.shared.create_property("note")
    fails = [True, False]

    @note.on_erase
    async def forget(work: Any, user: StateUser) -> None:
        await note.at("1").set(work, "half")
        if fails.pop(0):
            raise RuntimeError("s3cret")

    report = await states.erase_user("test", "ann")
    assert report.failed == {"shared.note": "its handler raised RuntimeError"}
    assert (report.removed, report.handlers_run) == ((), 0)
    assert "shared.note" in caplog.text
    assert await note.at("1").get(context()) is None
    report = await states.erase_user("test", "ann")
    assert report.complete
    assert len(report.removed) == 2


async def test_who_keeps_a_record_of_saves_is_told(states: StateScopes) -> None:
    await remember(states, "ann", "1")
    told: list[SavedState] = []
    states.on_saved(told.append)
    report = await states.erase_user("test", "ann")
    assert [(each.key, each.is_removed) for each in told] == [(k, True) for k in report.removed]
    assert [each.scope for each in told] == ["private", "user"]


# Export


async def test_an_export_is_the_same_data_as_json(states: StateScopes) -> None:
    for user in ("ann", "bob"):
        for conversation in ("1", "2"):
            await remember(states, user, conversation)
    gone = states.user.create_property("gone", expires_after=timedelta(microseconds=1))
    order = states.shared.create_property("order")
    order.on_export(lambda work, user: {"orders": [user.user_id]})
    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        await gone.set(work, 1)
        await states.user.set_tags(work, {"plan": "gold"})
    rehearsed = await states.export_user("test", "ann", dry_run=True)
    export = await states.export_user("test", "ann")
    assert json.loads(json.dumps(export)) == export
    assert export["channel_id"] == "test"
    assert export["user_id"] == "ann"
    by_key = {entry["key"]: entry for entry in export["documents"]}
    assert by_key.keys() == {entry["key"] for entry in rehearsed["documents"]}
    assert set(by_key) == set((await states.erase_user("test", "ann", dry_run=True)).removed)
    private = by_key["test/conversations/1/users/ann/"]
    assert private["properties"] == {"x": {"said": "ann in 1"}}
    assert (private["scope"], private["conversation_id"]) == ("private", "1")
    user = by_key["test/users/ann"]
    assert user["properties"] == {"x": {"said": "ann in 2"}}
    assert (user["scope"], user["tags"]) == ("user", {"plan": "gold"})
    assert export["exported"] == {"shared.order": {"orders": ["ann"]}}
    assert rehearsed["exported"] == {}
    assert not any("properties" in entry for entry in rehearsed["documents"])
    assert "bob" not in json.dumps(export)


async def test_an_export_lists_what_it_could_not_read_and_goes_on(
    states: StateScopes, storage: CountingStorage, caplog: pytest.LogCaptureFixture
) -> None:
    for conversation in ("1", "3"):
        await remember(states, "ann", conversation)
    bad = "test/conversations/2/users/ann/"
    await storage.put_if(bad, b'{"$state": {"v": 99}, "x": "s3cret"}', etag=None)
    export = await states.export_user("test", "ann")
    assert list(export["failed"]) == [bad]
    assert "upgrade this instance" in export["failed"][bad]
    assert {entry["key"] for entry in export["documents"]} == {
        "test/conversations/1/users/ann/",
        "test/conversations/3/users/ann/",
        "test/users/ann",
    }
    assert bad in caplog.text
    assert "s3cret" not in caplog.text + json.dumps(export)


async def test_a_document_that_cannot_be_fetched_leaves_the_others_in_the_export(
    states: StateScopes, faults: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for conversation in ("1", "2"):
        await remember(states, "ann", conversation)
    bad = "test/conversations/1/users/ann/"
    get, get_many = faults.get, faults.get_many

    async def refuse(key: str) -> Any:
        if key == bad:
            raise RuntimeError("s3cret")
        return await get(key)

    async def refuse_many(keys: Any) -> Any:
        if bad in keys:
            raise RuntimeError("s3cret")
        return await get_many(keys)

    monkeypatch.setattr(faults, "get", refuse)
    monkeypatch.setattr(faults, "get_many", refuse_many)
    export = await states.export_user("test", "ann")
    assert export["failed"] == {bad: "it raised RuntimeError"}
    assert len(export["documents"]) == 2


async def test_an_export_of_which_nothing_can_be_read_raises(
    states: StateScopes, faults: FaultyStorage
) -> None:
    await remember(states, "ann", "1")
    faults.fail("get", times=10)
    with pytest.raises(StateStorageError):
        await states.export_user("test", "ann")


def _no_json(work: Any, user: StateUser) -> Any:
    return object()


def _raises(work: Any, user: StateUser) -> Any:
    raise LookupError("s3cret")


async def _is_cancelled(work: Any, user: StateUser) -> Any:
    inner = asyncio.ensure_future(asyncio.Event().wait())
    inner.cancel()
    await inner


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (_no_json, "its handler's answer is no JSON"),
        (_raises, "its handler raised LookupError"),
        (_is_cancelled, "its handler raised RuntimeError"),
    ],
)
async def test_a_handler_that_fails_leaves_the_rest_of_the_export(
    states: StateScopes, handler: Any, reason: str
) -> None:
    await remember(states, "ann", "1")
    states.shared.create_property("order").on_export(handler)
    states.user.create_property("cart").on_export(lambda work, user: [1])
    export = await states.export_user("test", "ann")
    assert export["failed"] == {"shared.order": reason}
    assert export["exported"] == {"user.cart": [1]}
    assert len(export["documents"]) == 2


async def test_a_handler_that_is_cancelled_from_within_has_failed(states: StateScopes) -> None:
    await remember(states, "ann", "1")
    called: list[str] = []
    states.user.create_property("cart").on_erase(lambda work, user: called.append("cart"))
    states.shared.create_property("order").on_erase(_is_cancelled)
    report = await states.erase_user("test", "ann")
    assert report.failed == {"shared.order": "its handler raised RuntimeError"}
    assert (report.removed, report.handlers_run, called) == ((), 1, ["cart"])


async def test_a_document_that_raises_anything_leaves_the_others_to_be_erased(
    states: StateScopes, faults: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for conversation in ("1", "2"):
        await remember(states, "ann", conversation)
    bad = "test/conversations/1/users/ann/"
    delete_if = faults.delete_if

    async def refuse(key: str, *, etag: str) -> bool:
        if key == bad:
            raise TypeError("s3cret")
        return await delete_if(key, etag=etag)

    monkeypatch.setattr(faults, "delete_if", refuse)
    report = await states.erase_user("test", "ann")
    assert report.failed == {bad: "it raised TypeError"}
    assert report.removed == ("test/conversations/2/users/ann/", "test/users/ann")


@pytest.mark.parametrize("bad", ["test/conversations/1/users/ann/", "test/users/ann"])
async def test_a_document_that_cannot_be_looked_up_is_reported_and_the_others_are_done(
    states: StateScopes, faults: FaultyStorage, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    for conversation in ("1", "2"):
        await remember(states, "ann", conversation)
    list_page = faults.list_page

    async def refuse(prefix: str = "", **options: Any) -> Any:
        if prefix == bad:
            raise OSError("s3cret")
        return await list_page(prefix, **options)

    monkeypatch.setattr(faults, "list_page", refuse)
    export = await states.export_user("test", "ann", conversation_ids=["1", "2"])
    report = await states.erase_user("test", "ann", conversation_ids=["1", "2"])
    assert export["failed"] == report.failed == {bad: "it raised OSError"}
    assert len(export["documents"]) == len(report.removed) == 2
    assert not report.complete


# Whose a document is


async def copy(storage: CountingStorage, source: str, target: str) -> None:
    """As an admin's copy does: with the metadata."""
    item = await storage.get(source)
    assert item is not None
    page = await storage.list_page(source, limit=1)
    await storage.put_if(target, item.data, etag=None, metadata=page.items[0].metadata)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("test/conversations/1/users/ann/", "test/conversations/1/users/bob/"),
        ("test/conversations/1/users/ann/", "test/conversations/2/users/ann/"),
        ("test/users/ann", "test/users/bob"),
        ("test/users/ann", "test/conversations/1/users/bob/"),
        ("test/conversations/1/users/ann/", "test/users/bob"),
    ],
)
async def test_a_copy_under_another_users_key_is_left_for_someone_to_look_at(
    states: StateScopes, storage: CountingStorage, source: str, target: str
) -> None:
    await remember(states, "ann", "1")
    await copy(storage, source, target)
    for user in ("ann", "bob"):
        export = await states.export_user("test", user)
        report = await states.erase_user("test", user, dry_run=True)
        assert target not in {entry["key"] for entry in export["documents"]}
        assert target not in report.removed
        is_found = user in target or (user in source and "/conversations/" in target)
        assert export["ambiguous"] == list(report.ambiguous) == [target] * is_found
    await states.erase_user("test", "ann")
    await states.erase_user("test", "bob")
    assert target in await keys(states)


@pytest.mark.parametrize("user", ["a/conversations/b", "conversations/b", "a/users/b"])
async def test_a_user_is_exported_as_one_whatever_their_id_looks_like(
    states: StateScopes, user: str
) -> None:
    plan = states.user.create_property(
        "plan", dict, version=2, migrations={1: lambda value: {**value, "v": 2}}
    )
    async with states.unit_of_work(channel_id="test", user_id=user) as work:
        await plan.set(work, {"name": "gold"})
    export = await states.export_user("test", user)
    [entry] = export["documents"]
    assert (entry["scope"], entry["conversation_id"]) == ("user", None)
    assert entry["properties"] == {"plan": {"name": "gold"}}
    assert export["failed"] == {}
    report = await states.erase_user("test", user)
    assert report.removed == (f"test/users/{user}",)


# Who


@pytest.mark.parametrize(
    ("channel", "user"),
    [("", "ann"), ("test", ""), ("a/users/b", "c"), ("test", "a\\b"), ("test", "\ud800")],
)
async def test_nobody_is_called_so(channel: str, user: str) -> None:
    states = StateScopes(MemoryStorage())
    with pytest.raises(StateKeyError):
        await states.erase_user(channel, user)
    with pytest.raises(StateKeyError):
        await states.export_user(channel, user)


ids = st.lists(
    st.sampled_from(["users", "conversations", "a", "b", "", "c", "é", "%2F", "=", "test", " "]),
    min_size=1,
    max_size=5,
).map("/".join)


@given(
    st.lists(st.tuples(ids, ids), min_size=2, max_size=6, unique=True), st.sampled_from(["", "ns"])
)
@example([("b", "c/users/a"), ("a/users/b", "c")], "")
async def test_nobody_elses_is_reached_whatever_the_ids(
    people: list[tuple[str, str]], namespace: str
) -> None:
    assume(all(user and conversation for user, conversation in people))
    states = StateScopes(MemoryStorage(), namespace=namespace)
    said = [scope.create_property("said") for scope in (states.user, states.private)]
    owners: dict[str, set[str]] = {}
    for user, conversation in people:
        async with states.unit_of_work(
            channel_id="test", user_id=user, conversation_id=conversation
        ) as work:
            for prop in said:
                await prop.set(work, user)
            for scope in (states.user, states.private):
                owners.setdefault(scope.get_storage_key(work), set()).add(user)
    victim = people[0][0]
    export = await states.export_user("test", victim)
    report = await states.erase_user("test", victim)
    assert set(report.removed) == {entry["key"] for entry in export["documents"]}
    for key in report.removed:
        assert owners[key] == {victim}
    for key, users in owners.items():
        if victim in users:
            assert key in (*report.removed, *report.ambiguous)
    assert await keys(states) == owners.keys() - set(report.removed)


# A user who is gone


def removal(type_: str, action: str | None = None, kind: str | None = None) -> Activity:
    activity = message(user="ann", conversation="1")
    activity.type, activity.action = type_, action
    activity.conversation.conversation_type = kind
    return activity


@pytest.mark.parametrize(
    ("activity", "is_gone"),
    [
        (removal("deleteUserData"), True),
        (removal("contactRelationUpdate", "remove"), True),
        (removal("contactRelationUpdate", "add"), False),
        (removal("installationUpdate", "remove", "personal"), True),
        (removal("installationUpdate", "remove", "channel"), False),
        (removal("installationUpdate", "remove"), False),
        (removal("installationUpdate", "remove-upgrade", "personal"), False),
        (removal("installationUpdate", "add", "personal"), False),
        (removal("conversationUpdate", "remove"), False),
        (removal("message"), False),
    ],
)
@pytest.mark.parametrize("on_conflict", ["merge", "replay"])
async def test_a_user_who_is_gone_is_erased(
    activity: Activity, is_gone: bool, on_conflict: Any
) -> None:
    for erases in (True, False):
        states = StateScopes(MemoryStorage())
        bot = Bot(StateMiddleware(states, on_conflict=on_conflict, erase_on_removal=erases))
        for conversation in ("1", "2"):
            await remember(states, "ann", conversation)
        await remember(states, "bob", "1")
        before = await keys(states)

        async def say(turn_context: TurnContext, states: StateScopes = states) -> None:
            for scope in (states.user, states.conversation, states.private):
                await scope.create_property("last").set(turn_context, "words")

        await bot.turn(say, activity)
        theirs = {key for key in before if "users/ann" in key}
        assert await keys(states) == (before - theirs if is_gone and erases else before)
        last = await states.conversation.create_property("last").get(context(activity))
        assert last == "words", "the conversation is others' too"


async def test_without_a_listing_the_removal_does_what_it_can(
    caplog: pytest.LogCaptureFixture,
) -> None:
    states = StateScopes(PlainStorage())
    await remember(states, "ann", "1")
    bot = Bot(StateMiddleware(states, erase_on_removal=True))

    async def nothing(turn_context: TurnContext) -> None:
        pass

    with caplog.at_level(logging.WARNING):
        await bot.turn(nothing, removal("deleteUserData"))
    assert "cannot list" in caplog.text
    turn = context(message(user="ann", conversation="1"))
    assert await states.user.create_property("x").get(turn) is None
    assert await states.private.create_property("x").get(turn) is None


async def test_a_removal_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    faults = FaultyStorage(MemoryStorage())
    states = StateScopes(faults)
    await remember(states, "ann", "1")
    bot = Bot(StateMiddleware(states, erase_on_removal=True))
    faults.fail("delete", at=1)

    async def nothing(turn_context: TurnContext) -> None:
        pass

    await bot.turn(nothing, removal("deleteUserData"))
    [error] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "test/conversations/1/users/ann/" in error.getMessage()
    assert "said" not in caplog.text


async def test_a_key_function_finds_the_users_document_by_the_turn() -> None:
    states = StateScopes(
        MemoryStorage(), user_key=lambda turn: turn.activity.from_property.aad_object_id
    )
    activity = removal("deleteUserData")
    activity.from_property.aad_object_id = "one person"
    bot = Bot(StateMiddleware(states, erase_on_removal=True))
    name = states.user.create_property("name")
    async with states.unit_of_work(reference_to(activity)) as work:
        await name.set(work, "Ann")
    assert await keys(states) == {"user/one%20person"}

    async def nothing(turn_context: TurnContext) -> None:
        pass

    await bot.turn(nothing, activity)
    assert await keys(states) == set()


async def test_a_handler_whose_inner_task_is_cancelled_is_reported() -> None:
    states = StateScopes(MemoryStorage())

    @states.user.create_property("name").on_erase
    async def cancelled(work: Any, user: StateUser) -> None:
        inner = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(inner.cancel)
        await inner

    report = await states.erase_user("test", "user")
    assert list(report.failed.values()) == ["its handler raised RuntimeError"]
