"""Logging in with the token, and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from ..console import Console


def routes(console: Console) -> list[web.RouteDef]:
    """Return the routes of this page, and of the address without a slash."""
    access = console.access

    async def log_in(request: web.Request) -> web.StreamResponse:
        form = await request.post()
        wanted = _own_page(console, str(form.get("wanted", "")))
        if not access.needs_token:
            return web.Response(status=303, headers={"Location": wanted})
        if not access.is_token(str(form.get("token", ""))):
            return console.page(request, "login.html", status=401, wanted=wanted, failed=True)
        response = web.Response(status=303, headers={"Location": wanted})
        access.log_in(request, response)
        return response

    async def log_out(request: web.Request) -> web.StreamResponse:
        response = web.Response(status=303, headers={"Location": console.url()})
        access.log_out(response)
        return response

    async def with_slash(request: web.Request) -> web.StreamResponse:
        return web.Response(status=308, headers={"Location": console.url()})

    return [
        web.get("", with_slash),
        web.get("/login", with_slash),
        web.post("/login", log_in),
        web.post("/logout", log_out),
    ]


def _own_page(console: Console, wanted: str) -> str:
    """Return the page that was wanted before the login, if it is one of the console's."""
    is_own = wanted.startswith(console.url()) and wanted.isascii() and wanted.isprintable()
    return wanted if is_own and "\\" not in wanted else console.url()
