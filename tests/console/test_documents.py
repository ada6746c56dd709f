"""Documents are found by scope, key, tags, time and JSONPath, page by page and within a time."""

from __future__ import annotations

import html
import itertools
import re
import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from botstate_ext import JsonPath, StateScopes
from botstate_ext.console.masking import Mask
from botstate_ext.console.search import ROWS, Filters, Position, Result, Search
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import CountingStorage, ManualClock

from .running_console import Site, new_states, running

NOON = datetime(2026, 5, 6, 12, tzinfo=timezone.utc)


async def filled(clock: ManualClock, count: int = 130) -> StateScopes:
    states = new_states(clock)
    for number in range(count):
        channel = "web" if number % 2 else "msteams"
        async with states.unit_of_work(channel_id=channel, user_id=f"u{number:03}") as work:
            await states.user.set_state(work, "number", number)
            await states.user.set_tags(work, {"plan": "pro" if number % 10 == 0 else "free"})
        clock.advance(timedelta(minutes=1))
    return states


def found(text: str) -> list[str]:
    return re.findall(r'<th scope="row"><a class="key"[^>]*>([^<]*)</a>', text)


async def all_pages(site: Site, **asked: str) -> list[str]:
    """The ids on all pages, following the links."""
    answer = await site.visitor.get("/documents", scope="user", **asked)
    ids = found(answer.text)
    while "Next page" in answer.text or "Go on looking" in answer.text:
        (link,) = re.findall(r'href="/state([^"]*)">(?:Next page|Go on looking)', answer.text)
        answer = await site.visitor.get(html.unescape(link))
        assert answer.status == 200
        ids += found(answer.text)
    return ids


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({}, range(130)),
        ({"key": "web/"}, range(1, 130, 2)),
        ({"key": "web/users/u00"}, range(1, 10, 2)),
        ({"key": "w"}, range(1, 130, 2)),
        ({"key": "nothing"}, []),
        ({"tag": "plan=pro"}, range(0, 130, 10)),
        ({"tag": "plan=pro, plan=free"}, [n for n in range(130) if n % 10]),  # the last one counts
        ({"age": "1h"}, range(70, 130)),
        ({"from": "2026-05-06T12:10", "to": "2026-05-06T12:13"}, [10, 11, 12]),
        ({"path": "$[?@ > 100]"}, range(101, 130)),
        (
            {"path": "$.number", "tag": "plan=pro", "key": "msteams", "age": "1h"},
            range(70, 130, 10),
        ),
        ({"path": "$.nothing"}, []),
    ],
)
async def test_filters(asked: dict[str, str], numbers: Any) -> None:
    async with running(await filled(ManualClock(NOON))) as site:
        assert sorted(await all_pages(site, **asked)) == [f"u{number:03}" for number in numbers]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"path": "$["}, "JSONPath"),
        ({"path": "name"}, "JSONPath"),
        ({"tag": "pro"}, "name=value"),
        ({"from": "yesterday"}, "2026-05-06T07:08"),
        ({"after": "made-up"}, "continuation token"),
    ],
)
async def test_a_wrong_filter_says_what_is_wrong_and_stays_in_its_field(
    asked: dict[str, str], says: str
) -> None:
    async with running(new_states()) as site:
        answer = await site.visitor.get("/documents", scope="user", **asked)
        assert answer.status == 400
        assert says in answer.seen
        for name, text in asked.items():
            assert name == "after" or f'value="{html.escape(text)}"' in answer.text


async def test_a_token_of_another_scope_is_refused() -> None:
    states = await filled(ManualClock(NOON))
    async with running(states) as site:
        answer = await site.visitor.get("/documents", scope="user")
        after = re.findall(r"after=([\w%=-]+)", answer.text)[0].replace("%3D", "=")
        other = await site.visitor.get("/documents", scope="bot", after=after)
        assert other.status == 400


async def test_a_scope_of_the_app_is_there_as_soon_as_it_is_named() -> None:
    states = new_states()
    async with running(states) as site:
        assert (await site.visitor.get("/documents", scope="team")).status == 404
        async with states.unit_of_work() as work:
            await states.scope("team").at("blue").set_state(work, "n", 1)
        answer = await site.visitor.get("/documents", scope="team")
        assert found(answer.text) == ["blue"]
        assert "scope=team" in (await site.visitor.get()).text


class Seconds:
    """A timer that goes on by so much each time that it is looked at."""

    def __init__(self, step: float) -> None:
        self._ticks = itertools.count()
        self._step = step

    def __call__(self) -> float:
        return next(self._ticks) * self._step


async def search_all(states: StateScopes, filters: Filters, timer: Seconds) -> list[Result]:
    clock, results = states._workspace.clock, []
    position: Position | None = Position()
    while position is not None:
        search = Search(states.storage, clock, Mask(), budget=1.0, timer=timer)
        result = await search.run(states.user, filters, position)
        assert result.next != position, "it never goes on"
        results.append(result)
        position = result.next
    return results


@pytest.mark.parametrize("step", [0.003, 0.02, 0.3, 5.0])
async def test_however_short_the_time_is_each_document_is_found_once(step: float) -> None:
    states = await filled(ManualClock(NOON), 120)
    for path, expected in (("$.number", 120), ("$[?@ == 77]", 1), ("$.no", 0), (None, 120)):
        filters = Filters(path=None if path is None else JsonPath(path))
        results = await search_all(states, filters, Seconds(step))
        keys = [record.key for result in results for record, _ in result.rows]
        assert len(keys) == len(set(keys)) == expected
        assert all(len(result.rows) <= 2 * ROWS for result in results)


async def test_a_search_that_takes_long_is_cut_and_goes_on() -> None:
    states = await filled(ManualClock(NOON))
    results = await search_all(states, Filters(path=JsonPath("$.no")), Seconds(0.2))
    assert [result.is_cut for result in results][-2:] == [True, False]
    assert sum(result.looked_at for result in results) == 130


async def test_a_path_over_its_limit_is_counted_and_ends_nothing() -> None:
    states = new_states()
    for user in ("a", "b"):
        async with states.unit_of_work(channel_id="c", user_id=user) as work:
            await states.user.set_state(work, "n", list(range(1_200)) if user == "a" else [1])
    path = JsonPath("$.n[?count($.n[?@ == @]) > 0]")
    (result,) = await search_all(states, Filters(path=path), Seconds(0))
    assert [record.id for record, _ in result.rows] == ["b"]
    assert result.too_much == 1


async def test_a_path_runs_beside_the_event_loop() -> None:
    """Else a slow one would hold up every turn of the bot."""
    states = await filled(ManualClock(NOON), 3)
    threads = set()

    class Slow:
        def find(self, value: Any) -> list[Any]:
            threads.add(threading.get_ident())
            return [value]

    path: Any = Slow()
    (result,) = await search_all(states, Filters(path=path), Seconds(0))
    assert len(result.rows) == 3
    assert threading.get_ident() not in threads


async def test_a_page_reads_no_more_than_it_shows() -> None:
    counting = CountingStorage(MemoryStorage())
    states = StateScopes(counting)
    for number in range(300):
        async with states.unit_of_work(channel_id="c", user_id=f"{number:03}") as work:
            await states.user.set_state(work, "n", number)
    async with running(states) as site:
        counting.reset()
        await site.visitor.get("/documents", scope="user", key="c/users/1")
        # One page, and once the names of the channels to look for the next.
        assert counting.operations == {"list": 2}
