"""The overview: scopes without counting everything, and the turns of the last minutes."""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext.console import chart
from botstate_ext.console.pages import overview
from botstate_ext.errors import StateStorageError
from botstate_ext.states.turn_report import TurnReport
from botstate_ext.storage import MemoryStorage
from botstate_ext.storage.wrapper import StorageWrapper
from botstate_ext.testing import ManualClock
from tests.turns import Bot, message

from .running_console import new_states, remember, running

NOON = datetime(2026, 5, 6, 12, tzinfo=timezone.utc)


def report(**changed: Any) -> TurnReport:
    fields: dict[str, Any] = {
        "wait": 0.0,
        "load": 0.01,
        "logic": 0.02,
        "save": 0.01,
        "seconds": 0.04,
        "read": 2,
        "written": 1,
        "retries": 0,
        "conflicts": 0,
        "replays": 0,
        "outcome": "saved",
        "error": None,
        "channel": "test",
    }
    return TurnReport(**{**fields, **changed})


def tiles(text: str) -> dict[str, str]:
    return dict(re.findall(r'class="label">(\w+)</span><b>([^<]*)</b>', text))


async def test_a_scope_is_counted_up_to_a_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "COUNTED", 10)
    states = new_states()
    for number in range(11):
        async with states.unit_of_work(channel_id="c", user_id=f"{number}") as work:
            await states.user.set_state(work, "n", 1)
            if number < 10:
                await states.shared.at(str(number)).set_state(work, "n", 1)
    async with running(states) as site:
        page = await site.visitor.get()
        assert tiles(page.text) == {
            "user": "10+",
            "conversation": "0",
            "private": "0",
            "bot": "0",
            "workflow": "0",
            "shared": "10",
        }
        assert re.search(r"\d K?B\+ ", page.seen)


async def test_a_storage_that_fails_is_said_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    states = new_states()
    async with running(states) as site:

        async def fails(*args: Any, **kwargs: Any) -> Any:
            raise StateStorageError("list", None, "the storage is down")

        monkeypatch.setattr(states.storage, "list_page", fails)
        page = await site.visitor.get()
        assert page.status == 200
        assert "the storage is down" in page.seen
        listed = await site.visitor.get("/documents", scope="user")
        assert "the storage is down" in listed.seen


async def test_turns_are_shown_with_how_they_ended() -> None:
    states = new_states()
    async with running(states) as site:
        assert "No turns yet" in (await site.visitor.get()).seen
        bot = Bot(StateMiddleware(states))

        async def good(turn: Any) -> None:
            await states.user.set_state(turn, "n", 1)

        async def bad(turn: Any) -> None:
            raise RuntimeError

        for _ in range(3):
            await bot.turn(good, message())
        with pytest.raises(RuntimeError):
            await bot.turn(bad, message())
        page = await site.visitor.get()
        facts = dict(re.findall(r"<dt>([^<]*)</dt><dd[^>]*>([^<]*)</dd>", page.text))
        assert (facts["turns"], facts["saved"], facts["discarded"]) == ("4", "3", "1")
        assert "4 turns, 1 of them failed" in page.text
        assert '<rect class="fill-bad"' in page.text
        assert page.seen.count("whole turn") == 1


def test_bars_are_where_their_turns_are() -> None:
    at = [NOON - timedelta(minutes=minutes) for minutes in (0, 0, 7.5, 14.99, 15.01, 99)]
    drawn = chart.count_chart([(moment, report()) for moment in at], NOON)
    assert [round(bar.x / chart.WIDTH * chart.BARS) for bar in drawn.bars] == [0, 29, 59]
    assert [bar.height for bar in drawn.bars] == [60, 60, 120]
    assert drawn.top == 2


def test_failed_turns_stand_on_the_others() -> None:
    turns = [(NOON, report()), (NOON, report(outcome="conflict"))]
    good, bad = chart.count_chart(turns, NOON).bars
    assert (good.kind, bad.kind) == ("good", "bad")
    assert (good.y, bad.y) == (60, 0)


