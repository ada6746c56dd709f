"""No page shows the value of a masked property, whatever is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext import StateScopes
from botstate_ext.console.masking import HIDDEN, Mask

from .running_console import Site, new_states, remember, running

SECRET = "5up3rSecret"
MASK = ("password", "email")


async def filled(states: StateScopes) -> None:
    states.user.create_property("strict", int)
    await remember(
        states,
        password=SECRET,
        _email=SECRET,
        profile={"name": "Ann", "eMail": {"private": [SECRET]}, "old": [{"password": SECRET}]},
        plan="pro",
    )
    await remember(states, **{"password$quarantine.1a2b3c4d": {"value": SECRET, "reason": "x"}})
    await remember(states, "conversation", password=SECRET, topic="pizza")
    await remember(states, "private", note={"email": SECRET})
    async with states.unit_of_work(channel_id="msteams", user_id="ann") as work:
        await states.user.set_tags(work, {"email": SECRET, "plan": "pro"})


@pytest.mark.parametrize("read_only", [True, False])
async def test_no_page_shows_a_masked_value(read_only: bool) -> None:
    states = new_states()
    async with running(states, read_only=read_only, mask=MASK) as site:
        await filled(states)
        turn = {"channel": "msteams", "user": "ann", "conversation": "friday"}
        key = "msteams/users/ann"
        shown = ""
        for page, asked in (
            ("/", {}),
            ("/live", {}),
            ("/documents", {"scope": "user"}),
            ("/documents", {"scope": "user", "path": "$..*"}),
            ("/documents", {"scope": "private", "path": "$.note.email"}),
            ("/document", {"key": key}),
            ("/document", {"key": key, "path": "$"}),
            ("/document", {"key": key, "path": "$..password"}),
            ("/document", {"key": key, "path": "$.profile.old[0]"}),
            ("/document", {"key": "msteams/conversations/friday"}),
            ("/query", {**turn, "text": "$"}),
            ("/query", {**turn, "text": "$..['password','email','private']"}),
            ("/query", {**turn, "text": "$.user.password"}),
            *(
                ("/query", {**turn, "kind": "template", "text": text})
                for text in (
                    "{@user}",
                    "{@user.password} {@user._email}",
                    "{@user.profile} {@user.profile.eMail.private[0]}",
                    "{@conversation.password|'none'}",
                    "{@shared({@user.password}).x}",
                    "{@user.profile.old[0].password}",
                )
            ),
        ):
            answer = await site.visitor.get(page, **asked)
            assert answer.status == 200, (page, asked)
            assert SECRET not in answer.text, (page, asked)
            shown += answer.text
        assert "Ann" in shown
        assert str(HIDDEN) in shown


async def test_a_filter_cannot_tell_one_masked_value_from_another() -> None:
    states = new_states()
    for user, secret in (("ann", SECRET), ("bob", "other")):
        async with states.unit_of_work(channel_id="msteams", user_id=user) as work:
            await states.user.set_state(work, "password", secret)
            await states.user.set_state(work, "profile", {"email": [secret], "plan": "pro"})
    async with running(states, mask=MASK) as site:
        found = set()
        for path in (
            f"$[?@ == '{SECRET}']",
            "$[?@ > '5']",
            "$[?@ > 'p']",
            "$[?length(@) == 11]",
            "$[?match(@, '5.*')]",
            "$..[?search(@, 'Secr')]",
            "$.profile.email[0]",
            "$.profile[?@ == 'pro']",
        ):
            page = (await site.visitor.get("/documents", scope="user", path=path)).text
            assert (">ann</a>" in page) == (">bob</a>" in page), path
            found.add(">ann</a>" in page)
        assert found == {True, False}
        tagged = await site.visitor.get("/documents", scope="user", tag=f"email={SECRET}x")
        assert (tagged.status, "nobody can search" in tagged.text) == (400, True)


async def test_an_export_has_no_masked_value() -> None:
    states = new_states()
    order = states.shared.create_property("email")
    note = states.shared.create_property("note")

    @order.on_export
    async def mail(work: Any, user: Any) -> Any:
        return SECRET

    @note.on_export
    async def notes(work: Any, user: Any) -> Any:
        return [{"password": SECRET, "text": "hello"}]

    async with running(states, mask=MASK) as site:
        await filled(states)
        form = {"channel": "msteams", "user": "ann", "conversations": ""}
        answer = await site.visitor.post("/users", action="export", **form)
        assert answer.headers["Content-Disposition"] == 'attachment; filename="user.json"'
        assert SECRET not in answer.text
        exported = json.loads(answer.text)
        assert exported["exported"] == {
            "shared.email": HIDDEN,
            "shared.note": [{"password": HIDDEN, "text": "hello"}],
        }
        assert exported["documents"][-1]["properties"]["plan"] == "pro"


async def test_what_a_save_changed_and_the_stream_show_no_masked_value() -> None:
    states = new_states()
    async with running(states, mask=MASK) as site:
        async with site.visitor.session.get("/state/events") as stream:
            await filled(states)
            await remember(states, password=SECRET + "2", plan="free")
            told = b""
            while b"free" not in told and told.count(b"data:") < 6:
                told += await stream.content.readline()
        assert SECRET.encode() not in told
        assert b'"plan"' in told
        saves = (await site.visitor.get("/document", key="msteams/users/ann")).text
        assert SECRET not in saves
        assert "password</code>" in saves  # that it changed is no secret


async def test_a_property_with_something_masked_in_it_cannot_be_edited() -> None:
    states = new_states()
    async with running(states, read_only=False, mask=MASK) as site:
        await filled(states)
        key = "msteams/users/ann"
        page = (await site.visitor.get("/document", key=key)).text
        assert page.count('name="action" value="save"') == 1  # of "plan"
        item = await states.storage.get(key)
        assert item is not None
        for index in range(8):
            answer = await site.visitor.post(
                "/document", key=key, etag=item.etag, property=str(index), value="1", action="save"
            )
            assert SECRET not in answer.text
            if answer.status == 303:
                break
        record = await states.read_document(key)
        assert record is not None
        assert record.data is not None
        assert (record.data["password"], record.data["plan"]) == (SECRET, 1)


async def test_an_error_shows_no_masked_value(site_with_errors: Site) -> None:
    site = site_with_errors
    key = "msteams/users/ann"
    for page, asked in (
        ("/document", {"key": key}),
        ("/documents", {"scope": "user", "path": "$.strict"}),
        ("/query", {"channel": "msteams", "user": "ann", "text": "$.user"}),
        ("/query", {"channel": "msteams", "user": "ann", "kind": "template", "text": "{@user}"}),
    ):
        answer = await site.visitor.get(page, **asked)
        assert answer.status == 200
        assert SECRET not in answer.text


@pytest.fixture
async def site_with_errors() -> Any:
    """Typed properties whose stored values cannot be read."""
    states = new_states()
    async with running(states, mask=MASK) as site:
        await filled(states)
        await remember(states, password=SECRET)
        states.user.create_property("password", int)
        states.user.create_property("profile", dict[str, int], version=2, migrations={1: fails})
        yield site


def fails(value: Any) -> Any:
    raise ValueError(f"cannot migrate {value!r}")


values = st.recursive(
    st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "password", "_Password", "PASSWORD"]), inner)
    ),
)


@given(values)
def test_nothing_stays_under_a_masked_name(value: Any) -> None:
    mask = Mask(["passWord"])
    masked = mask.applied(value)
    assert mask.hides_in("x", value) == (masked != value or _names(value))

    def check(part: Any) -> None:
        if isinstance(part, dict):
            for name, member in part.items():
                assert not mask.hides(name) or member is HIDDEN
                check(member)
        if isinstance(part, list):
            for member in part:
                check(member)

    check(masked)
    assert mask.applied(masked) == masked


def _names(value: Any) -> bool:
    """True if a name is masked, whose value may happen to be the replacement."""
    if isinstance(value, dict):
        return any(Mask(["password"]).hides(n) or _names(v) for n, v in value.items())
    return isinstance(value, list) and any(map(_names, value))


def test_a_value_that_is_too_deep_to_be_looked_through_is_hidden() -> None:
    deep: Any = {"password": SECRET}
    for _ in range(5_000):
        deep = [deep]
    assert Mask(["password"]).applied(deep) is HIDDEN
    assert Mask([]).applied(deep) is deep
