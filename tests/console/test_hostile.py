"""What a channel or another program stored is shown as text, whatever it is."""

from __future__ import annotations

import asyncio
import html
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.console.display import as_json, brief, field, lines, visible
from botstate_ext.console.tree import TreeBuilder, member_path
from botstate_ext.jsonpath import JsonPath
from botstate_ext.storage import ANY

from .running_console import new_states, remember, running

ANN = {"channel": "msteams", "user": "ann"}
SCRIPT = "<script>alert(1)</script>"
ATTACKS = (
    SCRIPT,
    "\"'><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "</textarea></template><svg onload=alert(1)>",
    "javascript:alert(1)",
    "\u202egnp.exe\u202c",
    "a\u200bb\u0000c\x1b[31m",
    "\ud800",
    "'];$..*//",
    "../../etc/passwd",
    "%2e%2e%2f%00",
)


def markup(text: str) -> list[str]:
    return [part for part in ("<script>alert", "<img", "<svg onload", "49{%") if part in text]


async def test_names_and_values_are_shown_as_text() -> None:
    states = new_states()
    async with running(states, read_only=False) as site:
        key = await remember(
            states,
            **{text: {text: [text, text * 200]} for text in ATTACKS if text.isprintable()},
            values=list(ATTACKS),
        )
        async with states.unit_of_work(channel_id="msteams", user_id="ann") as work:
            await states.user.set_tags(work, {SCRIPT: SCRIPT, "\u202ea": "\u200b"})
        for page, asked in (
            ("/", {}),
            ("/live", {}),
            ("/documents", {"scope": "user", "path": "$..*"}),
            ("/documents", {"scope": "user"}),
            ("/document", {"key": key}),
            ("/document", {"key": key, "path": "$..*"}),
            ("/query", {**ANN, "text": "$"}),
            ("/query", {**ANN, "kind": "template", "text": "{@user}"}),
        ):
            answer = await site.visitor.get(page, **asked)
            assert answer.status == 200, page
            assert markup(answer.text) == [], page
            for hidden in "\u202e\u202c\u200b\x00\x1b":
                assert hidden not in answer.text, (page, hidden)
        shown = (await site.visitor.get("/document", key=key)).seen
        assert SCRIPT in shown
        assert "\\u202egnp.exe\\u202c" in shown
        assert "\\x1b[31m" in shown


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
async def test_what_is_asked_is_shown_as_text(attack: str) -> None:
    async with running(new_states()) as site:
        attack = attack.encode("utf-8", "replace").decode()
        for page, names in (
            ("/documents", ("scope", "key", "tag", "age", "from", "path", "after", "past")),
            ("/document", ("key", "path")),
            ("/query", ("channel", "user", "conversation", "workflow", "kind", "text")),
            ("/users", ("channel", "user", "conversations")),
            ("/static/" + attack.replace("/", "%2F"), ()),
            ("/" + attack.strip("/.").replace("/", "%2F"), ()),
        ):
            for name in names or ("x",):
                answer = await site.visitor.get(page, **{name: attack})
                assert answer.status in (200, 400, 404), (page, name)
                assert markup(answer.text) == [], (page, name)
        form = {"channel": attack, "user": attack, "conversations": attack}
        for action in ("look", "export", attack):
            answer = await site.visitor.post("/users", action=action, **form)
            assert answer.status in (200, 400)
            if answer.headers["Content-Type"].startswith("text/html"):
                assert markup(answer.text) == []


@pytest.mark.parametrize(
    "user",
    [f"a{SCRIPT}", "a\u202eb", "a b&c=d#e?f+g%2F", "a'\"b", "a{{ 7*7 }}", "日本/語"],
    ids=["markup", "turned around", "of a URL", "quotes", "of a template", "Japanese"],
)
async def test_a_link_leads_to_a_document_whatever_its_key_is(user: str) -> None:
    states = new_states()
    async with states.unit_of_work(channel_id="web", user_id=user) as work:
        await states.user.set_state(work, "name", "found it")
        key = states.user.get_storage_key(work)
    async with running(states, read_only=False) as site:
        listed = await site.visitor.get("/documents", scope="user")
        link = "/document?" + listed.text.split("/document?")[1].split('"')[0]
        page = await site.visitor.get(html.unescape(link))
        assert "found it" in page.text
        item = await states.storage.get(key)
        assert item is not None
        sent = {"key": key, "etag": item.etag, "property": "0", "value": '"new"', "action": "save"}
        assert (await site.visitor.post("/document", **sent)).status == 303


@pytest.mark.parametrize(
    "key",
    ["../a", "a/../../b", "/etc/passwd", "a\\b", "a\x00b", "x" * 2000, "/" * 300, "c/users/no"],
    ids=["up", "up inside", "root", "backslash", "zero", "long", "many parts", "absent"],
)
async def test_a_key_reaches_nothing_but_documents(key: str) -> None:
    async with running(new_states(), read_only=False) as site:
        for answer in (
            await site.visitor.get("/document", key=key),
            await site.visitor.post("/document", key=key, etag="*", property="0", value="1"),
        ):
            assert answer.status in (400, 404, 409, 422)
        assert [item async for item in site.states.storage.list_items()] == []


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        (b"[1, 2]", "not an object"),
        (b'{"$state": 7, "a": 1}', "damaged"),
        (b'{"$state": {"v": 99}, "a": 1}', "newer botstate_ext"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b"{", "not JSON"),
    ],
)
async def test_what_is_no_document_is_shown_as_such(stored: bytes, says: str) -> None:
    states = new_states()
    await states.storage.put_if("msteams/users/bad", stored, etag=ANY)
    async with running(states, read_only=False) as site:
        page = await site.visitor.get("/document", key="msteams/users/bad")
        assert (page.status, says in page.seen) == (200, True)
        for asked in ({}, {"path": "$..*"}):
            listed = await site.visitor.get("/documents", scope="user", **asked)
            assert listed.status == 200


