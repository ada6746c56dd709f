"""A console on a free port of this machine, and a visitor without a browser."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from botstate_ext import StateScopes, console
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import ManualClock
from tests.patience import LIMIT
from tests.samples.process import free_port

_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """A page that was asked for. ``seen``: its text as a browser shows it, without the tags."""

    status: int
    text: str
    headers: Any

    @property
    def seen(self) -> str:
        return html.unescape(re.sub(r"<[^>]*>", "", self.text))


class Visitor:
    """Asks for pages, and sends their forms with the token that they hold."""

    def __init__(self, session: aiohttp.ClientSession, path: str) -> None:
        self.session, self.path = session, path

    async def get(self, page: str = "/", /, headers: Any = None, **query: str) -> Answer:
        url = self.path + page
        async with self.session.get(url, params=query, headers=headers) as response:
            return Answer(response.status, await response.text(), response.headers)

    async def post(
        self, page: str, /, *, csrf: str | None = None, headers: Any = None, **form: str
    ) -> Answer:
        """``csrf``: None: that of the page's own form."""
        if csrf is None:
            csrf = form_token((await self.get("/users")).text)
        async with self.session.post(
            self.path + page, data={"csrf": csrf, **form}, headers=headers, allow_redirects=False
        ) as response:
            return Answer(response.status, await response.text(), response.headers)


@dataclass(frozen=True, slots=True)
class Site:
    states: StateScopes
    visitor: Visitor
    port: int
    runner: web.AppRunner

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/state"


def form_token(text: str) -> str:
    found = _CSRF.search(text)
    assert found is not None
    return found[1]


def new_states(clock: ManualClock | None = None, **options: Any) -> StateScopes:
    return StateScopes(MemoryStorage(), clock=clock, **options)


@asynccontextmanager
async def running(states: StateScopes, path: str = "/state", **options: Any) -> AsyncIterator[Site]:
    """A bot's app with a console in it."""
    app = web.Application()
    console.setup(app, states, path, **options)
    runner = web.AppRunner(app, shutdown_timeout=2 * LIMIT.total_seconds())
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with aiohttp.ClientSession(
            f"http://127.0.0.1:{port}", cookie_jar=aiohttp.CookieJar(unsafe=True)
        ) as session:
            yield Site(states, Visitor(session, path), port, runner)
    finally:
        await runner.cleanup()
        await states.aclose()


async def remember(states: StateScopes, scope: str = "user", /, **values: Any) -> str:
    """Store properties for ann on msteams, and return the key of the document."""
    chosen = getattr(states, scope)
    async with states.unit_of_work(
        channel_id="msteams", user_id="ann", conversation_id="friday"
    ) as work:
        for name, value in values.items():
            await chosen.set_state(work, name, value)
        key: str = chosen.get_storage_key(work)
    return key
