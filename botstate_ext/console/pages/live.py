"""Saves as they happen: the page, and the stream of events behind it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web

from ..console import HEADERS
from ..display import clock_time, visible
from ..recorder import Save

if TYPE_CHECKING:
    from ..console import Console

MAX_READERS: Final = 20
"""Pages that may be open at once."""

_BEAT: Final = 15.0
"""Seconds after which an idle stream shows that it is alive."""

_SHOWN: Final = 50


class LiveReaders:
    """Sends saves to the open pages. The streams end with the app, and make no save wait."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the page and of its stream."""
        return [web.get("/live", self.page), web.get("/events", self.events, allow_head=False)]

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Return the page with the last saves."""
        saves = self._console.recorder.latest(_SHOWN)
        return self._console.page(request, "live.html", saves=saves)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Stream saves as server-sent events until the browser goes away or the app ends."""
        if len(self._tasks) >= MAX_READERS:
            raise web.HTTPTooManyRequests(text="Too many live pages are open: close one.")
        last = request.headers.get("Last-Event-ID", "")
        response = web.StreamResponse(
            headers={**HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        after = int(last) if last.isascii() and last.isdigit() else None
        # A task of its own, so that `close` can end it, and the request then ends in peace.
        task = asyncio.create_task(self._send(response, after))
        self._tasks.add(task)
        try:
            await asyncio.wait({task})
        finally:
            self._tasks.discard(task)
            task.cancel()
        return response

    async def close(self, app: web.Application) -> None:
        """End all streams."""
        for task in self._tasks:
            task.cancel()

    async def _send(self, response: web.StreamResponse, after: int | None) -> None:
        console = self._console
        with suppress(ConnectionError), console.recorder.subscribed(after) as queue:
            coming = asyncio.ensure_future(queue.get())
            try:
                while True:  # until the browser has gone, or `close` cancels this
                    # Not wait_for: before Python 3.12 it can swallow the cancellation.
                    await asyncio.wait({coming}, timeout=_BEAT)
                    if not coming.done():
                        await response.write(b": beat\n\n")
                        continue
                    save = coming.result()
                    coming = asyncio.ensure_future(queue.get())
                    await response.write(_event(console, save))
            finally:
                coming.cancel()


def _event(console: Console, save: Save) -> bytes:
    """Return a save as an event. Its texts are shown as texts, never as HTML."""
    content = {
        "time": clock_time(save.at),
        "scope": visible(save.scope),
        "key": visible(save.key),
        "url": console.url("document", key=save.key),
        "removed": save.is_removed,
        "properties": [visible(name) for name in save.properties],
    }
    return f"id: {save.number}\ndata: {json.dumps(content)}\n\n".encode()
