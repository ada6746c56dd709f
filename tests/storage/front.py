"""A real HTTP server in front of Azurite that answers wrongly, late or not at all when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, DummyCookieJar, web
from yarl import URL

from tests.azurite import connection_string

_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass
class Front:
    """Hands requests on to the server behind it, but for those that it has a rule for."""

    behind: str
    url: str = ""
    requests: list[str] = field(default_factory=list)
    """The method and the path of each request that came in."""
    busiest: int = 0
    """The most requests that were under way at once."""
    running: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    closing: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _rules: list[_Rule] = field(default_factory=list)

    @property
    def connection_string(self) -> str:
        return connection_string(self.url)

    def answer(
        self,
        status: int,
        code: str = "",
        *,
        method: str = "",
        times: int = 1,
        retry_after: str | None = None,
    ) -> None:
        """Answer so, and do not hand on, the next requests with this method."""

        async def refuse(request: web.Request, _: _Forward) -> web.StreamResponse:
            headers = {"x-ms-error-code": code} if code else {}
            if retry_after is not None:
                headers["Retry-After"] = retry_after
            body = f"<Error><Code>{code}</Code><Message>no</Message></Error>" if code else "no"
            content_type = "application/xml" if code else "text/plain"
            return web.Response(
                status=status, text=body, content_type=content_type, headers=headers
            )

        self._rules.append(_Rule(method, times, refuse))

    def lose(self, *, method: str, times: int = 1) -> None:
        """Hand on, and break the connection instead of giving the answer."""

        async def hand_on_and_break(request: web.Request, forward: _Forward) -> web.StreamResponse:
            response = await forward()
            assert request.transport is not None
            request.transport.abort()
            return response

        self._rules.append(_Rule(method, times, hand_on_and_break))

    def break_off(self, *, method: str, times: int = 1) -> None:
        """Hand on, and break the connection in the middle of the answer's body."""

        async def half(request: web.Request, forward: _Forward) -> web.StreamResponse:
            whole = await forward()
            assert isinstance(whole.body, bytes)
            headers = {**whole.headers, "Content-Length": str(len(whole.body))}
            response = web.StreamResponse(status=whole.status, headers=headers)
            await response.prepare(request)
            await response.write(whole.body[: len(whole.body) // 2])
            assert request.transport is not None
            request.transport.close()
            return response

        self._rules.append(_Rule(method, times, half))

    def forge(
        self,
        status: int,
        body: bytes = b"",
        *,
        method: str,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        hands_on: bool = False,
    ) -> None:
        """Answer so, as no Azure does. ``hands_on``: after the server behind did what was asked."""

        async def lie(_: web.Request, forward: _Forward) -> web.StreamResponse:
            if hands_on:
                await forward()
            return web.Response(status=status, body=body, headers=headers or {})

        self._rules.append(_Rule(method, times, lie))

    def change(
        self, edit: Callable[[web.Response], web.Response], *, method: str, times: int = 1
    ) -> None:
        """Hand on, and give the answer as ``edit`` returns it."""

        async def hand_on_and_edit(_: web.Request, forward: _Forward) -> web.StreamResponse:
            return edit(await forward())

        self._rules.append(_Rule(method, times, hand_on_and_edit))

    def hang(self, *, method: str, times: int = 1) -> None:
        """Never answer."""

        async def wait(request: web.Request, _: _Forward) -> web.StreamResponse:
            await self.closing.wait()
            return web.Response(status=500)

        self._rules.append(_Rule(method, times, wait))

    def hold(self, *, method: str) -> asyncio.Event:
        """Let the next request wait, before it is handed on, until the event is set."""
        event = asyncio.Event()

        async def wait(_: web.Request, forward: _Forward) -> web.StreamResponse:
            await event.wait()
            return await forward()

        self._rules.append(_Rule(method, 1, wait))
        return event

    def forget(self) -> None:
        """Hand on everything from now on."""
        self._rules.clear()

    def rule_for(self, method: str) -> _Rule | None:
        for rule in self._rules:
            if rule.times > 0 and rule.method in ("", method):
                rule.times -= 1
                return rule
        return None


_Forward = Callable[[], Awaitable[web.Response]]


@dataclass
class _Rule:
    method: str
    times: int
    act: Callable[[web.Request, _Forward], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def front_of(behind: str) -> AsyncIterator[Front]:
    """A front on a free port, for as long as the context lasts."""
    front = Front(behind)
    async with ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar()) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            front.requests.append(f"{request.method} {request.raw_path}")
            front.arrived.set()
            body = await request.read()

            async def forward() -> web.Response:
                headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
                url = URL(front.behind + request.raw_path, encoded=True)
                async with session.request(
                    request.method,
                    url,
                    headers=headers,
                    data=body or None,
                    skip_auto_headers=["Accept", "Accept-Encoding", "Content-Type"],
                ) as answer:
                    kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
                    content = await answer.read()
                    return web.Response(status=answer.status, body=content, headers=kept)

            rule = front.rule_for(request.method)
            front.running += 1
            front.busiest = max(front.busiest, front.running)
            try:
                return await (forward() if rule is None else rule.act(request, forward))
            finally:
                front.running -= 1

        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            front.url = f"http://{host}:{port}"
            yield front
        finally:
            front.closing.set()
            await runner.cleanup()
