"""The console's pages over 20,000 documents, and what it costs a turn to be watched by one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from aiohttp import web
from botbuilder.core import TurnContext
from botbuilder.core.adapters import TestAdapter
from botbuilder.schema import Activity, ChannelAccount, ConversationAccount

from botstate_ext import StateMiddleware, StateScopes, console
from botstate_ext.storage import MemoryStorage, SQLiteStorage
from botstate_ext.storage.writes import ItemWrite

from .report import table

DOCUMENTS = 20_000
TIMES = 7
TURNS = 500

PAGES = {
    "overview": "/",
    "documents of users": "/documents?scope=user",
    "private documents": "/documents?scope=private",
    "by the beginning of the key": "/documents?scope=user&key=msteams/users/29:199",
    "by a tag that none has": "/documents?scope=user&tag=plan=pro",
    "by a time when none was saved": "/documents?scope=user&to=2001-01-01T00:00",
    "by a JSONPath that finds nothing": "/documents?scope=user&path=$.profile[?@.visits>99]",
    "one document": "/document?key=msteams/users/29:777",
    "a query": "/query?channel=msteams&user=29:777&conversation=19:7&text=$.user",
    "live": "/live",
}


def main() -> None:
    asyncio.run(_main())


async def _main() -> None:
    with TemporaryDirectory() as folder:
        async with StateScopes(SQLiteStorage(Path(folder) / "bot.db")) as states:
            await _fill(states)
            title = f"The console over {DOCUMENTS:,} documents on SQLite"
            rows = await _pages(states)
    print(table(title, ["page", "median, ms", "longest, ms"], rows))
    watched = [
        ("nobody", f"{await _turn(None):.0f}"),
        ("the console", f"{await _turn(0):.0f}"),
        ("the console, with 10 open pages", f"{await _turn(10):.0f}"),
    ]
    title = "A turn that changes a property of 2 KB, on memory"
    print(table(title, ["watched by", "median, us"], watched))


async def _fill(states: StateScopes) -> None:
    """Save one document of each scope, and copy them under other ids."""
    ids = {"user_id": "USER", "conversation_id": "CONVERSATION"}
    keys = []
    async with states.unit_of_work(channel_id="msteams", **ids) as work:  # type: ignore[arg-type]
        for scope in (states.user, states.conversation, states.private):
            profile = {"name": "Ann", "visits": 7, "likes": ["pizza"], "text": "x" * 300}
            await scope.set_state(work, "profile", profile)
            await scope.set_tags(work, {"plan": "free"})
            keys.append(scope.get_storage_key(work))
    items = await states.storage.get_many(keys)
    writes = [write for number in range(DOCUMENTS // 3 + 1) for write in _copies(items, number)]
    for start in range(0, len(writes), 500):
        await states.storage.write_many(writes[start : start + 500])


def _copies(items: dict[str, Any], number: int) -> list[ItemWrite]:
    def named(text: str) -> str:
        return text.replace("USER", f"29:{number}").replace("CONVERSATION", f"19:{number}")

    return [
        ItemWrite(
            named(key),
            named(item.data.decode()).encode(),
            None,
            {name: named(text) for name, text in item.metadata.items()},
        )
        for key, item in items.items()
    ]


@asynccontextmanager
async def _served(states: StateScopes) -> AsyncIterator[aiohttp.ClientSession]:
    app = web.Application()
    console.setup(app, states)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address, port = runner.addresses[0][:2]
    try:
        async with aiohttp.ClientSession(f"http://{address}:{port}") as session:
            yield session
    finally:
        await runner.cleanup()


async def _pages(states: StateScopes) -> list[tuple[str, str, str]]:
    rows = []
    async with _served(states) as session:
        for name, page in PAGES.items():
            times = []
            for _ in range(TIMES):
                start = time.perf_counter()
                async with session.get(f"/state{page}") as response:
                    await response.read()
                    assert response.status == 200, name
                times.append((time.perf_counter() - start) * 1000)
            rows.append((name, f"{median(times):.0f}", f"{max(times):.0f}"))
    return rows


async def _turn(pages: int | None) -> float:
    """Return the median time of a turn. ``pages``: open pages; None: there is no console."""
    states = StateScopes(MemoryStorage())
    adapter = TestAdapter().use(StateMiddleware(states))
    async with AsyncExitStack() as stack:
        if pages is not None:
            session = await stack.enter_async_context(_served(states))
            for _ in range(pages):
                await stack.enter_async_context(session.get("/state/events"))
        times = []
        for number in range(TURNS):
            start = time.perf_counter()
            await adapter.run_pipeline(TurnContext(adapter, _message()), _changing(states, number))
            times.append(time.perf_counter() - start)
            await asyncio.sleep(0)  # the pages are told
    return median(times) * 1_000_000


def _changing(states: StateScopes, number: int) -> Any:
    async def bot(turn: TurnContext) -> None:
        profile = await states.user.get_or_set_state(turn, "profile", {"items": ["x" * 60] * 30})
        profile.payload["visits"] = number

    return bot


def _message() -> Activity:
    return Activity(
        type="message",
        channel_id="test",
        from_property=ChannelAccount(id="ann"),
        conversation=ConversationAccount(id="friday"),
    )
