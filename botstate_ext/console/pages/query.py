"""A JSONPath or a template, tried on the scopes of a user and a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ...errors import StateError, StateQueryError
from ...jsonpath import JsonPath
from ...states.query_scopes import TurnDocuments, read_tree
from ...templates.template import DocumentName, Template, TemplateProblem
from ..tree import TreeBuilder

if TYPE_CHECKING:
    from ...states.outside_turn import OutsideTurn
    from ..console import Console

_BUDGET: Final = 5.0
_FIELDS: Final = ("channel", "user", "conversation", "workflow", "kind", "text")


class _MaskedDocuments:
    """Loads the documents of a turn for a template, without what is hidden."""

    def __init__(self, console: Console, turn: OutsideTurn) -> None:
        self._documents = TurnDocuments(console.states, turn)
        self._mask = console.mask

    async def documents(
        self, wanted: Mapping[DocumentName, frozenset[str] | None]
    ) -> dict[DocumentName, dict[str, Any]]:
        """Return these documents as plain JSON."""
        found = await self._documents.documents(wanted)
        return {name: self._mask.properties(values) for name, values in found.items()}


def routes(console: Console) -> list[web.RouteDef]:
    """Return the route of this page."""

    async def query(request: web.Request) -> web.StreamResponse:
        fields = {name: request.query.get(name, "").strip() for name in _FIELDS}
        fields["kind"] = "template" if fields["kind"] == "template" else "path"
        found: dict[str, Any] = {}
        if fields["text"]:
            try:
                found = await asyncio.wait_for(_answer(console, fields), _BUDGET)
            except asyncio.TimeoutError:
                found = {"problem": f"There was no answer within {_BUDGET:.0f} seconds."}
            except StateError as error:
                found = {"problem": str(error)}
        shown = {"problem": None, "tree": None, "text": None, "problems": [], **found}
        return console.page(request, "query.html", fields=fields, **shown)

    return [web.get("/query", query)]


async def _answer(console: Console, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer as values of the page.

    :raises StateError: the path or the template is wrong, or something could not be read.
    """
    states = console.states
    # Never entered: so nothing is saved, and nothing that has expired is removed.
    turn = states.unit_of_work(
        channel_id=fields["channel"] or None,
        user_id=fields["user"] or None,
        conversation_id=fields["conversation"] or None,
        workflow_id=fields["workflow"] or None,
    )
    if fields["kind"] == "path":
        path = JsonPath(fields["text"])
        tree = console.mask.applied(_plain(await read_tree(path, states, turn)))
        # In a thread: a slow path does not hold up the turns of the bot.
        return {"tree": TreeBuilder().build(await asyncio.to_thread(path.run, tree))}
    template, names = Template.parse(fields["text"]), states._names()
    problems: list[TemplateProblem] = template.check(names)
    if problems:
        return {"problems": problems}
    try:
        return {"text": await template.render(_MaskedDocuments(console, turn), names)}
    except RecursionError:
        raise StateQueryError("A value is nested too deeply.") from None


def _plain(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the tree of the scopes without the activity, which nobody sent."""
    return {name: value for name, value in tree.items() if name != "turn"}
