"""A TCP server in front of PostgreSQL or Redis that loses, delays, cuts and forges answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

_LATE_SECONDS: Final = 0.3
_CHUNK: Final = 1 << 16
FAULTS: Final = ("lost", "late", "delayed", "reset", "half_closed", "shortened", "forged")
"""As of the front of Blob; ``forged``: an answer that no such server gives."""


@dataclass
class TcpFront:
    """Relays bytes. Each message of a client, once its connection is used, may meet a fault."""

    port: int = 0
    chance: float = 0.0
    """How likely a message meets a fault, from 0 to 1."""
    faults: Counter[str] = field(default_factory=Counter)
    """How many were injected, by name."""
    messages: int = 0
    is_down: bool = False
    """True: every connection is broken, and no new one is made."""
    hangs: bool = False
    """True: nothing is answered any more."""
    next_faults: list[str] = field(default_factory=list)
    """The faults of the next messages, before any is drawn."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    random: Random = field(default_factory=lambda: Random(1), repr=False)
    kinds: tuple[str, ...] = FAULTS
    _relays: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    def drawn(self) -> str | None:
        """Return the fault of the next message, or None."""
        self.messages += 1
        self.arrived.set()
        if self.next_faults:
            fault = self.next_faults.pop(0)
        elif self.random.random() < self.chance:
            fault = self.random.choice(self.kinds)
        else:
            return None
        self.faults[fault] += 1
        return fault

    def go_down(self) -> None:
        """Break every connection, and refuse new ones."""
        self.is_down = True
        for relay in self._relays:
            relay.cancel()


@dataclass(eq=False)
class _Relay:
    """One client's connection and the one to the server behind."""

    front: TcpFront
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    server: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    fault: str | None = None
    """What becomes of the next answer."""

    async def run(self) -> None:
        ways = [asyncio.ensure_future(way) for way in (self._requests(), self._answers())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for _, writer in (self.client, self.server):
                writer.transport.abort()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _requests(self) -> None:
        while data := await self.client[0].read(_CHUNK):
            self.fault = self.front.drawn()
            if self.fault == "reset":
                return
            if self.fault == "delayed":
                await asyncio.sleep(_LATE_SECONDS)
            self.server[1].write(data)
            await self.server[1].drain()

    async def _answers(self) -> None:
        while data := await self.server[0].read(_CHUNK):
            if self.front.hangs:
                await asyncio.Event().wait()
            fault, self.fault = self.fault, None
            if fault == "lost":
                return
            if fault == "late":
                await asyncio.sleep(_LATE_SECONDS)
            elif fault == "half_closed":
                self.client[1].write_eof()
                await asyncio.sleep(0.05)
                return
            elif fault == "shortened":
                self.client[1].write(data[: len(data) // 2])
                await self.client[1].drain()
                return
            elif fault == "forged":
                data = b"HTTP/1.1 200 OK\r\n\r\n<html>Log in</html>"
            self.client[1].write(data)
            await self.client[1].drain()


@asynccontextmanager
async def tcp_front(
    *, host: str = "127.0.0.1", port: int = 0, path: str = ""
) -> AsyncIterator[TcpFront]:
    """A front on a free port, of the server at this address, or at this path of a socket."""
    front = TcpFront()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if front.is_down:
                return
            unix = asyncio.open_unix_connection
            behind = unix(path) if path else asyncio.open_connection(host, port)
            await _Relay(front, (reader, writer), await behind).run()
        finally:
            writer.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of its own: asyncio's streams complain of one of theirs that is cancelled.
        task = asyncio.ensure_future(relay(reader, writer))
        front._relays.add(task)
        await asyncio.wait((task,))
        front._relays.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    front.port = server.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        server.close()
        for _ in range(5):  # a connection that was just accepted is served some steps later
            await asyncio.sleep(0)
        front.go_down()
        while front._relays:
            await asyncio.wait(front._relays)
            await asyncio.sleep(0)