async def test_one_value_that_cannot_be_read_hides_no_other() -> None:
    states = new_states()
    key = await remember(states, name="Ann", cart={"n": 1})

    def fails(value: Any) -> Any:
        raise ValueError(SCRIPT)

    states.user.create_property("cart", dict[str, int], version=2, migrations={1: fails})
    async with running(states) as site:
        page = await site.visitor.get("/document", key=key)
        assert "its migration from version 1 raised ValueError" in page.seen
        assert "Ann" in page.text


async def test_a_large_document_makes_no_large_page() -> None:
    states = new_states()
    async with running(states, read_only=False) as site:
        key = await remember(
            states,
            **{f"p{i}": {f"m{j}": list(range(30)) for j in range(30)} for i in range(30)},
            long="x" * 1_000_000,
            many=list(range(200_000)),
        )
        await remember(states, huge="y" * 2_000_001)
        page = await site.visitor.get("/document", key=key)
        assert page.status == 200
        assert len(page.text) < 1_500_000
        assert "too large to be shown here" in page.text
        assert "1,000,000 characters" in page.text
        rest = page.text.split("show the next")[0].split("/document?")[-1].split('"')[0]
        more = await site.visitor.get(html.unescape(f"/document?{rest}"))
        assert more.status == 200
        saves = await site.visitor.get("/live")
        assert saves.status == 200


async def test_a_document_of_many_large_values_is_shown_in_part() -> None:
    states = new_states()
    async with running(states) as site:
        key = await remember(states, **{f"p{number}": "x" * 900_000 for number in range(4)}, n=7)
        page = await site.visitor.get("/document", key=key)
        assert page.text.count("too large to be shown here") == 2
        assert page.text.count("900,000 characters") == 2
        assert ">7</code>" in page.text


async def test_a_deep_document_is_shown_as_far_as_it_goes() -> None:
    deep: Any = "bottom"
    for _ in range(400):
        deep = {"a": [deep]}
    states = new_states()
    async with running(states, read_only=False, mask=("secret",)) as site:
        key = await remember(states, deep=deep)
        for asked in ({}, {"path": "$.deep"}, {"path": "$..a"}):
            answer = await site.visitor.get("/document", key=key, **asked)
            assert answer.status in (200, 400)
        for path in ("$..a", "$.deep"):
            assert (await site.visitor.get("/documents", scope="user", path=path)).status == 200


async def test_an_error_of_our_own_is_logged_without_the_value(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = "Ann's secret".upper()

    async def fails(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(told)

    states = new_states()
    async with running(states) as site:
        monkeypatch.setattr(states.storage, "list_page", fails)
        with caplog.at_level(logging.ERROR, "botstate_ext.console"):
            answer = await site.visitor.get()
        assert (answer.status, "(RuntimeError)" in answer.text) == (500, True)
        assert "A page of the console raised RuntimeError" in caplog.text
        assert told not in caplog.text + answer.text


async def test_a_request_that_is_given_up_leaves_nothing_behind() -> None:
    states = new_states()
    async with running(states) as site:
        for _ in range(5):
            asked = asyncio.create_task(site.visitor.get("/documents", scope="user", path="$..*"))
            await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        assert (await site.visitor.get()).status == 200


texts = st.text(st.characters(codec=None), max_size=20)


@given(texts)
def test_what_is_shown_has_no_character_that_cannot_be_seen(text: str) -> None:
    assert visible(text).isprintable()
    assert all(line.isprintable() for line in str(lines(text)).split("\n"))
    str(field(text)).encode()  # a form can be sent
    assert text == visible(text) or not text.isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)


@given(json_values)
def test_the_json_of_a_form_is_the_value(value: Any) -> None:
    text = as_json(value)
    assert all(line.isprintable() for line in text.split("\n"))
    # Two halves of a character become the whole one, as in any JSON.
    assert json.loads(text) == json.loads(json.dumps(value))


@given(json_values)
def test_a_tree_has_at_most_so_many_nodes_and_paths_that_find_them(value: Any) -> None:
    root = TreeBuilder(limit=20).build(value)
    nodes, left = 0, [root]
    while left:
        node = left.pop()
        nodes += 1
        left += node.children
        if not node.is_leaf:
            assert JsonPath(node.path).find(value) != []
            assert len(node.children) + node.omitted == node.length
    assert nodes <= 20 + 20  # what is counted, and the last of each level


@given(texts)
def test_the_path_of_a_member_finds_it(name: str) -> None:
    if any("\ud800" <= char <= "\udfff" for char in name):
        return  # RFC 9535 has no path for half a character
    assert JsonPath(f"${member_path(name)}").find({name: 7}) == [7]


def test_a_brief_text_never_writes_all_of_a_long_value() -> None:
    assert brief("x" * 10**7, 10) == '"xxxxxxxx…'
    assert brief(list(range(10**6)), 30) == "list, 1,000,000 items"
