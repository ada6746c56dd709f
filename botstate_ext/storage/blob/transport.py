"""The driver's HTTP transport, with a session that tells how often a request was sent.

aiohttp sends a PUT or a DELETE once more, without a word, if a kept connection breaks. The first of
the two may have been carried out, so a conflict or an absence may be with the request itself.

Imported when a BlobStorage is made: it imports the driver.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from urllib.request import getproxies

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport


@dataclass
class Sends:
    """How often the requests of one attempt were sent, or began to be."""

    count: int = 0


current_sends: Final[ContextVar[Sends | None]] = ContextVar("current_sends", default=None)
"""Set in the task of an attempt, which is the task that asks for the connection."""


class _Connector(aiohttp.TCPConnector):
    async def connect(self, *args: Any, **options: Any) -> Any:
        connection = await super().connect(*args, **options)
        sends = current_sends.get()
        if sends is not None:
            sends.count += 1
        return connection


class Transport(AioHttpTransport):
    """The driver's transport, over a session of our own."""

    session: aiohttp.ClientSession | None

    async def open(self) -> None:
        """Make the session, at the first request: it needs the event loop."""
        if self.session is None and not getattr(self, "_was_made", False):
            self._was_made = True
            self.session = aiohttp.ClientSession(
                # The slots of the storage bound the requests.
                connector=_Connector(limit=0),
                # Otherwise each request reads ~/.netrc and the proxies, each in a thread.
                trust_env=any(name != "no" for name in getproxies()),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        await super().open()
