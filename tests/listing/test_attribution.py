"""The owner of a stored document: metadata and key must agree."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.documents.ownership import SEVERAL
from botstate_ext.keys.build import escape, hashed
from botstate_ext.listing.attribution import attribute
from botstate_ext.storage.base import ItemInfo

NOW = datetime(2024, 3, 1, tzinfo=timezone.utc)
PRIVATE = "test/conversations/c/users/ann/"


def item(key: str, scope: str | None = None, **owner: str) -> ItemInfo:
    entries = {f"state{part}": text for part, text in owner.items()}
    if scope is not None:
        entries["statescope"] = scope
    return ItemInfo(key, "1", 2, NOW, entries)


def owned(key: str, scope: str, **ids: str) -> ItemInfo:
    return item(key, scope, **{part: escape(id_) for part, id_ in ids.items()})


@pytest.mark.parametrize(
    "info",
    [
        item(PRIVATE),
        item(PRIVATE, "private"),  # the SDK wrote it, a sweep rewrote it
        owned(PRIVATE, "private", channel="test", user="ann", conversation="c"),
        owned("test/users/ann", "user", channel="test", user="ann"),
    ],
)
def test_a_document_of_ann(info: ItemInfo) -> None:
    found = attribute(info, "")
    assert found.is_of("test", "ann")
    assert found.id("user") == "ann"
    assert not found.disagrees
    assert not found.may_be_of("test", "bob")
    assert not found.may_be_of("other", "ann")


@pytest.mark.parametrize(
    "info",
    [
        owned(PRIVATE, "private", channel="test", user="bob", conversation="c"),
        owned(PRIVATE, "private", channel="test", user="ann", conversation="d"),
        owned(PRIVATE, "private", channel="other", user="ann", conversation="c"),
        owned(PRIVATE, "private", channel="test", user="ann"),
        owned(PRIVATE, "user", channel="test", user="ann"),
        owned(PRIVATE, "conversation", channel="test", conversation="c"),
        owned("test/users/ann", "private", channel="test", user="ann", conversation="c"),
        item(PRIVATE, "private", **SEVERAL),
        item(PRIVATE, "user"),
        item(PRIVATE, "private", channel="%FF", user="=", conversation=""),
    ],
)
def test_metadata_that_disagrees_with_the_key_makes_the_owner_unknown(info: ItemInfo) -> None:
    found = attribute(info, "")
    assert found.disagrees
    assert not found.is_certain
    assert found.may_be_of("test", "ann"), "the key names her"
    assert not found.is_of("test", "ann")
    assert not found.is_of("test", "bob")


def test_metadata_resolves_a_key_that_reads_two_ways_for_listings_only() -> None:
    key = "test/conversations/c/users/a/users/b/"
    info = owned(key, "private", channel="test", user="b", conversation="c/users/a")
    found = attribute(info, "")
    assert (found.id("user"), found.id("conversation")) == ("b", "c/users/a")
    assert not found.is_of("test", "b"), "the SDK may have written it for the other"
    assert found.may_be_of("test", "a/users/b")


def test_a_private_document_of_another_namespace_needs_its_metadata() -> None:
    key = PRIVATE + "ns2"
    assert attribute(item(key), "").scope is None
    info = owned(key, "private", channel="test", user="ann", conversation="c")
    assert attribute(info, "").is_of("test", "ann")


def test_a_long_id_is_known_by_its_hash_with_metadata_alone() -> None:
    long = "u" * 1100
    key = f"test/users/{hashed(long)}"
    info = owned(key, "user", channel="test", user=long)
    assert attribute(info, "").is_of("test", long)
    assert attribute(info, "").id("user") is None
    assert not attribute(info, "").is_of("test", hashed(long))
    assert not attribute(item(key), "").is_of("test", long)
    assert attribute(item(key), "").may_be_of("test", long)


parts = st.sampled_from(["test", "users", "conversations", "c", "ann", "", "%FF", "=", "=several"])
texts = st.text(max_size=8) | st.lists(parts, max_size=6).map("/".join)


@given(
    texts,
    st.dictionaries(
        st.sampled_from(["statescope", "statechannel", "stateuser", "stateconversation"]),
        texts | st.sampled_from(["user", "private", "conversation", "shared"]),
    ),
    st.sampled_from(["", "ns"]),
)
def test_no_metadata_fails_and_none_gives_a_document_to_two_users(
    key: str, entries: dict[str, str], namespace: str
) -> None:
    found = attribute(ItemInfo(key, "1", 2, NOW, entries), namespace)
    owners = [u for u in ("ann", "c", "users", "ann/users/c") if found.is_of("test", u)]
    assert len(owners) <= 1
    assert all(found.may_be_of("test", user) for user in owners)
