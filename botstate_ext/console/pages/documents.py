"""The documents of a scope, filtered by key, tags, time and JSONPath."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ...errors import StateError, StateQueryError
from ...jsonpath import JsonPath
from ...listing.records import DocumentRecord
from ..display import brief
from ..masking import HIDDEN, Mask
from ..search import Filters, Position, Result, Search

if TYPE_CHECKING:
    from ..console import Console

AGES: Final = {
    "": ("any time", None),
    "5m": ("5 minutes", timedelta(minutes=5)),
    "1h": ("hour", timedelta(hours=1)),
    "1d": ("day", timedelta(days=1)),
    "7d": ("week", timedelta(days=7)),
}
"""Choices of the time of the last update, by their names in the address."""

_FOUND: Final = 160


@dataclass(frozen=True, slots=True)
class Row:
    """Describes a row. ``found``: the beginning of the path's answer; None without a path."""

    record: DocumentRecord
    tags: Mapping[str, str]
    found: str | None


def routes(console: Console) -> list[web.RouteDef]:
    """Return the route of this page."""

    async def documents(request: web.Request) -> web.StreamResponse:
        given = request.query
        scope = console.scope(given.get("scope", "user"))
        if scope is None:
            raise web.HTTPNotFound(text="There is no scope of this name.")
        result, problem = Result(), None
        start = Position(given.get("after") or None, given.get("past", ""))
        try:
            filters = _filters(console, given)
            search = Search(console.states.storage, console.clock, console.mask)
            result = await search.run(scope, filters, start)
        except StateError as error:
            problem = str(error)
        fields = {name: given.get(name, "") for name in ("key", "tag", "age", "from", "to", "path")}
        return console.page(
            request,
            "documents.html",
            status=200 if problem is None else 400,
            scope=scope.scope_name,
            scopes=[each.scope_name for each in console.states],
            fields=fields,
            ages=AGES,
            problem=problem,
            result=result,
            rows=[_row(console.mask, *row) for row in result.rows],
            first=console.url("documents", scope=scope.scope_name, **fields),
            is_first=start == Position(),
            next=_next(console, scope.scope_name, fields, result.next),
            lists=console.states.storage.lists,
        )

    return [web.get("/documents", documents)]


def _filters(console: Console, given: Mapping[str, str]) -> Filters:
    """Return the filters of an address.

    :raises StateQueryError: one of them cannot be read.
    """
    age = AGES.get(given.get("age", ""), ("", None))[1]
    since = None if age is None else console.clock() - age
    path = given.get("path", "").strip()
    return Filters(
        tags=_tags(given.get("tag", ""), console.mask),
        key_prefix=given.get("key", ""),
        since=_time(given.get("from", "")) or since,
        until=_time(given.get("to", "")),
        path=JsonPath(path) if path else None,
    )


def _tags(text: str, mask: Mask) -> dict[str, str]:
    tags = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, value = part.partition("=")
        if not equals:
            raise StateQueryError("Tags are written name=value, with commas between them.")
        if mask.hides(name):
            raise StateQueryError("The values of this tag are hidden: nobody can search for them.")
        tags[name.strip()] = value.strip()
    return tags


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise StateQueryError("A time is written 2026-05-06T07:08, in UTC.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _row(mask: Mask, record: DocumentRecord, answer: Any) -> Row:
    tags = {name: HIDDEN if mask.hides(name) else text for name, text in record.tags.items()}
    if record.data is None:
        return Row(record, tags, None)
    return Row(record, tags, brief(answer, _FOUND))


def _next(
    console: Console, scope: str, fields: Mapping[str, str], position: Position | None
) -> str | None:
    if position is None:
        return None
    return console.url(
        "documents", scope=scope, **fields, after=position.token, past=position.after
    )
