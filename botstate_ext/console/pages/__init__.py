"""The pages of the console: a module for each, and ``static`` for the files that go with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from . import document, documents, login, overview, query, static, users

if TYPE_CHECKING:
    from ..console import Console


def routes(console: Console) -> list[web.RouteDef]:
    """Return the routes of all pages but the live ones."""
    modules = (overview, documents, document, query, users, login, static)
    return [route for module in modules for route in module.routes(console)]
