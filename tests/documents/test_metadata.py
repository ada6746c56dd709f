"""``$state`` as anyone may have written it: understood, or refused with an error of ours."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from botstate_ext import StateDecodeError, StateTooLargeError
from botstate_ext.documents.document import Document
from botstate_ext.documents.document_tags import MAX_BYTES, MAX_TAGS
from botstate_ext.documents.metadata import RESERVED, parse_document, storage_metadata
from botstate_ext.documents.policy import Policies, PropertyPolicy
from botstate_ext.documents.revision import apply_changes, build_revision
from botstate_ext.serialization.json_codec import JsonCodec
from botstate_ext.storage import MemoryStorage
from botstate_ext.storage.keycheck import check_metadata
from tests.backends import read_all
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context

KEY = "test/users/user"
NOW = datetime(2024, 3, 1, tzinfo=timezone.utc)

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["2024-03-01T00:00:00Z", "9999-12-31T23:59:59.9Z", "0001-01-01T00:00:00Z"])
    | st.sampled_from(["2024-03-01T00:00:00", "P1D", "-P9D", "=several", "\ud800"])
)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def of(*names: str, **typical: Any) -> Any:
    """An object with some of these entries, of any type or of a typical one."""
    entries = dict.fromkeys(names, anything)
    entries |= {name: anything | strategy for name, strategy in typical.items()}
    return st.fixed_dictionaries({}, optional=entries)


times = of("created", "updated", "expires", "handler", "reference", "version", "lifetime")
entry = of("id", "name", "value", "expired", "created", "until", "attempts", "reference", "version")
typical = of(
    "v",
    "scope",
    "created",
    "updated",
    owner=st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
    props=st.dictionaries(st.sampled_from(["p", "q"]), times | anything),
    writes=st.lists(st.text(max_size=3)),
    tags=st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
    expiring=st.lists(entry, max_size=2),
    handled=st.dictionaries(st.text(max_size=5), anything),
)


def stored_document(state: Any) -> Document:
    text = json.dumps({"p": 1, "q": {"r": [1]}, RESERVED: state}).encode()
    document = Document(KEY, "user", Policies(PropertyPolicy(JsonCodec())))
    document.fill(text, "1", NOW)
    return document


@given(typical | anything)
@example({"v": 1, "expiring": None})
@example({"v": 1, "expiring": 7})
@example({"v": 1, "expiring": True})
@example({"v": 1, "expiring": [None]})
@example({"v": 1, "expiring": [{"value": float("nan")}], "props": []})
@example({"v": 1, "tags": {"\ud800": "x"}})
@example({"v": 1, "owner": {"Ü": "x", "channel": "\n"}})
@example(None)
def test_any_state_reads_or_is_refused_with_an_error_of_ours(state: Any) -> None:
    document = stored_document(state)
    try:
        assert document.stored.keys() <= {"p", "q"}
    except StateDecodeError:
        return
    document.newly_expiring(NOW)
    document.metadata.next_expiry()
    document.metadata.handled_at(NOW)
    assert document.tags is not None
    check_metadata(KEY, storage_metadata(document.stored, document.metadata))


@given(typical)
def test_what_reads_can_be_changed_and_written(state: Any) -> None:
    document = stored_document(state)
    try:
        document.set("p", 2)
    except StateDecodeError:
        return
    changes = document.changes()
    revision = build_revision(
        document, apply_changes(document, changes), changes, "w", NOW + timedelta(seconds=1)
    )
    check_metadata(KEY, revision.item_metadata)
    assert parse_document(revision.text).metadata.writes[-1:] == ["w"]


@pytest.mark.parametrize("expiring", [None, 7, True, "x", {"a": 1}, [7]])
async def test_a_turn_that_uses_a_damaged_document_says_so(expiring: Any) -> None:
    memory = MemoryStorage()
    text = json.dumps({"p": 1, RESERVED: {"v": 1, "expiring": expiring}}).encode()
    await memory.put_if(KEY, text, etag=None)
    states = StateScopes(memory)
    p = states.user.create_property("p")
    for use in (p.get, lambda turn: p.set(turn, 1)):
        with pytest.raises(StateDecodeError, match="damaged"):
            await Bot(StateMiddleware(states)).turn(use)
    report = await states.sweep()
    assert report.failed + report.seen >= 1
    item = await memory.get(KEY)
    assert item is not None
    assert item.data == text, "it is left as it was"


# Tags over the limits, which only another program can have stored


TOO_MANY = {f"tag{number}": "x" for number in range(MAX_TAGS + 5)}
TOO_LONG = {"first": "short", "long": "x" * (MAX_BYTES + 1), "last": "short"}
NOT_TEXT = {"half": "\ud800", "whole": "x"}


@pytest.mark.parametrize("tags", [TOO_MANY, TOO_LONG, NOT_TEXT])
async def test_a_document_with_too_many_tags_can_be_saved(tags: dict[str, str]) -> None:
    memory = MemoryStorage()
    text = json.dumps({"p": 1, RESERVED: {"v": 1, "tags": tags}}).encode()
    await memory.put_if(KEY, text, etag=None)
    states = StateScopes(memory)
    p = states.user.create_property("p")
    await Bot(StateMiddleware(states)).turn(lambda turn: p.set(turn, 2))
    assert await read_all(states.user) == {"p": 2}
    assert await states.user.tags(context()) == tags, "what nobody changed is kept"
    (record,) = (await states.user.list_documents()).items
    assert record.tags.items() <= tags.items(), "and a listing shows what fits"
    assert record.tags


async def test_a_change_of_them_is_held_to_the_limits() -> None:
    memory = MemoryStorage()
    text = json.dumps({"p": 1, RESERVED: {"v": 1, "tags": TOO_MANY}}).encode()
    await memory.put_if(KEY, text, etag=None)
    states = StateScopes(memory)

    async def adds(turn: TurnContext) -> None:
        await states.user.set_tags(turn, {**TOO_MANY, "more": "x"})

    with pytest.raises(StateTooLargeError):
        await Bot(StateMiddleware(states)).turn(adds)
    await Bot(StateMiddleware(states)).turn(lambda turn: states.user.set_tags(turn, {"one": "x"}))
    assert await states.user.tags(context()) == {"one": "x"}


# Names


@pytest.mark.parametrize("name", [5, None, b"x", ("a",), 1.5])
async def test_a_name_that_is_no_string_is_refused_where_it_is_given(name: Any) -> None:
    states = StateScopes(MemoryStorage())
    with pytest.raises(TypeError, match="name"):
        states.user.create_property(name)
    turn = context()
    await states.user.load(turn)
    view = states.view(turn).user
    for give in (
        lambda: view.__setitem__(name, 2),
        lambda: view.setdefault(name, 2),
        lambda: view.update({name: 2}),
        lambda: view.__ior__({name: 2}),
    ):
        with pytest.raises(TypeError, match="name of a property is a string"):
            give()
    with pytest.raises(TypeError, match="name"):
        await states.user.set_state(turn, name, 2)
    data = await states.user.read_data(turn)
    with pytest.raises(TypeError, match="name of a property is a string"):
        data.set(name, 2)
    await states.user.save_changes(turn)
    assert await read_all(states.user) == {}
