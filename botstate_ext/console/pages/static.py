"""The files that go with the pages. Read once, and found by exact name only."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from ..console import Console

_FOLDER: Final = Path(__file__).parents[1] / "static"
_TYPES: Final = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def routes(console: Console) -> list[web.RouteDef]:
    """Return the route of the files."""
    files = {name: (_FOLDER / name).read_bytes() for name in _TYPES}
    etags = {name: sha256(data).hexdigest()[:16] for name, data in files.items()}

    async def file(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in files:
            raise web.HTTPNotFound(text="There is no such file.")
        response = web.Response(body=files[name], content_type=_TYPES[name], charset="utf-8")
        response.headers["Cache-Control"] = "no-cache"
        response.etag = etags[name]
        if any(each.value == etags[name] for each in request.if_none_match or ()):
            response.set_status(304)
            response.body = None
        return response

    return [web.get("/static/{name}", file)]
