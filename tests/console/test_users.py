"""A user is exported, and erased after a look at what that would remove."""

from __future__ import annotations

import json
import re
from typing import Any

from botstate_ext import StateScopes

from .running_console import Site, new_states, remember, running

ANN = {"channel": "msteams", "user": "ann", "conversations": ""}


async def filled(site: Site) -> None:
    await remember(site.states, name="Ann")
    await remember(site.states, "private", note="hers")
    await remember(site.states, "conversation", topic="theirs")


def signature_in(text: str) -> str:
    found = re.search(r'name="signature" value="([0-9a-f]+)"', text)
    assert found is not None
    return found[1]


async def keys(states: StateScopes) -> list[str]:
    return [item.key async for item in states.storage.list_items()]


async def test_first_a_look_then_the_erasure() -> None:
    states = new_states()
    erased: list[Any] = []
    order = states.shared.create_property("order")
    order.on_erase(lambda work, user: erased.append(user.user_id))
    async with running(states, read_only=False) as site:
        await filled(site)
        before = await keys(states)
        looked = await site.visitor.post("/users", action="look", **ANN)
        assert "2 documents of ann" in looked.seen
        assert (await keys(states), erased) == (before, [])
        form = {**ANN, "signature": signature_in(looked.text)}
        for confirm in ("", "bob", "ANN"):
            wrong = await site.visitor.post("/users", action="erase", confirm=confirm, **form)
            assert (wrong.status, "type the user's id" in wrong.seen) == (400, True)
        for signature in ("", "0" * 64):
            form["signature"] = signature
            unseen = await site.visitor.post("/users", action="erase", confirm="ann", **form)
            assert (unseen.status, "Look first" in unseen.seen) == (400, True)
        assert (await keys(states), erased) == (before, [])
        form["signature"] = signature_in(looked.text)
        done = await site.visitor.post("/users", action="erase", confirm="ann", **form)
        assert (done.status, "2 documents were removed" in done.seen) == (200, True)
        assert (await keys(states), erased) == (["msteams/conversations/friday"], ["ann"])


async def test_what_was_looked_at_is_what_is_erased() -> None:
    async with running(new_states(), read_only=False) as site:
        await filled(site)
        looked = await site.visitor.post("/users", action="look", **{**ANN, "user": "bob"})
        form = {**ANN, "signature": signature_in(looked.text), "confirm": "ann"}
        assert (await site.visitor.post("/users", action="erase", **form)).status == 400
        assert len(await keys(site.states)) == 3


async def test_a_read_only_console_looks_and_exports_and_erases_nobody() -> None:
    async with running(new_states()) as site:
        await filled(site)
        looked = await site.visitor.post("/users", action="look", **ANN)
        assert "2 documents of ann" in looked.seen
        assert 'value="erase"' not in looked.text
        answer = await site.visitor.post("/users", action="erase", confirm="ann", **ANN)
        assert answer.status == 403
        export = await site.visitor.post("/users", action="export", **ANN)
        exported = json.loads(export.text)
        assert [each["properties"] for each in exported["documents"]] == [
            {"note": "hers"},
            {"name": "Ann"},
        ]
        assert len(await keys(site.states)) == 3


async def test_only_in_some_conversations() -> None:
    async with running(new_states()) as site:
        await filled(site)
        form = {**ANN, "conversations": "monday\r\ntuesday"}
        looked = await site.visitor.post("/users", action="look", **form)
        assert "1 document of ann" in looked.seen


async def test_an_id_that_no_user_has_is_refused() -> None:
    async with running(new_states()) as site:
        for channel, user in (("", "ann"), ("a/b", "ann"), ("msteams", "")):
            form = {**ANN, "channel": channel, "user": user}
            for action in ("look", "export"):
                assert (await site.visitor.post("/users", action=action, **form)).status == 400
