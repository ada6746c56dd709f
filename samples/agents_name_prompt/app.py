"""The name-prompt agent on aiohttp: `python app.py` starts it, PORT moves it."""

from __future__ import annotations

import errno
import sys

from aiohttp import web
from microsoft_agents.hosting.aiohttp import start_agent_process

from agent import ADAPTER, AGENT_APP, STATES
from botstate_ext.aiohttp import setup
from config import Config


async def messages(request: web.Request) -> web.StreamResponse:
    answer = await start_agent_process(request, AGENT_APP, ADAPTER)
    return web.Response(status=202) if answer is None else answer


APP = web.Application()
APP.router.add_post("/api/messages", messages)
setup(APP, STATES)


def greeting() -> str:
    endpoint = f"http://localhost:{Config.PORT}/api/messages"
    chat = "make chat" if Config.PORT == 3978 else f"PORT={Config.PORT} make chat"
    return (
        f"The agent listens on {endpoint} and keeps its state in {Config.STATE_FILE}.\n"
        f"Talk to it from another terminal:  {chat}\n"
        "Ctrl-C stops it."
    )


def main() -> None:
    # aiohttp calls `print` once it listens; its own text names the addresses only.
    started = greeting()
    try:
        web.run_app(
            APP,
            host="127.0.0.1",
            port=Config.PORT,
            print=lambda _: print(started, flush=True),
        )
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        sys.exit(f"Port {Config.PORT} is taken: PORT={Config.PORT + 1} make agents")


if __name__ == "__main__":
    main()
