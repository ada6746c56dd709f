"""Open pages hear of saves, slow no save down, and do not hold up the end of the app."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from botstate_ext.console.changes import Change
from botstate_ext.console.masking import Mask
from botstate_ext.console.pages import live
from botstate_ext.console.recorder import KEPT_SAVES, WAITING_SAVES, Recorder
from botstate_ext.testing import ManualClock
from botstate_ext.unit_of_work.save_events import DocumentLocation, Origin, WriteEvent
from tests.patience import LIMIT

from .running_console import Site, new_states, remember, running

NOON = datetime(2026, 5, 6, 12, tzinfo=timezone.utc)


class Stream:
    """The events of an open page."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.last_id = ""

    async def next(self) -> dict[str, Any]:
        while True:
            line = (await self._response.content.readline()).decode()
            assert line, "the stream ended"
            if line.startswith("id: "):
                self.last_id = line[4:].strip()
            if line.startswith("data: "):
                event: dict[str, Any] = json.loads(line[6:])
                return event


async def opened(site: Site, **headers: str) -> Any:
    return await site.visitor.session.get("/state/events", headers=headers)


async def test_a_page_hears_of_each_save() -> None:
    states = new_states(ManualClock(NOON))
    async with running(states) as site, await opened(site) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        stream = Stream(response)
        await remember(states, name="Ann", **{"<b>\u202e": 1})
        assert await stream.next() == {
            "time": "12:00:00",
            "scope": "user",
            "key": "msteams/users/ann",
            "url": "/state/document?key=msteams%2Fusers%2Fann",
            "removed": False,
            "properties": ["<b>\\u202e", "name"],
        }
        async with states.unit_of_work(channel_id="msteams", user_id="ann") as work:
            await states.user.delete(work)
        assert (await stream.next())["removed"]


async def test_a_page_that_comes_back_hears_of_what_it_missed() -> None:
    states = new_states()
    async with running(states) as site:
        async with await opened(site) as response:
            stream = Stream(response)
            await remember(states, n=1)
            await stream.next()
        await remember(states, n=2)
        await remember(states, m=3)
        async with await opened(site, **{"Last-Event-ID": stream.last_id}) as response:
            again = Stream(response)
            names = [(await again.next())["properties"] for _ in range(2)]
            assert names == [["n"], ["m"]]
        for odd in ("x", "-1", "9" * 30, "²"):
            async with await opened(site, **{"Last-Event-ID": odd}) as response:
                assert response.status == 200


async def test_an_open_page_does_not_hold_up_the_end_of_the_app() -> None:
    states = new_states()
    async with running(states) as site:
        responses = [await opened(site) for _ in range(3)]
        await remember(states, n=1)
        # The app would wait longer for its requests.
        await asyncio.wait_for(site.runner.cleanup(), LIMIT.total_seconds())
        for response in responses:
            rest = await response.content.read()
            assert b"data: " in rest or rest == b""
            response.close()


async def test_too_many_open_pages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_READERS", 2)
    async with running(new_states()) as site:
        first, second = await opened(site), await opened(site)
        assert (await opened(site)).status == 429
        first.close()
        second.close()


async def test_a_head_request_opens_no_stream() -> None:
    async with running(new_states()) as site:
        async with site.visitor.session.head("/state/events") as response:
            assert response.status == 405
        async with site.visitor.session.head("/state/") as response:
            assert response.status == 200


def written(number: int, **values: Any) -> WriteEvent:
    return WriteEvent.of(
        DocumentLocation("user", f"c/users/{number % 3}"),
        {},
        {name: json.dumps(value).encode() for name, value in values.items()},
        etag_before=None,
        etag=str(number),
        is_removed=False,
        origin=Origin(NOON),
    )


async def test_a_page_that_does_not_read_costs_a_save_nothing_and_loses_the_oldest() -> None:
    recorder = Recorder(ManualClock(NOON), Mask())
    with recorder.subscribed() as queue:
        for number in range(3 * WAITING_SAVES):
            recorder.watch(written(number, n=number))
        assert queue.qsize() == WAITING_SAVES
        assert queue.get_nowait().number == 2 * WAITING_SAVES + 1
    assert len(recorder.saves) == KEPT_SAVES
    recorder.watch(written(0))
    assert queue.qsize() == WAITING_SAVES - 1, "it is not told after it has gone"


async def test_a_save_is_not_delayed_by_a_page_that_reads_nothing() -> None:
    states = new_states()
    async with running(states) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET /state/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readline()
        for number in range(300):  # more than any buffer on the way would have to hold
            await remember(states, **{f"p{number}" * 500: number})
        assert (await site.visitor.get()).status == 200
        await asyncio.wait_for(site.runner.cleanup(), LIMIT.total_seconds())
        writer.close()


def test_values_are_decoded_when_someone_looks_and_large_ones_not_at_all() -> None:
    recorder = Recorder(ManualClock(NOON), Mask())
    recorder.watch(written(1, a="x" * 31_000))
    assert recorder.compared(recorder.saves[-1]).changes is not None
    recorder.watch(written(1, a="x" * 32_000))
    assert recorder.compared(recorder.saves[-1]).changes is None
    recorder.watch(written(1, a=[[number] for number in range(500)]))
    compared = recorder.compared(recorder.saves[-1])
    assert compared.changes == (Change("a", None, "list, 500 items"),)
    assert recorder.saves[-1].after == {"a": json.dumps([[n] for n in range(500)]).encode()}


async def test_turns_are_kept_for_a_while() -> None:
    clock = ManualClock(NOON)
    recorder = Recorder(clock, Mask())
    clock.advance(timedelta(minutes=20))
    assert recorder.turns_since(timedelta(minutes=15)) == []
