"""For bots that run on aiohttp, as the SDK's samples do."""

from __future__ import annotations

from aiohttp import web

from .states import StateScopes


def setup(app: web.Application, states: StateScopes) -> None:
    """Close the storage of ``states`` when the app is cleaned up."""

    async def close(_: web.Application) -> None:
        await states.aclose()

    app.on_cleanup.append(close)
