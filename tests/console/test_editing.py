"""A document is edited under the ETag that the page showed."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from botstate_ext import StateScopes
from botstate_ext.storage import ANY

from .running_console import Answer, Site, new_states, remember, running


async def save(site: Site, key: str, name: str, value: str, **changed: str) -> Answer:
    """Open a document, change one property in its form, and send it."""
    page = await site.visitor.get("/document", key=key)
    (etag,) = set(re.findall(r'name="etag" value="([^"]*)"', page.text))
    names = re.findall(r"<h3>([^<]*)</h3>", page.text)
    form = {
        "key": key,
        "etag": html.unescape(etag),
        "property": str(names.index(name)),
        "value": value,
        "action": "save",
        **changed,
    }
    return await site.visitor.post("/document", **form)


async def data_of(states: StateScopes, key: str) -> dict[str, Any] | None:
    record = await states.read_document(key)
    return None if record is None else record.data


async def test_a_property_is_edited_and_the_rest_stays() -> None:
    states = new_states()
    async with running(states, read_only=False) as site:
        key = await remember(states, name="Ann", cart={"n": 1, "items": []})
        async with states.unit_of_work(channel_id="msteams", user_id="ann") as work:
            await states.user.set_tags(work, {"plan": "pro"})
        answer = await save(site, key, "cart", '{"n": 2,\r\n "items": ["\\u202e"]}')
        assert (answer.status, answer.headers["Location"][:16]) == (303, "/state/document?")
        assert await data_of(states, key) == {"name": "Ann", "cart": {"n": 2, "items": ["\u202e"]}}
        record = await states.read_document(key)
        assert record is not None
        assert record.tags == {"plan": "pro"}
        assert (await save(site, key, "name", "", action="remove")).status == 303
        assert list(await data_of(states, key) or {}) == ["cart"]


async def test_an_edit_that_loses_its_race_stores_nothing_and_shows_both() -> None:
    states = new_states()
    async with running(states, read_only=False) as site:
        key = await remember(states, name="Ann")
        old = (await states.storage.get(key)).etag  # type: ignore[union-attr]
        await remember(states, name="Beth")
        answer = await save(site, key, "name", '"Mine"', etag=old)
        assert answer.status == 409
        assert "your change was not stored" in answer.seen
        assert '"Mine"' in answer.seen
        assert '"Beth"' in answer.seen
        assert await data_of(states, key) == {"name": "Beth"}


async def test_an_edit_overwrites_nothing_without_a_condition() -> None:
    states = new_states()
    async with running(states, read_only=False) as site:
        key = await remember(states, name="Ann")
        for etag in (ANY, "", '"x"'):
            assert (await save(site, key, "name", "1", etag=etag)).status == 409
        assert await data_of(states, key) == {"name": "Ann"}


async def test_an_edit_brings_no_removed_document_back() -> None:
    states = new_states()
    async with running(states, read_only=False) as site:
        key = await remember(states, name="Ann")
        item = await states.storage.get(key)
        assert item is not None
        await states.storage.delete_if(key)
        sent = {"key": key, "etag": item.etag, "property": "0", "value": "1", "action": "save"}
        assert (await site.visitor.post("/document", **sent)).status == 404
        assert await data_of(states, key) is None


async def test_a_read_only_console_changes_nothing() -> None:
    states = new_states()
    async with running(states) as site:
        key = await remember(states, name="Ann")
        page = await site.visitor.get("/document", key=key)
        assert "<textarea" not in page.text
        item = await states.storage.get(key)
        assert item is not None
        sent = {"key": key, "etag": item.etag, "property": "0", "value": "1", "action": "save"}
        answer = await site.visitor.post("/document", **sent)
        assert (answer.status, "read_only=False" in answer.seen) == (403, True)
        assert await states.storage.get(key) == item


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{", "JSON"),
        ("", "JSON"),
        ('"many"', "does not fit"),
        ("[" * 9999, "deep"),
        ("nan", "JSON"),
    ],
)
async def test_what_cannot_be_stored_is_refused_and_shown_again(value: str, says: str) -> None:
    states = new_states()
    states.user.create_property("count", int)
    async with running(states, read_only=False) as site:
        key = await remember(states, count=7)
        answer = await save(site, key, "count", value)
        assert (answer.status, says in answer.seen) == (422, True)
        assert "Nothing was stored" in answer.seen
        assert value in answer.seen
        assert await data_of(states, key) == {"count": 7}


@pytest.mark.parametrize("scope", ["user", "conversation", "private", "bot", "workflow", "shared"])
async def test_a_document_of_each_scope_can_be_edited(scope: str) -> None:
    states = new_states()
    async with running(states, read_only=False) as site:
        ids: Any = {"channel_id": "c", "user_id": "u/1", "conversation_id": "d", "bot_id": "b"}
        async with states.unit_of_work(**ids, workflow_id="w") as work:
            chosen: Any = getattr(states, scope)
            if scope == "shared":
                chosen = chosen.at("x/ÿ")
            await chosen.set_state(work, "n", 1)
            key = chosen.get_storage_key(work)
        assert (await save(site, key, "n", "2")).status == 303
        assert await data_of(states, key) == {"n": 2}


async def test_what_no_unit_of_work_can_name_cannot_be_edited() -> None:
    states = new_states(user_key=lambda turn: "person-1")
    async with running(states, read_only=False) as site:
        async with states.unit_of_work(channel_id="c", user_id="u") as work:
            await states.user.set_state(work, "n", 1)
        # Two readings: user "b" in "x/users/a", or user "a/users/b" in "x".
        await states.storage.put_if("c/conversations/x/users/a/users/b/", b'{"n": 1}', etag=None)
        for key in ("user/person-1", "c/conversations/x/users/a/users/b/"):
            page = await site.visitor.get("/document", key=key)
            assert page.status == 200
            if "cannot be edited here" in page.seen:
                item = await states.storage.get(key)
                assert item is not None
                form = {"key": key, "etag": item.etag, "property": "0", "value": "2"}
                assert (await site.visitor.post("/document", **form)).status == 422
                assert await data_of(states, key) == {"n": 1}
            else:
                assert (await save(site, key, "n", "2")).status == 303
                assert await data_of(states, key) == {"n": 2}


async def test_an_edit_keeps_classes_that_it_does_not_touch() -> None:
    states = new_states()
    text = b'{"o": {"py/object": "shop.Order", "n": 1, "when": null}}'
    await states.storage.put_if("c/users/u", text, etag=None)
    async with running(states, read_only=False) as site:
        page = await site.visitor.get("/document", key="c/users/u")
        assert "shop.Order" in page.text
        answer = await save(site, "c/users/u", "o", '{"n": 2, "when": null}')
        assert answer.status == 303
        item = await states.storage.get("c/users/u")
        assert item is not None
        assert b'"py/object":"shop.Order"' in item.data.replace(b": ", b":")
