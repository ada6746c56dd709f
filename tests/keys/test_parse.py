"""Keys are read back: each to the ids that it was made of, and no text fails."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.keys.build import hashed
from botstate_ext.keys.parse import KeyReading, ParsedKey, is_hashed, is_own_key, parse
from botstate_ext.keys.scopes import SCOPES, ScopeRow, own_scope
from tests.turns import message

ids = st.text(min_size=1, max_size=40) | st.lists(
    st.sampled_from(["users", "conversations", "a", "b", "", "c", "%2F", "=", "shared", " "]),
    min_size=1,
    max_size=5,
).map("/".join).filter(bool)
WITH_ID = [row for row in (*SCOPES.values(), own_scope("team")) if row.prefix is not None]


@given(st.sampled_from(WITH_ID), ids)
def test_a_key_that_holds_an_id_gives_it_back(row: ScopeRow, ident: str) -> None:
    assert parse(row.key(ident)) == ParsedKey(row.name, id=ident)
    assert is_own_key(row.key(ident))


@given(
    st.sampled_from(["user", "conversation", "private"]),
    ids,
    ids,
    st.sampled_from(["", "ns", "users"]),
)
def test_a_key_of_the_sdk_has_the_reading_that_it_was_made_of(
    scope: str, user: str, conversation: str, namespace: str
) -> None:
    row = SCOPES[scope]
    assert row.activity_key is not None
    activity = message(user=user, conversation=conversation, channel="test")
    parts: dict[str, Any] = {"channel": "test", "user": user, "conversation": conversation}
    expected = KeyReading(scope, **{part: parts[part] for part in row.owner})
    key = row.activity_key(activity, namespace)
    for known in (namespace, None):
        parsed = parse(key, known)
        # A conversation's id may look like a private key of another namespace.
        if parsed is not None or scope != "conversation":
            assert parsed is not None
            assert expected in parsed.readings
            assert parsed.own_readings


@given(st.text() | ids, st.none() | st.sampled_from(["", "ns"]))
def test_any_text_can_be_read(key: str, namespace: str | None) -> None:
    parsed = parse(key, namespace)
    if parsed is not None and parsed.channel is not None:
        assert parsed.scope in {"user", "conversation", "private"}
        assert parsed.readings[0].scope == parsed.scope


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("c/users/a", "b"), ("c", "a/users/b")),
        (("c/users", "users/a"), ("c", "users/users/a")),
        (("c/users/users", "b"), ("c", "users/users/b")),
    ],
)
def test_two_owners_of_one_key_are_both_read(one: tuple[str, str], other: tuple[str, str]) -> None:
    make = SCOPES["private"].activity_key
    assert make is not None
    keys = {make(message(conversation=c, user=u, channel="test"), "") for c, u in (one, other)}
    assert len(keys) == 1, "the SDK's keys collide"
    parsed = parse(keys.pop())
    assert parsed is not None
    readings = {(reading.conversation, reading.user) for reading in parsed.own_readings}
    assert {one, other} <= readings


@pytest.mark.parametrize(
    ("key", "scope"),
    [
        ("test/users/a/conversations/b", "user"),
        ("test/conversations/c/users/a", "conversation"),
        ("test/conversations/c/users/a/", "private"),
        ("user/linked", "user"),
        ("scope.team/1", "team"),
        ("shared/users/a", "user"),
    ],
)
def test_the_scope_of_a_key(key: str, scope: str) -> None:
    parsed = parse(key)
    assert parsed is not None
    assert parsed.scope == scope


@pytest.mark.parametrize(
    "key",
    ["", "alone", "/", "a/", "/users/a", "test/users/", "transcripts/a/b", "lock/x", "private/x"],
)
def test_a_key_of_no_scope(key: str) -> None:
    assert parse(key) is None


def test_a_private_key_of_another_namespace_is_of_no_scope_of_this_bot() -> None:
    key = "test/conversations/c/users/a/other"
    assert parse(key, "ns") is None
    parsed = parse(key)
    assert parsed is not None
    assert parsed.own_readings == (KeyReading("private", "test", user="a", conversation="c"),)


@given(ids)
def test_a_hash_is_told_from_an_id(ident: str) -> None:
    assert is_hashed(hashed(ident))
    assert not is_hashed(ident)
