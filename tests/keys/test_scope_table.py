"""The table of scopes: what each row says is what the scope does."""

from __future__ import annotations

import pytest

from botstate_ext import StateKeyError
from botstate_ext.keys.scopes import SCOPES, own_scope, row_of_prefix
from tests.turns import StateScopes, UpstreamMemoryStorage, context, message

TURN = context(message(user="u", conversation="c", channel="test"))


def test_the_table_names_the_scopes_of_a_bot_in_their_order() -> None:
    assert [scope.scope_name for scope in StateScopes(UpstreamMemoryStorage())] == list(SCOPES)


@pytest.mark.parametrize("name", ["user", "conversation", "private"])
def test_a_row_makes_the_key_that_its_scope_uses(name: str) -> None:
    scopes = {
        scope.scope_name: scope for scope in StateScopes(UpstreamMemoryStorage(), namespace="n")
    }
    make_key = SCOPES[name].activity_key
    assert make_key is not None
    assert make_key(TURN.activity, "n") == scopes[name].get_storage_key(TURN)


@pytest.mark.parametrize("name", ["shared", "workflow", "team"])
def test_a_row_makes_the_key_of_an_id_that_its_scope_uses(name: str) -> None:
    states = StateScopes(UpstreamMemoryStorage())
    row = SCOPES.get(name) or own_scope(name)
    scope = {"shared": states.shared, "workflow": states.workflow}.get(name) or states.scope(name)
    assert row.key("a/b") == scope.at("a/b").get_storage_key(TURN)


def test_prefixes_are_distinct_and_are_read_back() -> None:
    rows = [*SCOPES.values(), own_scope("user"), own_scope("team")]
    prefixes = [row.prefix for row in rows if row.prefix is not None]
    assert len(set(prefixes)) == len(prefixes)
    assert [row_of_prefix(prefix) for prefix in prefixes] == [r for r in rows if r.prefix]


@pytest.mark.parametrize("prefix", ["", "/", "users/", "private/", "scope./", "scope.1/", "lock/"])
def test_a_prefix_of_no_scope_is_none(prefix: str) -> None:
    assert row_of_prefix(prefix) is None


@pytest.mark.parametrize("name", ["", "1a", "a.b", "a/b", "a b", "a" * 64])
def test_a_name_that_makes_no_key_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a scope"):
        own_scope(name)


def test_the_private_scope_has_no_key_with_an_id() -> None:
    with pytest.raises(StateKeyError, match="private scope has no documents that an id chooses"):
        SCOPES["private"].key("x")
