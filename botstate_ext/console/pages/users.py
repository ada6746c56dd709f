"""The documents of a user: a look at them, the export, the erasure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp import web

from ...errors import StateError, StateQueryError
from .document import READ_ONLY

if TYPE_CHECKING:
    from ..console import Console

T = TypeVar("T")

_BUDGET: Final = 30.0
TOO_LONG: Final = (
    "This took over {:.0f} seconds: name the conversations, or run python -m botstate_ext "
    "export-user or erase-user."
)
NOT_LOOKED: Final = "Look first at what would be removed, then erase."
NOT_CONFIRMED: Final = "Nothing was erased: type the user's id to confirm."


def routes(console: Console) -> list[web.RouteDef]:
    """Return the routes of this page."""

    async def form(request: web.Request) -> web.StreamResponse:
        return _page(console, request, _fields(request.query))

    async def act(request: web.Request) -> web.StreamResponse:
        given = {name: str(value) for name, value in (await request.post()).items()}
        fields, action = _fields(given), given.get("action", "look")
        if action == "erase" and console.read_only:
            raise web.HTTPForbidden(text=READ_ONLY)
        try:
            if action == "export":
                return await _export(console, fields)
            if action == "erase":
                return await _erase(console, request, fields, given)
            return await _look(console, request, fields)
        except StateError as error:
            return _page(console, request, fields, problem=str(error), status=400)

    return [web.get("/users", form), web.post("/users", act)]


def _page(
    console: Console,
    request: web.Request,
    fields: Mapping[str, str],
    *,
    problem: str | None = None,
    status: int = 200,
    **values: Any,
) -> web.Response:
    shown = {"looked": None, "erased": None, "problem": problem, "signature": "", **values}
    return console.page(request, "users.html", status=status, fields=fields, **shown)


def _fields(given: Mapping[str, str]) -> dict[str, str]:
    names = ("channel", "user", "conversations")
    return {name: given.get(name, "").replace("\r\n", "\n").strip() for name in names}


def _conversations(fields: Mapping[str, str]) -> list[str] | None:
    return [line for line in fields["conversations"].split("\n") if line] or None


async def _within(awaitable: Awaitable[T]) -> T:
    try:
        return await asyncio.wait_for(awaitable, _BUDGET)
    except asyncio.TimeoutError:
        raise StateQueryError(TOO_LONG.format(_BUDGET)) from None


async def _look(
    console: Console, request: web.Request, fields: Mapping[str, str]
) -> web.StreamResponse:
    """Show what an erasure would remove: a dry run."""
    looked = await _within(
        console.states.erase_user(
            fields["channel"],
            fields["user"],
            conversation_ids=_conversations(fields),
            dry_run=True,
        )
    )
    signature = console.access.signature("erase", *fields.values())
    return _page(console, request, fields, looked=looked, signature=signature)


async def _export(console: Console, fields: Mapping[str, str]) -> web.StreamResponse:
    """Return the user's data as a file."""
    exported = await _within(
        console.states.export_user(
            fields["channel"], fields["user"], conversation_ids=_conversations(fields)
        )
    )
    mask = console.mask
    for document in exported["documents"]:
        document["properties"] = mask.properties(document["properties"])
        document["tags"] = mask.properties(document["tags"])
    answers = exported["exported"].items()  # by "scope.property"
    exported["exported"] = {
        name: mask.properties({name.partition(".")[2]: answer}).popitem()[1]
        for name, answer in answers
    }
    return web.Response(
        text=json.dumps(exported, indent=2),
        content_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="user.json"'},
    )


async def _erase(
    console: Console, request: web.Request, fields: Mapping[str, str], given: Mapping[str, str]
) -> web.StreamResponse:
    """Erase the user, if a dry run was shown before and the id was typed."""
    if not console.access.is_signed(given.get("signature", ""), "erase", *fields.values()):
        raise StateQueryError(NOT_LOOKED)
    if given.get("confirm", "").strip() != fields["user"]:
        raise StateQueryError(NOT_CONFIRMED)
    # Not stopped by a browser that goes away, nor by a time: half of it would have to be repeated.
    erased = await asyncio.shield(
        console.states.erase_user(
            fields["channel"], fields["user"], conversation_ids=_conversations(fields)
        )
    )
    return _page(console, request, fields, erased=erased)
