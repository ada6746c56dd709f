"""Upstream's MemoryStorage, used through ours and directly at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

import pytest
from botbuilder.core import MemoryStorage as UpstreamMemoryStorage
from botbuilder.core import StoreItem
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.errors import StateConflictError, StateDecodeError
from botstate_ext.storage import StateStorage, as_state_storage
from botstate_ext.storage.upstream_items import to_bytes, to_item


@pytest.fixture
def upstream() -> UpstreamMemoryStorage:
    return UpstreamMemoryStorage()


@pytest.fixture
def storage(upstream: UpstreamMemoryStorage) -> StateStorage:
    return as_state_storage(upstream)


NOON = datetime(2024, 1, 2, 12, tzinfo=timezone.utc)


class Colour(str, Enum):
    RED = "red"


@dataclass
class Point:
    x: int


class Profile:
    def __init__(self, name: str) -> None:
        self.name = name


async def test_others_see_plain_dictionaries(
    storage: StateStorage, upstream: UpstreamMemoryStorage
) -> None:
    await storage.put_if("key", b'{"a": [1, {"b": null}]}', etag=None)
    assert upstream.memory == {"key": {"a": [1, {"b": None}]}}
    assert await upstream.read(["key"]) == {"key": {"a": [1, {"b": None}]}}


async def test_what_others_write_is_a_new_version(
    storage: StateStorage, upstream: UpstreamMemoryStorage
) -> None:
    etag = await storage.put_if("key", b'{"a": 1}', etag=None, metadata={"n": "1"})
    await upstream.write({"key": {"a": 2}})
    with pytest.raises(StateConflictError):
        await storage.put_if("key", b'{"a": 3}', etag=etag)
    item = await storage.get("key")
    assert item is not None
    assert (json.loads(item.data), item.metadata) == ({"a": 2}, {})
    await storage.put_if("key", b'{"a": 3}', etag=item.etag)


async def test_what_others_change_in_place_is_a_new_version(
    storage: StateStorage, upstream: UpstreamMemoryStorage
) -> None:
    etag = await storage.put_if("key", b'{"a": [1]}', etag=None)
    (await upstream.read(["key"]))["key"]["a"].append(2)
    with pytest.raises(StateConflictError):
        await storage.delete_if("key", etag=etag)
    item = await storage.get("key")
    assert item is not None
    assert json.loads(item.data) == {"a": [1, 2]}


async def test_what_others_write_back_unchanged_is_the_same_version(
    storage: StateStorage, upstream: UpstreamMemoryStorage
) -> None:
    etag = await storage.put_if("key", b'{"a":1,"b":"\\u00e9"}', etag=None)
    await upstream.write(await upstream.read(["key"]))
    item = await storage.get("key")
    assert item is not None
    assert item.etag == etag


async def test_what_others_delete_is_gone(
    storage: StateStorage, upstream: UpstreamMemoryStorage
) -> None:
    etag = await storage.put_if("key", b"{}", etag=None)
    await upstream.delete(["key"])
    assert await storage.get("key") is None
    assert not await storage.delete_if("key", etag=etag)
    assert (await storage.list_page()).items == ()
    assert await storage.put_if("key", b"{}", etag=None) != etag


async def test_an_e_tag_of_upstreams_is_no_part_of_the_body(
    storage: StateStorage, upstream: UpstreamMemoryStorage
) -> None:
    upstream.memory["dict"] = {"a": 1, "e_tag": "7"}
    upstream.memory["object"] = StoreItem(a=1, e_tag="7")
    items = await storage.get_many(["dict", "object"])
    assert json.loads(items["dict"].data) == {"a": 1}
    assert "e_tag" not in json.loads(items["object"].data)
    await storage.put_if("dict", b'{"a": 2, "e_tag": "7"}', etag=items["dict"].etag)
    assert upstream.memory["dict"] == {"a": 2}


async def test_live_objects_are_read_with_their_tags(
    storage: StateStorage, upstream: UpstreamMemoryStorage
) -> None:
    ann = Profile("Ann")
    upstream.memory["key"] = {"one": ann, "same": ann, "when": NOON, "t": (1,)}
    item = await storage.get("key")
    assert item is not None
    body = json.loads(item.data)
    assert body["one"] == {"py/object": f"{__name__}.Profile", "name": "Ann"}
    assert body["same"] == {"py/id": 1}
    assert body["t"] == {"py/tuple": [1]}
    assert body["when"]["py/object"] == "datetime.datetime"
    again = await storage.get("key")
    assert again == item
    ann.name = "Bea"
    changed = await storage.get("key")
    assert changed is not None
    assert changed.etag != item.etag


async def test_an_item_that_cannot_be_written_as_json_is_named(
    storage: StateStorage, upstream: UpstreamMemoryStorage
) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    upstream.memory["key"] = {"deep": deep}
    with pytest.raises(StateDecodeError, match="key") as caught:
        await storage.get("key")
    assert caught.value.key == "key"


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1, 2},
        NOON,
        timedelta(1),
        Colour.RED,
        Point(1),
        b"bytes",
        {1: "an int as a key"},
        float("nan"),
        float("inf"),
        Profile("Ann"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_keeps_its_type(value: object) -> None:
    """msgspec would write most of these, and forget what they were."""
    body = to_bytes("key", {"a": [value]})
    plain = to_bytes("key", {"a": [str(value)]})
    assert body != plain
    assert b"py/" in body or b"NaN" in body or b"Infinity" in body or b'"1"' in body


async def test_tags_that_we_wrote_outlive_what_others_write(
    storage: StateStorage, upstream: UpstreamMemoryStorage
) -> None:
    tagged = {"py/object": "app.Thing", "state": {"py/tuple": [1, 2]}}
    await storage.put_if("key", json.dumps({"dialog": tagged}).encode(), etag=None)
    for value in ("text", Profile("Ann")):
        upstream.memory["key"]["other"] = value
        item = await storage.get("key")
        assert item is not None
        assert json.loads(item.data)["dialog"] == tagged


def test_a_cycle_is_written_as_a_reference() -> None:
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    assert json.loads(to_bytes("key", cycle)) == {"self": {"py/id": 0}}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_any_json_comes_back_as_it_was(item: dict[str, Any]) -> None:
    item.pop("e_tag", None)
    body = to_bytes("key", item)
    assert repr(to_item("key", body)) == repr(item)
