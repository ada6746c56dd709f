"""Listings, scans and tags."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext import (
    DocumentRecord,
    StateConflictError,
    StateEncodeError,
    StateKeyError,
    StateQueryError,
    StateStorageError,
    StateTooLargeError,
)
from botstate_ext.listing.continuation import ListingCursor, from_token, to_token
from botstate_ext.listing.records import record_of
from botstate_ext.scopes.scope import StateScope
from botstate_ext.storage import BlobStorage, MemoryStorage, StateStorage, as_state_storage
from botstate_ext.storage.base import ItemInfo
from botstate_ext.testing import CountingStorage, FaultyStorage, ManualClock
from tests.storage.plain import PlainStorage
from tests.turns import Bot, StateMiddleware, StateScopes, UpstreamMemoryStorage, context, message

START = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


@pytest.fixture(params=["memory", "upstream", "blob"])
async def storage(
    request: pytest.FixtureRequest, container_name: str
) -> AsyncIterator[CountingStorage]:
    if request.param == "memory":
        yield CountingStorage(MemoryStorage())
    elif request.param == "upstream":
        yield CountingStorage(as_state_storage(UpstreamMemoryStorage()))
    else:
        azurite = request.getfixturevalue("azurite")
        async with BlobStorage(connection_string=azurite, container_name=container_name) as blob:
            yield CountingStorage(blob)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def states(storage: StateStorage, clock: ManualClock) -> StateScopes:
    return StateScopes(storage, clock=clock)


async def store(
    states: StateScopes,
    scope: StateScope,
    user: str | None = "ann",
    conversation: str | None = "c",
    channel: str = "test",
    tags: dict[str, str] | None = None,
) -> None:
    async with states.unit_of_work(
        channel_id=channel, user_id=user, conversation_id=conversation
    ) as work:
        await scope.create_property("x").set(work, {"by": user})
        if tags is not None:
            await scope.set_tags(work, tags)


async def ids(scope: StateScope, **options: object) -> list[str | None]:
    return [record.id async for record in scope.scan(**options)]  # type: ignore[arg-type]


async def by_pages(scope: StateScope, limit: int, **options: object) -> list[list[str | None]]:
    pages, token = [], None
    while True:
        page = await scope.list_documents(limit, token, **options)  # type: ignore[arg-type]
        pages.append([record.id for record in page.items])
        token = page.continuation_token
        if token is None:
            return pages


async def test_each_scope_lists_its_own(states: StateScopes, storage: CountingStorage) -> None:
    for scope in (states.user, states.conversation, states.private, states.bot):
        await store(states, scope)
    await store(states, states.shared.at("a/b"))
    await store(states, states.workflow.at("w"))
    team = states.scope("team")
    await store(states, team.at("t"))
    storage.reset()
    assert await ids(states.user) == ["ann"]
    assert await ids(states.conversation) == ["c"]
    assert await ids(states.private) == ["ann"]
    assert await ids(states.bot) == ["bot"]
    assert await ids(states.shared) == ["a/b"]
    assert await ids(states.workflow) == ["w"]
    assert await ids(team) == ["t"]
    assert storage.bodies == 0


async def test_a_record_tells_all_without_the_body(
    states: StateScopes, storage: CountingStorage, clock: ManualClock
) -> None:
    visit = states.private.create_property("visit", expires_after=HOUR)
    async with states.unit_of_work(
        channel_id="test", user_id="älice/1", conversation_id="c d"
    ) as work:
        await visit.set(work, 1)
        await states.private.set_tags(work, {"kind": "fußball ⚽"})
    clock.advance(HOUR / 2)
    async with states.unit_of_work(
        channel_id="test", user_id="älice/1", conversation_id="c d"
    ) as work:
        await visit.set(work, 2)
    storage.reset()
    [record] = (await states.private.list_documents()).items
    assert record == DocumentRecord(
        scope="private",
        key="test/conversations/c d/users/älice/1/",
        id="älice/1",
        channel_id="test",
        user_id="älice/1",
        conversation_id="c d",
        created=START,
        updated=START + HOUR / 2,
        expires=START + 1.5 * HOUR,
        tags={"kind": "fußball ⚽"},
        size=record.size,
    )
    assert record.size > 50
    assert storage.bodies == 0


async def test_what_has_expired_as_a_whole_is_not_listed(
    states: StateScopes, clock: ManualClock
) -> None:
    cart = states.conversation.create_property("cart", expires_after=HOUR)
    for conversation in ("a", "b"):
        async with states.unit_of_work(channel_id="t", conversation_id=conversation) as work:
            await cart.set(work, 1)
            if conversation == "b":
                await states.conversation.create_property("stays").set(work, 1)
    clock.advance(HOUR)
    assert await ids(states.conversation) == ["b"]


async def test_across_channels_by_pages(states: StateScopes) -> None:
    for channel in ("msteams", "emulator", "z"):
        for number in range(5):
            await store(states, states.user, f"u{number}", channel=channel)
        await store(states, states.private, channel=channel)
        await store(states, states.conversation, channel=channel)
    everyone = [f"u{number}" for number in range(5)] * 3
    for limit in (1, 3, 5, 100):
        pages = await by_pages(states.user, limit)
        assert [user for page in pages for user in page] == everyone
        assert all(len(page) == limit for page in pages[:-2])
    assert await by_pages(states.user, 3, channel_id="z") == [["u0", "u1", "u2"], ["u3", "u4"]]
    assert await by_pages(states.private, 2) == [["ann", "ann"], ["ann"]]
    assert await by_pages(states.user, 3, channel_id="nobody") == [[]]


async def test_key_functions_and_upstream_keys_in_one_listing(storage: StateStorage) -> None:
    states = StateScopes(storage, user_key=lambda turn: turn.activity.from_property.name)
    named = states.user.create_property("x")
    for user, name in (("1", "linked"), ("2", None)):
        async with states.unit_of_work(channel_id="test", user_id=user) as work:
            work.activity.from_property.name = name
            await states.user.load(work)
            await named.set(work, 1)
            await states.user.save_changes(work)
    assert [r.key async for r in states.user.scan()] == ["user/linked", "test/users/2"]


async def test_what_upstream_wrote_is_listed_by_its_key(
    states: StateScopes, storage: CountingStorage
) -> None:
    for key in (
        "test/users/u",
        "test/conversations/c",
        "test/conversations/c/users/u/",
        "test/conversations/c/users/u/other",  # another namespace's
        "test/conversations/c/users/a/users/b/",  # of two readings
        "transcripts/2024/file.txt",
        "alone",
    ):
        await storage.put_if(key, b'{"x": 1}', etag=None)
    [user] = [record async for record in states.user.scan()]
    assert (user.id, user.channel_id, user.created) == ("u", "test", None)
    assert (user.expires, user.tags) == (None, {})
    [conversation] = [record async for record in states.conversation.scan()]
    assert (conversation.id, conversation.conversation_id) == ("c", "c")
    two, one = sorted([record async for record in states.private.scan()], key=lambda r: r.key)
    assert (one.user_id, one.conversation_id) == ("u", "c")
    assert (two.user_id, two.conversation_id, two.channel_id) == (None, None, "test")


async def test_metadata_of_someone_else_is_no_trouble(
    states: StateScopes, storage: CountingStorage
) -> None:
    theirs = {"stateexpires": "2020-01-01", "statecreated": "soon", "statetags": "e30="}
    for key in ("shared/%FF", "shared/=hash", "shared/plain", "test/users/%FF"):
        await storage.put_if(key, b"{}", etag=None, metadata=theirs)
    records = [record async for record in states.shared.scan()]
    assert [record.id for record in records] == [None, None, "plain"]
    assert {(r.created, r.expires, *r.tags) for r in records} == {(None, None)}
    assert await ids(states.user) == ["%FF"], "upstream's keys are not encoded"


async def test_documents_that_come_and_go_neither_repeat_nor_hide_others(
    states: StateScopes,
) -> None:
    for number in range(0, 20, 2):
        await store(states, states.shared.at(f"{number:02}"))
    first = await states.shared.list_documents(5)
    assert [record.id for record in first.items] == ["00", "02", "04", "06", "08"]
    turn = context()
    await states.shared.at("08").delete(turn)
    await states.shared.at("10").delete(turn)
    for added in ("01", "13"):
        await store(states, states.shared.at(added))
    again = StateScopes(states.storage)  # as after a restart
    rest = await again.shared.list_documents(5, first.continuation_token)
    assert [record.id for record in rest.items] == ["12", "13", "14", "16", "18"]
    assert rest.continuation_token is None


async def test_by_tags(states: StateScopes) -> None:
    for number in range(12):
        tags = {"even": "yes"} if number % 2 == 0 else {"odd": "yes"}
        await store(states, states.shared.at(f"{number:02}"), tags={**tags, "all": "1"})
    even = [f"{number:02}" for number in range(0, 12, 2)]
    assert await by_pages(states.shared, 4, tags={"even": "yes"}) == [even[:4], even[4:]]
    assert await ids(states.shared, tags={"even": "yes", "odd": "yes"}) == []
    assert len(await ids(states.shared, tags={"all": "1"})) == 12
    assert await ids(states.shared, tags={"all": "2"}) == []


async def test_by_tags_while_documents_come_and_go(states: StateScopes) -> None:
    for number in range(10):
        await store(states, states.shared.at(f"{number:02}"), tags={"k": "v"})
    first = await states.shared.list_documents(3, tags={"k": "v"})
    await states.shared.at("02").delete(context())
    await store(states, states.shared.at("021"), tags={"k": "v"})
    rest = await states.shared.list_documents(100, first.continuation_token, tags={"k": "v"})
    assert [r.id for r in rest.items] == ["021", *(f"{number:02}" for number in range(3, 10))]


async def test_scan_where_reads_bodies_and_shows_them_on_the_record_only(
    states: StateScopes, storage: CountingStorage, clock: ManualClock
) -> None:
    order = states.shared.create_property("order")
    for number in range(5):
        async with states.unit_of_work() as work:
            await order.at(str(number)).set(work, {"price": number, "note": "s3cret"})
            await (
                states.shared.at(str(number))
                .create_property("gone", expires_after=HOUR)
                .set(work, 1)
            )
    clock.advance(HOUR)
    storage.reset()
    found = [record async for record in states.shared.scan("$.order[?@ > 2]")]
    assert [record.id for record in found] == ["3", "4"]
    assert found[0].data == {"order": {"price": 3, "note": "s3cret"}}
    assert "s3cret" not in repr(found)
    assert storage.operations["get"] == 1
    assert [r.data is None async for r in states.shared.scan(data=True)] == [False] * 5


async def test_a_scan_passes_over_what_it_cannot_read(
    states: StateScopes, storage: StateStorage, caplog: pytest.LogCaptureFixture
) -> None:
    await store(states, states.shared.at("good"))
    await storage.put_if("shared/bad", b'{"$state": {"v": 99}}', etag=None)
    with caplog.at_level(logging.WARNING):
        assert await ids(states.shared, data=True) == ["good"]
    assert "shared/bad" in caplog.text
    assert await ids(states.shared) == ["bad", "good"]


async def test_one_bad_document_stops_neither_a_listing_nor_a_scan(
    states: StateScopes,
    storage: CountingStorage,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for ident in ("a", "b", "c"):
        await store(states, states.shared.at(ident))
    get, get_many = storage.get, storage.get_many

    async def refuse(key: str) -> object:
        if key == "shared/b":
            raise KeyError("s3cret")
        return await get(key)

    async def refuse_many(keys: list[str]) -> object:
        if "shared/b" in keys:
            raise KeyError("s3cret")
        return await get_many(keys)

    monkeypatch.setattr(storage, "get", refuse)
    monkeypatch.setattr(storage, "get_many", refuse_many)
    assert await ids(states.shared, where="$.x") == ["a", "c"]
    assert "passed over 'shared/b', which raised: KeyError" in caplog.text

    def broken(info: ItemInfo, *others: Any) -> DocumentRecord:
        if info.key == "shared/a":
            raise OverflowError("s3cret")
        return record_of(info, *others)

    monkeypatch.setattr("botstate_ext.listing.listing.record_of", broken)
    assert await ids(states.shared) == ["b", "c"]
    assert "passed over 'shared/a': its metadata raised OverflowError" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_path_over_its_limit_on_one_document_leaves_the_others(
    states: StateScopes, storage: CountingStorage, caplog: pytest.LogCaptureFixture
) -> None:
    await store(states, states.shared.at("small"))
    wide = json.dumps({"x": [0] * 2000}).encode()
    await storage.put_if("shared/wide", wide, etag=None)
    assert await ids(states.shared, where="$.x[?count($..*) > 0]") == ["small"]
    assert "'shared/wide'" in caplog.text
    assert "over the limit on work" in caplog.text


async def test_a_scan_of_a_storage_that_fails_raises(states: StateScopes) -> None:
    await store(states, states.shared.at("a"))
    await store(states, states.shared.at("b"))
    faults = FaultyStorage(states.storage)
    faults.fail("get", times=10)
    with pytest.raises(StateStorageError):
        await ids(StateScopes(faults).shared, data=True)


async def test_a_copy_under_another_key_is_listed_without_an_owner(
    states: StateScopes, storage: CountingStorage
) -> None:
    for scope in (states.user, states.private):
        await store(states, scope)
    copies = {
        "test/users/ann": "test/users/bob",
        "test/conversations/c/users/ann/": "test/conversations/c/users/bob/",
    }
    for source, target in copies.items():
        item = await storage.get(source)
        page = await storage.list_page(source, limit=1)
        assert item is not None
        await storage.put_if(target, item.data, etag=None, metadata=page.items[0].metadata)
    for scope, target in zip((states.user, states.private), copies.values(), strict=True):
        records = {record.key: record async for record in scope.scan()}
        assert len(records) == 2
        copy = records.pop(target)
        assert (copy.id, copy.user_id, copy.conversation_id) == (None, None, None)
        [original] = records.values()
        assert original.user_id == "ann"


# Tokens


async def test_a_token_of_another_scope_or_channel_is_refused(states: StateScopes) -> None:
    for channel in ("a", "b"):
        for user in ("1", "2"):
            await store(states, states.user, user, channel=channel)
    token = (await states.user.list_documents(1)).continuation_token
    assert token is not None
    for scope in (states.conversation, states.private, states.shared, states.scope("user2")):
        with pytest.raises(StateQueryError, match="token"):
            await scope.list_documents(1, token)
    token = (await states.user.list_documents(1, channel_id="a")).continuation_token
    with pytest.raises(StateQueryError, match="channel"):
        await states.user.list_documents(1, token, channel_id="b")


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    token = to_token("user", ListingCursor("test", "marker", "test/users/1"))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="
    changed = data.draw(
        st.one_of(
            st.text(),
            st.text(alphabet),
            st.integers(0, len(token) - 1).map(lambda end: token[:end]),
            st.tuples(st.integers(0, len(token) - 1), st.sampled_from(alphabet)).map(
                lambda change: token[: change[0]] + change[1] + token[change[0] + 1 :]
            ),
            st.text(alphabet, min_size=1).map(lambda more: token + more),
        ).filter(lambda text: text != token)
    )
    with pytest.raises(StateQueryError):
        from_token("user", changed)


@given(
    st.none() | st.text(max_size=30) | st.sampled_from(["shared", "a/conversations", "a"]),
    st.none() | st.sampled_from(["", "a/users/0", "shared/", "shared/secret"]),
    st.text(max_size=10) | st.just(""),
)
async def test_a_forged_token_reaches_no_other_scope(
    channel: str | None, marker: str | None, after: str
) -> None:
    """Someone who knows how tokens are made can only skip documents of the scope."""
    forged = to_token("user", ListingCursor(channel, marker, after))

    states = StateScopes(MemoryStorage())
    await store(states, states.user, "1", channel="a")
    await store(states, states.shared.at("secret"))
    await store(states, states.private, "2", channel="a")
    await store(states, states.conversation, "2", channel="shared")
    try:
        found = (await states.user.list_documents(100, forged)).items
    except StateQueryError:
        return
    assert {record.key for record in found} <= {"a/users/1"}


async def test_wrong_questions(states: StateScopes) -> None:
    with pytest.raises(ValueError, match="limit"):
        await states.user.list_documents(0)
    with pytest.raises(StateKeyError, match="channel"):
        await states.shared.list_documents(channel_id="test")
    for channel in ("", "a/users/b"):
        with pytest.raises(StateKeyError, match="channel"):
            await states.user.list_documents(channel_id=channel)
    with pytest.raises(StateQueryError):
        [record async for record in states.user.scan("$[")]


async def test_a_storage_that_lists_nothing_says_so() -> None:
    states = StateScopes(PlainStorage())
    with pytest.raises(StateStorageError, match="cannot list"):
        await states.user.list_documents()


# Tags


async def test_tags_are_saved_with_the_turn(states: StateScopes, storage: CountingStorage) -> None:
    bot = Bot(StateMiddleware(states))

    async def turn(turn_context: object) -> None:
        assert await states.user.tags(turn_context) == {}
        await states.user.set_tags(turn_context, {"plan": "gold", "city": "Köln"})
        assert await states.user.tags(turn_context) == {"plan": "gold", "city": "Köln"}

    await bot.turn(turn)
    item = await storage.get("test/users/user")
    assert item is not None
    assert json.loads(item.data)["$state"]["tags"] == {"plan": "gold", "city": "Köln"}
    assert await states.user.tags(context()) == {"plan": "gold", "city": "Köln"}
    storage.reset()
    await bot.turn(
        lambda turn_context: states.user.set_tags(turn_context, {"plan": "gold", "city": "Köln"})
    )
    assert not storage.keys_written, "nothing changed"
    await bot.turn(lambda turn_context: states.user.set_tags(turn_context, {}))
    assert await states.user.tags(context()) == {}
    [record] = (await states.user.list_documents()).items
    assert record.tags == {}


async def test_tags_of_a_turn_that_failed_are_forgotten(states: StateScopes) -> None:
    bot = Bot(StateMiddleware(states))

    async def turn(turn_context: object) -> None:
        await states.user.set_tags(turn_context, {"plan": "gold"})
        raise RuntimeError("the bot")

    with pytest.raises(RuntimeError, match="the bot"):
        await bot.turn(turn)
    assert await states.user.tags(context()) == {}


async def test_two_who_change_different_tags_are_merged(states: StateScopes) -> None:
    await store(states, states.user, tags={"a": "1", "b": "1", "c": "1"})
    one, two = context(message(user="ann")), context(message(user="ann"))
    await states.user.set_tags(one, {"a": "2", "b": "1", "c": "1"})
    await states.user.set_tags(two, {"a": "1", "b": "1", "d": "1"})
    await states.user.save_changes(one)
    await states.user.save_changes(two)
    assert await states.user.tags(context(message(user="ann"))) == {"a": "2", "b": "1", "d": "1"}


@pytest.mark.parametrize("on_conflict", ["merge", "raise"])
async def test_tags_bring_no_deleted_document_back(states: StateScopes, on_conflict: str) -> None:
    await store(states, states.user)
    bot = Bot(StateMiddleware(states, on_conflict=on_conflict))  # type: ignore[arg-type]

    async def turn(turn_context: object) -> None:
        await states.user.set_tags(turn_context, {"plan": "gold"})
        await states.user.delete(context(message(user="ann")))

    with pytest.raises(StateConflictError):
        await bot.turn(turn, message(user="ann"))
    assert await ids(states.user) == []


async def test_the_limits_of_tags(states: StateScopes) -> None:
    turn = context()
    most = {f"{number:02}" + "é" * 31: "é" * 32 for number in range(32)}
    assert sum(len((name + text).encode()) for name, text in most.items()) == 4096
    await states.user.set_tags(turn, most)
    await states.user.save_changes(turn)
    [record] = (await states.user.list_documents()).items
    assert record.tags == most
    with pytest.raises(StateTooLargeError, match="32"):
        await states.user.set_tags(turn, {str(number): "" for number in range(33)})
    with pytest.raises(StateTooLargeError, match="4096"):
        await states.user.set_tags(turn, {"a": "x" * 4096})
    with pytest.raises(TypeError, match="strings"):
        await states.user.set_tags(turn, {"a": 1})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="mapping"):
        await states.user.set_tags(turn, ["a"])  # type: ignore[arg-type]
    with pytest.raises(StateEncodeError, match="surrogate"):
        await states.user.set_tags(turn, {"a": "\ud800"})
    assert await states.user.tags(turn) == most


async def test_the_longest_ids_and_most_tags_fit_beside_a_document(states: StateScopes) -> None:
    long = "界" * 171  # just not hashed in the metadata, once percent-encoded
    turn = context(message(user=long, conversation=long, channel="c" * 300))
    await states.private.create_property("x", expires_after=HOUR).set(turn, 1)
    await states.private.set_tags(turn, {"t": '\x01"\\' * 1365})
    await states.private.save_changes(turn)
    [record] = (await states.private.list_documents()).items
    assert record.tags == {"t": '\x01"\\' * 1365}
    assert record.channel_id == "c" * 300


async def test_tags_together_over_the_limit_fail_the_later_save(states: StateScopes) -> None:
    await store(states, states.user)
    one, two = context(message(user="ann")), context(message(user="ann"))
    await states.user.set_tags(one, {f"one{number}": "" for number in range(20)})
    await states.user.set_tags(two, {f"two{number}": "" for number in range(20)})
    await states.user.save_changes(one)
    with pytest.raises(StateTooLargeError):
        await states.user.save_changes(two)
