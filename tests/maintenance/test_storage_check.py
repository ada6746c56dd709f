"""A check of the storage says beforehand what the app would not read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext import StateStorageError
from botstate_ext.maintenance.storage_check import StorageCheck, StoredClass
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import CountingStorage, FaultyStorage
from tests.turns import StateScopes


@dataclass
class Cart:
    items: list[str]


class Profile:
    """A class of an app that ran on the SDK alone."""

    name: str


CART = f"{Cart.__module__}.Cart"
PROFILE = f"{Profile.__module__}.Profile"
DIALOG = {
    "py/object": "botbuilder.dialogs.dialog_state.DialogState",
    "_dialog_stack": [
        {
            "py/object": "botbuilder.dialogs.dialog_instance.DialogInstance",
            "id": "main",
            "state": {"step": {"values": {"user": {"py/object": PROFILE, "name": "s3cret"}}}},
        }
    ],
}


async def stored(documents: dict[str, Any]) -> MemoryStorage:
    memory = MemoryStorage()
    for key, body in documents.items():
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        await memory.put_if(key, text, etag=None)
    return memory


async def test_a_class_in_the_middle_of_a_dialog_is_named_before_the_deploy() -> None:
    memory = await stored(
        {
            "test/conversations/1": {"DialogState": DIALOG},
            "test/conversations/2": {"DialogState": DIALOG, "count": 3},
            "test/users/ann": {"count": 1},
            "transcripts/1/2": {"DialogState": DIALOG},
        }
    )
    result = await StateScopes(memory).check_storage()
    assert (result.seen, result.others, result.is_readable) == (4, 1, False)
    assert [(each.key, each.name) for each in result.unread] == [
        ("test/conversations/1", "DialogState"),
        ("test/conversations/2", "DialogState"),
    ]
    assert PROFILE in result.unread[0].reason
    assert [(each.name, each.count, each.is_read) for each in result.classes] == [
        ("botbuilder.dialogs.dialog_instance.DialogInstance", 2, True),
        ("botbuilder.dialogs.dialog_state.DialogState", 2, True),
        (PROFILE, 2, False),
    ]
    assert result.lines_to_paste() == (f"from {Profile.__module__} import Profile\ntypes=[Profile]")
    assert "s3cret" not in repr(result.unread)
    again = await StateScopes(memory, types=[Profile]).check_storage()
    assert again.is_readable
    assert again.missing_types == ()
    assert again.lines_to_paste() == ""


async def test_it_changes_nothing_and_reads_a_bounded_number_at_a_time() -> None:
    documents = {f"test/users/{number:03}": {"count": number} for number in range(50)}
    storage = CountingStorage(await stored(documents))
    before = [(info.key, info.etag) async for info in storage.list_items()]
    storage.reset()
    seen: list[int] = []
    result = await StateScopes(storage).check_storage(parallel=7, on_progress=seen.append)
    assert result.seen == 50
    assert seen == [7, 14, 21, 28, 35, 42, 49, 50]
    assert storage.operations["put"] == 0
    assert [(info.key, info.etag) async for info in storage.list_items()] == before
    with pytest.raises(ValueError, match="parallel"):
        await StateScopes(storage).check_storage(parallel=0)


async def test_a_declared_type_decides_with_its_versions() -> None:
    memory = await stored(
        {
            "test/users/a": {"cart": {"py/object": CART, "items": ["pizza"]}},
            "test/users/b": {"cart": {"items": "s3cret"}},
            "test/users/c": {
                "cart": {"items": []},
                "$state": {"v": 1, "props": {"cart": {"version": 9}}},
            },
        }
    )
    states = StateScopes(memory)
    states.user.create_property("cart", Cart)
    result = await states.check_storage()
    reasons = {each.key: each.reason for each in result.unread}
    assert list(reasons) == ["test/users/b", "test/users/c"]
    assert "s3cret" not in str(reasons)
    assert result.classes == (StoredClass(CART, 1, is_read=True),)
    assert result.missing_types == ()


async def test_what_is_no_document_is_listed_and_the_others_are_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = await stored(
        {
            "test/users/a": b"{",
            "test/users/b": {"$state": {"v": 99}},
            "test/users/c": {"x": {"py/object": PROFILE}},
            "test/users/d": {"x": 1},
        }
    )
    get_many = memory.get_many

    async def refuse(keys: Any) -> Any:
        if "test/users/d" in keys:
            raise KeyError("s3cret")
        return await get_many(keys)

    monkeypatch.setattr(memory, "get_many", refuse)
    result = await StateScopes(memory).check_storage()
    assert [(each.key, each.name) for each in result.unread] == [
        ("test/users/a", None),
        ("test/users/b", None),
        ("test/users/c", "x"),
        ("test/users/d", None),
    ]
    assert "upgrade this instance" in result.unread[1].reason
    assert result.unread[3].reason == "it raised KeyError"
    assert result.missing_types == (PROFILE,)


async def test_a_storage_that_cannot_be_listed_raises() -> None:
    faults = FaultyStorage(await stored({}))
    faults.fail("list")
    with pytest.raises(StateStorageError):
        await StateScopes(faults).check_storage()


async def test_a_dry_run_of_a_migration_says_the_same() -> None:
    memory = await stored({"test/conversations/1": {"DialogState": DIALOG, "e_tag": "1"}})
    states = StateScopes(memory)
    report = await states.migrate(dry_run=True)
    assert (report.rewritten, report.failed) == (1, 1)
    assert "'DialogState' would not be read" in report.problems[0].reason
    assert PROFILE in report.problems[0].reason
    assert (await states.migrate()).failed == 0, "a migration leaves the value as it is"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("bot.models.Cart", "from bot.models import Cart\ntypes=[Cart]"),
        ("bot.models.Order.Line", "from bot.models import Order\ntypes=[Order.Line]"),
        ("bot.models.cart", "from bot.models import cart\ntypes=[cart]"),
        ("__main__.Cart", "from __main__ import Cart\ntypes=[Cart]"),
    ],
)
def test_the_lines_to_paste(name: str, lines: str) -> None:
    assert StorageCheck(classes=(StoredClass(name, 1, is_read=False),)).lines_to_paste() == lines


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "py/object", "py/type", "py/tuple", "py/id", "__reduce__"]),
            inner | st.just(PROFILE),
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["x", "y"]), json_values))
async def test_any_document_is_checked_and_what_reads_is_not_reported(document: Any) -> None:
    states = StateScopes(await stored({"test/users/a": document, "test/users/ok": {"x": 1}}))
    result = await states.check_storage()
    reported = {each.key for each in result.unread}
    assert reported <= {"test/users/a"}
    work = states.unit_of_work(channel_id="test", user_id="a")
    is_read = True
    try:
        async with work:
            for name in document:
                await states.user.create_property(name).get(work)
    except Exception:  # noqa: BLE001 - whatever it is, it was not read
        is_read = False
    assert is_read == (reported == set())
