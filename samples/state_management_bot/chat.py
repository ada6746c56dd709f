"""A terminal client for a running bot. It speaks HTTP as a channel does: it posts what you type to
the bot, and listens for the bot's replies at the service URL that it names in every activity."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import uuid
from collections.abc import Coroutine, Iterator
from datetime import datetime, timezone
from threading import Thread
from typing import Any

import aiohttp
from aiohttp import web

BOT = {"id": "bot", "name": "Bot", "role": "bot"}


class ChatError(Exception):
    """The bot cannot be talked to; the text says what to do about it."""


class Chat:
    """One new conversation of one user with the bot at ``bot_url``."""

    def __init__(self, bot_url: str, user: str) -> None:
        self._bot_url = bot_url
        self._user = {"id": user, "name": user, "role": "user"}
        self._conversation = {"id": str(uuid.uuid4())}
        self._service_url = ""
        listener = web.Application()
        replies = "/v3/conversations/{conversation}/activities"
        listener.router.add_post(replies, self._on_reply)
        listener.router.add_post(replies + "/{activity}", self._on_reply)
        self._runner = web.AppRunner(listener)

    async def open(self) -> None:
        """Start to listen, and tell the bot who has joined."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self._service_url = f"http://{host}:{port}"
        await self._post({"type": "conversationUpdate", "membersAdded": [self._user, BOT]})

    async def say(self, text: str) -> None:
        """Send a message. The bot answers the request last, so its replies are shown by then."""
        await self._post({"type": "message", "text": text})

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _post(self, activity: dict[str, Any]) -> None:
        activity = {
            "id": str(uuid.uuid4()),
            "timestamp": datetime.now(timezone.utc).isoformat(),
            # The channel of a bot on a developer's machine; the bot may send traces to it.
            "channelId": "emulator",
            "serviceUrl": self._service_url,
            "from": self._user,
            "recipient": BOT,
            "conversation": self._conversation,
            **activity,
        }
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(self._bot_url, json=activity) as answer,
            ):
                status = answer.status
        except aiohttp.ClientConnectionError as error:
            start = _start_command(self._bot_url)
            raise ChatError(f"No bot at {self._bot_url}: {start}") from error
        if status in (401, 403):
            raise ChatError("The bot wants credentials: start it without MicrosoftAppId.")
        if status >= 400:
            print(f"The bot answered with HTTP status {status}: its own log says why.", flush=True)

    async def _on_reply(self, request: web.Request) -> web.Response:
        activity = await request.json()
        if activity["type"] == "message":
            print(f"Bot: {activity.get('text') or '(a message without text)'}", flush=True)
        return web.json_response({"id": str(uuid.uuid4())})


def _start_command(bot_url: str) -> str:
    port = bot_url.rpartition(":")[2].partition("/")[0]
    return "make run" if port == "3978" else f"PORT={port} make run"


def typed_lines() -> Iterator[str]:
    """What is typed, or piped in, up to the end of the input. Lines without text are left out."""
    at_terminal = sys.stdin.isatty()
    if at_terminal:
        print("(Ctrl-D ends this.)")
    while True:
        try:
            line = input("You: " if at_terminal else "")
        except EOFError:
            return
        if line.strip():
            if not at_terminal:
                print(f"You: {line}", flush=True)
            yield line


def converse(chat: Chat) -> None:
    # The loop has a thread of its own, so that replies arrive while this one waits for the user.
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()

    def wait_for(step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, loop).result()

    try:
        wait_for(chat.open())
        for line in typed_lines():
            wait_for(chat.say(line))
    finally:
        wait_for(chat.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def main() -> None:
    port = os.environ.get("PORT", "3978")
    parser = argparse.ArgumentParser(description="Talk to a running bot. Ctrl-D ends it.")
    parser.add_argument("--bot", default=f"http://localhost:{port}/api/messages", metavar="URL")
    parser.add_argument("--user", default="user", help="who you are to the bot (default: user)")
    options = parser.parse_args()
    try:
        converse(Chat(options.bot, options.user))
    except ChatError as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
