"""Which keys and metadata are taken. That backends agree is in the contract."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from botstate_ext.errors import StateEncodeError, StateKeyError, StateTooLargeError
from botstate_ext.storage import BlobStorage
from botstate_ext.storage.keycheck import check_etag, check_key, check_metadata


@pytest.mark.parametrize(
    "key",
    [
        "msteams/conversations/19:abc@thread.tacv2;messageid=1",
        "msteams/users/29:1-aB_c",
        "emulator/conversations/c|livechat/users/u/",
        "email/users/ann@example.com",
        "a" * 1024,
        "é" * 1024,
        "😀" * 512,
        "a/" * 253 + "a",
    ],
    ids=lambda key: key[:20],
)
def test_keys_as_bots_have_them(key: str) -> None:
    check_key(key)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "not empty"),
        (None, "must be a string"),
        (7, "must be a string"),
        ("a\\b", "a backslash"),
        ("a\x00b", r"U\+0000"),
        ("a\ud800", r"U\+D800"),
        ("a/..", "ends with a dot"),
        ("ann./", "ends with a dot"),
        ("a/" * 254, "254 parts"),
    ],
)
def test_a_bad_key_is_named_with_what_to_do(key: object, reason: str) -> None:
    with pytest.raises(StateKeyError, match=reason) as caught:
        check_key(key)
    if key:
        assert repr(key) in str(caught.value)
        assert isinstance(key, int) or "user_key=" in str(caught.value)


@pytest.mark.parametrize("key", ["a" * 1025, "😀" * 513])
def test_a_long_key_has_its_size_in_characters(key: str) -> None:
    with pytest.raises(StateTooLargeError, match="characters; the limit is 1024") as caught:
        check_key(key)
    assert (caught.value.size, caught.value.limit) in {(1025, 1024), (1026, 1024)}


def test_metadata_of_8_kib_is_taken_and_not_a_byte_more() -> None:
    check_metadata("key", {"ab": "x" * 4094, "cd": "y" * 4094})
    with pytest.raises(StateTooLargeError) as caught:
        check_metadata("key", {"ab": "x" * 4094, "cd": "y" * 4095})
    assert (caught.value.size, caught.value.limit, caught.value.key) == (8193, 8192, "key")


def test_no_error_shows_a_value_of_metadata() -> None:
    with pytest.raises(StateEncodeError) as caught:
        check_metadata("key", {"of": "sécret"})
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("etag", [None, "*", "0x1"])
def test_etags(etag: str | None) -> None:
    check_etag(etag)
    with pytest.raises(ValueError, match="never empty"):
        check_etag("")


def is_taken(key: str) -> bool:
    try:
        check_key(key)
    except (StateKeyError, StateTooLargeError):
        return False
    return True


KEYS = st.text(min_size=1, max_size=30).filter(is_taken)


@pytest.mark.blob
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(keys=st.lists(KEYS, min_size=1, max_size=8, unique=True))
async def test_what_is_taken_is_kept_as_it_is_on_blob(blob: BlobStorage, keys: list[str]) -> None:
    """Neither the driver nor the server rewrites a key, or takes two for one."""
    etags = {key: await blob.put_if(key, b"{}", etag=None) for key in keys}
    stored = await blob.get_many(keys)
    assert {key: item.etag for key, item in stored.items()} == etags
    assert {info.key: info.etag async for info in blob.list_items()} == etags
    for key, etag in etags.items():
        assert await blob.delete_if(key, etag=etag)
