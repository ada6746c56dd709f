"""A real HTTP server in front of Azurite that answers wrongly, late or not at all: when it is told
to, or at random. Other processes reach it by its address."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from random import Random

from aiohttp import ClientConnectionError, ClientSession, DummyCookieJar, web
from yarl import URL

from tests.azurite import connection_string

_LATE_SECONDS = 2.0
_STORM = 5  # requests that are refused in a row
_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Chances:
    """How likely a request meets each fault, from 0 to 1. ``seed`` decides which ones do."""

    lost: float = 0.0
    """It is carried out, and the connection breaks instead of an answer."""
    late: float = 0.0
    """It is carried out at once, and its answer comes two seconds later."""
    delayed: float = 0.0
    """It is carried out two seconds later: its sender may have tried again by then."""
    reset: float = 0.0
    """The connection breaks, and nothing is carried out."""
    half_closed: float = 0.0
    """It is carried out, and the server's side of the connection is closed without an answer."""
    storm: float = 0.0
    """It, and the next four requests, are answered 503."""
    shortened: float = 0.0
    """Half of the answer's body is missing, and its headers agree with what is left."""
    forged: float = 0.0
    """It is carried out, and a page of a proxy is the answer."""
    walled: float = 0.0
    """It is not carried out, and a page of a proxy is the answer, as if all were well."""
    seed: int = 0

    def faults(self) -> dict[str, float]:
        """Return the chance of each fault by its name."""
        return {name: value for name, value in asdict(self).items() if name != "seed"}


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
    hanging: asyncio.Queue[str] = field(default_factory=asyncio.Queue, repr=False)
    """The method of each request that `hang` leaves without an answer."""
    closing: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    chances: Chances | None = None
    """Faults that hit requests at random, beside the rules."""
    faults: Counter[str] = field(default_factory=Counter)
    """How many of these were injected, by name."""
    _rules: list[_Rule] = field(default_factory=list)
    _random: Random = field(default_factory=Random)
    _storm: int = 0

    def inject(self, chances: Chances) -> None:
        """Let requests meet faults at random from now on."""
        self.chances, self._random = chances, Random(chances.seed)

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
            self.hanging.put_nowait(request.method)
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
        fault = self._drawn()
        if fault is None:
            return None
        self.faults[fault] += 1
        return _Rule(method, 1, _FAULTS[fault])

    def _drawn(self) -> str | None:
        if self._storm:
            self._storm -= 1
            return "storm"
        if self.chances is None:
            return None
        left = self._random.random()
        for fault, chance in self.chances.faults().items():
            left -= chance
            if left < 0:
                self._storm = _STORM - 1 if fault == "storm" else 0
                return fault
        return None


_Forward = Callable[[], Awaitable[web.Response]]


@dataclass
class _Rule:
    method: str
    times: int
    act: _Act


_Act = Callable[[web.Request, _Forward], Awaitable[web.StreamResponse]]


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:  # the client may have hung up
        request.transport.abort()
    return web.Response(status=500)


async def _lost(request: web.Request, forward: _Forward) -> web.StreamResponse:
    await forward()
    return _abort(request)


async def _late(request: web.Request, forward: _Forward) -> web.StreamResponse:
    answer = await forward()
    await asyncio.sleep(_LATE_SECONDS)
    return answer


async def _delayed(request: web.Request, forward: _Forward) -> web.StreamResponse:
    await asyncio.sleep(_LATE_SECONDS)
    return await forward()


async def _reset(request: web.Request, forward: _Forward) -> web.StreamResponse:
    return _abort(request)


async def _half_closed(request: web.Request, forward: _Forward) -> web.StreamResponse:
    await forward()
    if request.transport is not None:
        request.transport.write_eof()
    await asyncio.sleep(0.05)  # the client sees the end before the connection is gone
    return _abort(request)


async def _storm(request: web.Request, forward: _Forward) -> web.StreamResponse:
    return web.Response(status=503, headers={"x-ms-error-code": "ServerBusy"})


async def _shortened(request: web.Request, forward: _Forward) -> web.StreamResponse:
    answer = await forward()
    assert isinstance(answer.body, bytes)
    half = answer.body[: len(answer.body) // 2]
    return web.Response(status=answer.status, headers=answer.headers, body=half)


async def _forged(request: web.Request, forward: _Forward) -> web.StreamResponse:
    await forward()
    return await _walled(request, forward)


async def _walled(request: web.Request, forward: _Forward) -> web.StreamResponse:
    return web.Response(text="<html>Log in</html>", content_type="text/html")


_FAULTS: dict[str, _Act] = {
    "lost": _lost,
    "late": _late,
    "delayed": _delayed,
    "reset": _reset,
    "half_closed": _half_closed,
    "storm": _storm,
    "shortened": _shortened,
    "forged": _forged,
    "walled": _walled,
}


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
            except ClientConnectionError:  # the front is closing, or the server behind is gone
                return _abort(request)
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