def test_a_bar_of_times_is_the_mean_of_its_turns() -> None:
    turns = [(NOON, report(logic=0.1, load=0, save=0)), (NOON, report(logic=0.3, load=0, save=0))]
    drawn = chart.time_chart(turns, NOON)
    assert (drawn.top, [bar.kind for bar in drawn.bars]) == (0.2, ["logic"])
    assert chart.time_chart([], NOON).bars == ()


def test_percentiles() -> None:
    turns = [(NOON, report(save=number / 100)) for number in range(100)]
    save = {row.name: row for row in chart.percentiles(turns)}["save"]
    assert (save.half, save.most, save.nearly_all) == (0.5, 0.95, 0.99)
    assert chart.percentiles([])[0].half == 0.0


async def test_a_document_shows_what_the_last_saves_changed() -> None:
    states = new_states(ManualClock(NOON))
    async with running(states) as site:
        key = await remember(states, cart={"items": ["a"], "n": 1})
        await remember(states, cart={"items": ["a", "b"], "n": 1}, name="Ann")
        page = await site.visitor.get("/document", key=key)
        changes = re.findall(r'class="path">([^<]*)</code>(.*?)</li>', html.unescape(page.text))
        assert changes[:2] == [
            ("cart.items[1]", ' <ins><code>"b"</code></ins>'),
            ("name", ' <ins><code>"Ann"</code></ins>'),
        ]


async def test_a_storage_that_cannot_list_is_read_by_key() -> None:
    class Unlisted(StorageWrapper):
        async def list_page(self, *args: Any, **kwargs: Any) -> Any:
            raise StateStorageError("list", None, "it cannot list")

    storage = Unlisted(MemoryStorage())
    storage.lists = False
    states = StateScopes(storage)
    key = await remember(states, name="Ann")
    async with running(states, read_only=False) as site:
        page = await site.visitor.get()
        assert (page.status, "it cannot list" in page.seen) == (200, True)
        listed = await site.visitor.get("/documents", scope="user")
        assert "A document opens by its key" in listed.seen
        document = await site.visitor.get("/document", key=key)
        assert '"Ann"' in document.seen
        assert ">msteams</code>" in document.text


async def test_a_page_changes_nothing() -> None:
    """Not even what a turn would: expired properties stay, and sliding ones are not renewed."""
    clock = ManualClock(NOON)
    states = new_states(clock)
    hour = timedelta(hours=1)
    states.user.create_property("gone", expires_after=hour)
    states.user.create_property("sliding", expires_after=4 * hour, sliding=True)
    states.user.create_property("odd", int, on_undecodable="quarantine")
    key = await remember(states, gone=1, sliding=2, name="Ann")
    item = await states.storage.get(key)
    assert item is not None
    odd = item.data.replace(b'"Ann"', b'"Ann","odd":"x"')
    await states.storage.put_if(key, odd, etag=item.etag, metadata=item.metadata)
    clock.advance(2 * hour)
    before = await states.storage.get(key)
    async with running(states, read_only=False) as site:
        turn = {"channel": "msteams", "user": "ann", "conversation": "friday"}
        for page, asked in (
            ("/", {}),
            ("/documents", {"scope": "user", "path": "$..*"}),
            ("/document", {"key": key, "path": "$.sliding"}),
            ("/query", {**turn, "text": "$"}),
            ("/query", {**turn, "kind": "template", "text": "{@user} {@user.sliding}"}),
            ("/users", {}),
        ):
            assert (await site.visitor.get(page, **asked)).status == 200
        for action in ("look", "export"):
            form = {"channel": "msteams", "user": "ann", "conversations": ""}
            assert (await site.visitor.post("/users", action=action, **form)).status == 200
        shown = (await site.visitor.get("/document", key=key)).seen
        assert "sliding" in shown
        assert "gone" not in shown
    assert await states.storage.get(key) == before
    assert [found.key async for found in states.storage.list_items()] == [key]
