"""One document: its properties as trees, what the last saves changed, and forms to edit it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ...errors import StateConflictError, StateDecodeError, StateError, StateQueryError
from ...jsonpath import JsonPath
from ...serialization import json_text
from ..display import as_json
from ..editing import Remove, place_of, write_property
from ..stored import ShownProperty, StoredDocument, read_stored
from ..tree import Node, TreeBuilder, member_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..console import Console

_SAVES: Final = 10
_MAX_FORM: Final = 200_000
"""Bytes of the largest property that a form shows."""

LOST: Final = (
    "Someone saved this document after you opened it, so your change was not stored. "
    "Below is what is stored now."
)
READ_ONLY: Final = "This console is read-only: setup(..., read_only=False) allows changes."


@dataclass(frozen=True, slots=True)
class Card:
    """Holds a property with its tree. ``form``: its JSON; None if it cannot be edited."""

    shown: ShownProperty
    tree: Node | None
    form: str | None


def routes(console: Console) -> list[web.RouteDef]:
    """Return the routes of this page."""

    async def document(request: web.Request) -> web.StreamResponse:
        return await _page(console, request, request.query.get("key", ""))

    async def edit(request: web.Request) -> web.StreamResponse:
        if console.read_only:
            raise web.HTTPForbidden(text=READ_ONLY)
        form = {name: str(value) for name, value in (await request.post()).items()}
        key = form.get("key", "")
        try:
            await _edit(console, form)
        except StateConflictError:
            return await _page(console, request, key, problem=LOST, form=form, status=409)
        except StateError as error:
            text = f"Nothing was stored: {error}"
            return await _page(console, request, key, problem=text, form=form, status=422)
        return web.Response(status=303, headers={"Location": console.url("document", key=key)})

    return [web.get("/document", document), web.post("/document", edit)]


async def _page(
    console: Console,
    request: web.Request,
    key: str,
    *,
    problem: str | None = None,
    form: Mapping[str, str] | None = None,
    status: int = 200,
) -> web.Response:
    """Return the page. ``form``: a form that was sent and not stored, to be shown again."""
    stored = await read_stored(console, key) if key else None
    if stored is None:
        return console.problem(request, 404, "There is no document with this key (any more).")
    path, answer = request.query.get("path", "").strip(), None
    builder, recorder = TreeBuilder(), console.recorder
    if path:
        try:
            # In a thread: a slow path does not hold up the turns of the bot.
            answer = builder.build(await asyncio.to_thread(JsonPath(path).run, stored.values()))
        except StateQueryError as error:
            problem, status = str(error), 400
    is_editable = not console.read_only and _place(console, stored) is not None
    return console.page(
        request,
        "document.html",
        status=status,
        stored=stored,
        record=stored.record,
        tags=console.mask.properties(stored.record.tags),
        cards=[_card(each, builder, is_editable=is_editable) for each in stored.properties],
        is_editable=is_editable,
        path=path,
        answer=answer,
        problem=problem,
        lost=form,
        saves=[recorder.compared(save) for save in recorder.latest(_SAVES, key)],
        owner_query=_owner_query(stored),
    )


def _card(shown: ShownProperty, builder: TreeBuilder, *, is_editable: bool) -> Card:
    if shown.problem is not None:
        return Card(shown, None, None)
    tree = builder.build(shown.value, shown.name, f"${member_path(shown.name)}")
    can_edit = is_editable and not shown.hides and (shown.size or 0) <= _MAX_FORM
    return Card(shown, tree, (as_json(shown.value) or None) if can_edit else None)


def _place(console: Console, stored: StoredDocument) -> Any:
    scope = console.scope(stored.record.scope)
    return None if scope is None else place_of(console.states, scope, stored.record)


def _owner_query(stored: StoredDocument) -> dict[str, str | None]:
    record = stored.record
    return {
        "channel": record.channel_id,
        "user": record.user_id,
        "conversation": record.conversation_id,
    }


async def _edit(console: Console, form: Mapping[str, str]) -> None:
    """Change one property as a form says.

    :raises StateError: nothing was stored, and why.
    """
    stored = await read_stored(console, form.get("key", ""))
    etag = form.get("etag", "")
    if stored is None or etag != stored.etag:
        raise StateConflictError("it was saved since the page was opened.")
    # Under one ETag the properties have one order, and a name may hold what no form sends back.
    shown = {str(i): each for i, each in enumerate(stored.properties)}.get(form.get("property", ""))
    place = _place(console, stored)
    if place is None or shown is None or shown.hides or shown.problem is not None:
        raise StateQueryError("this property cannot be edited here.")
    value = Remove if form.get("action") == "remove" else _value(form.get("value", ""))
    await write_property(place, shown.name, value, etag)


def _value(text: str) -> Any:
    try:
        return json_text.loads(text.encode("utf-8", "surrogatepass"))
    except StateDecodeError as error:
        raise StateQueryError(f"{error.reason}.") from None
