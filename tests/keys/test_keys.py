"""Keys: upstream's byte for byte, new ones without collisions."""

from __future__ import annotations

from typing import Any

import botbuilder.core as sdk
import pytest
from botbuilder.core import BotAdapter, MemoryStorage
from botframework.connector.auth import AuthenticationConstants, ClaimsIdentity
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext import (
    BotScopeState,
    ConversationState,
    PrivateConversationState,
    SharedState,
    StateKeyError,
    UserState,
    WorkflowState,
)
from botstate_ext.keys.build import MAX_KEY_LENGTH, document_key
from botstate_ext.storage.keycheck import check_key
from tests.turns import StateScopes, context, message

ids = st.text(min_size=1, max_size=40) | st.text("./\\%=~# é", min_size=1, max_size=8)
scopes = st.sampled_from(["bot", "workflow", "shared", "scope.team", "user", "conversation"])


@pytest.mark.parametrize("namespace", ["", "ns"])
@pytest.mark.parametrize("ident", ["1", "19:abc@thread;messageid=1", "a/users/b", "é✓", " "])
def test_the_three_scopes_of_upstream_keep_its_keys(ident: str, namespace: str) -> None:
    storage = MemoryStorage()
    turn = context(message(user=ident, conversation=ident, channel="msteams"))
    pairs = [
        (UserState(storage), sdk.UserState(storage)),
        (ConversationState(storage), sdk.ConversationState(storage)),
        (
            PrivateConversationState(storage, namespace),
            sdk.PrivateConversationState(storage, namespace),
        ),
    ]
    for ours, upstreams in pairs:
        assert isinstance(ours, type(upstreams))
        assert ours.get_storage_key(turn) == upstreams.get_storage_key(turn)


@given(scopes, ids, scopes, ids)
def test_two_different_documents_never_share_a_key(a: str, x: str, b: str, y: str) -> None:
    assert (document_key(a, x) == document_key(b, y)) == ((a, x) == (b, y))


@pytest.mark.parametrize(
    ("one", "other"),
    [("foo/bar", "foo%2Fbar"), (".", "%2E"), ("a.", "a%2E"), ("=x", "%3Dx"), ("a\\b", "a/b")],
)
def test_ids_that_look_escaped_do_not_meet(one: str, other: str) -> None:
    assert document_key("shared", one) != document_key("shared", other)


@given(scopes, ids, st.text(min_size=1), st.text(min_size=1))
def test_a_new_key_is_never_one_of_upstreams(scope: str, ident: str, a: str, b: str) -> None:
    key = document_key(scope, ident)
    assert key.count("/") == 1
    assert key not in (f"{a}/users/{b}", f"{a}/conversations/{b}")


@given(scopes, ids | st.text(min_size=500, max_size=3000))
def test_every_new_key_is_one_that_every_storage_takes(scope: str, ident: str) -> None:
    check_key(document_key(scope, ident))


def test_a_key_that_is_too_long_is_hashed() -> None:
    long, longer = (
        context(message(conversation="c" * n)) for n in (MAX_KEY_LENGTH, MAX_KEY_LENGTH + 1)
    )
    state = ConversationState(MemoryStorage())
    assert state.get_storage_key(long) != state.get_storage_key(longer)
    assert len(state.get_storage_key(long)) < MAX_KEY_LENGTH


@pytest.mark.parametrize("ident", ["", None, 5])
def test_an_id_must_be_a_non_empty_string(ident: object) -> None:
    with pytest.raises(StateKeyError, match="non-empty string"):
        SharedState(MemoryStorage()).at(ident)  # type: ignore[arg-type]  # the mistake itself


def test_shared_and_workflow_without_an_id_name_at() -> None:
    turn = context()
    for scope in (SharedState(MemoryStorage()), WorkflowState(MemoryStorage())):
        with pytest.raises(StateKeyError, match=r"\.at\(id\)"):
            scope.get_storage_key(turn)


def test_a_scope_that_the_activity_chooses_has_no_at() -> None:
    with pytest.raises(StateKeyError, match="chosen by the activity"):
        UserState(MemoryStorage()).at("x")


def test_the_bot_is_bot_id_else_the_app_id_else_bot() -> None:
    turn = context()
    assert BotScopeState(MemoryStorage()).get_storage_key(turn) == "bot/bot"
    turn.turn_state[BotAdapter.BOT_IDENTITY_KEY] = ClaimsIdentity(
        {AuthenticationConstants.AUDIENCE_CLAIM: "app/1"}, True
    )
    assert BotScopeState(MemoryStorage()).get_storage_key(turn) == "bot/app%2F1"
    assert BotScopeState(MemoryStorage(), "mine").get_storage_key(turn) == "bot/mine"


def test_bind_chooses_the_workflow_for_the_turn_and_at_overrides_it() -> None:
    states, turn = StateScopes(MemoryStorage()), context()
    states.workflow.bind(turn, "1")
    assert states.workflow.get_storage_key(turn) == "workflow/1"
    assert states.workflow.at("2").get_storage_key(turn) == "workflow/2"
    with pytest.raises(StateKeyError):
        states.workflow.bind(turn, "")


@pytest.mark.parametrize("scope", [UserState, ConversationState, PrivateConversationState])
async def test_an_id_of_characters_that_count_twice_is_stored(scope: Any) -> None:
    turn = context(message(user="😀" * 600, conversation="😀" * 600))
    state = scope(MemoryStorage())
    count = state.create_property("count")
    await count.set(turn, 1)
    await state.save_changes(turn)
    assert await count.get(context(turn.activity)) == 1
