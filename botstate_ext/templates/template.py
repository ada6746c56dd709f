"""Templates over a bot's state: checked before the bot runs, rendered in a turn.

Pure apart from the resolver, which loads all documents of one level in one batch:

- level 0: documents without an id, which the turn has loaded already;
- level 1: documents with an id that is written in the template, or is a value of level 0;
- level 2: documents with an id that is a value of level 1; and so on.

So a document with an id from the conversation, and one with a literal id, are loaded together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Protocol, TypeAlias

from ..errors import StateQueryError
from ..jsonpath.steps import NOTHING, step, walk
from ..keys import scopes
from ..keys.scopes import TemplateID
from .syntax import Parts, Placeholder, Reference, TemplateProblem, is_scope_name, parse

__all__ = [
    "ALIASES",
    "SCOPES",
    "TURN",
    "DocumentName",
    "DocumentResolver",
    "Template",
    "TemplateNames",
    "TemplateProblem",
]

MAX_OUTPUT: Final = 1_000_000
"""Characters of a rendered template."""

_SHOWN: Final = 60

DocumentName: TypeAlias = tuple[str, str | None]
"""The name of a scope, no alias; and the id of a document, None for the turn's own."""

TURN: Final = "turn"
"""The activity of the turn, beside the scopes."""

SCOPES: Final[Mapping[str, TemplateID]] = {
    **{row.name: row.template_id for row in scopes.SCOPES.values()},
    TURN: "never",
}
ALIASES: Final[Mapping[str, str]] = {"session": "conversation", "chat": "user"}


class DocumentResolver(Protocol):
    """Loads documents for a template. Implemented by ``states``, which imports this package."""

    async def documents(
        self, wanted: Mapping[DocumentName, frozenset[str] | None]
    ) -> Mapping[DocumentName, dict[str, Any]]:
        """Return these documents as plain JSON, loaded in one batch. Absent ones are left out, or
        empty.

        The value of each name is the set of properties that the template reads, None for all.
        """


class TemplateNames:
    """Holds the scopes and aliases that templates may name.

    - ``own``: scopes beside those of the package, or in place of one of them.
    - ``aliases``: ``{alias: scope}``, added to `ALIASES` or in place of them. A scope of the app
      with the name of an alias takes precedence.

    :raises StateQueryError: an alias is the name of a scope, refers to no scope, or cannot be
        written in a template.
    """

    def __init__(
        self,
        own: Mapping[str, TemplateID] | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._identified: dict[str, TemplateID] = {**SCOPES, **(own or {})}
        self._scopes = {name: name for name in self._identified}
        for alias, scope in {**ALIASES, **(aliases or {})}.items():
            if alias in SCOPES or not is_scope_name(alias):
                raise StateQueryError(f"{alias!r} cannot be another name for a scope.")
            if scope not in self._identified:
                raise StateQueryError(f"The alias {alias!r} is for {scope!r}, which is no scope.")
            self._scopes.setdefault(alias, scope)

    def scope(self, name: str) -> str:
        """Return the scope of a name or alias.

        :raises KeyError: there is none; :meth:`problem` says so.
        """
        return self._scopes[name]

    def problem(self, reference: Reference) -> TemplateProblem | None:
        """Return the problem of a reference; None if it has none.

        A problem of the reference in its parentheses is not included.
        """
        written = reference.scope
        if written not in self._scopes:
            message = f"{written!r} is no scope; these are: {', '.join(self._scopes)}"
            return TemplateProblem(reference.position, message)
        identified = self._identified[self._scopes[written]]
        if identified == "required" and reference.id is None:
            message = f"{written!r} needs an identifier: {{@{written}('id')}}"
            return TemplateProblem(reference.position, message)
        if identified == "never" and reference.id is not None:
            return TemplateProblem(reference.position, f"{written!r} takes no identifier")
        return None


@dataclass(frozen=True)
class Template:
    """Holds a parsed template. :meth:`parse` never raises; :meth:`check` lists the problems."""

    parts: Parts = field(repr=False)
    problems: tuple[TemplateProblem, ...]

    @staticmethod
    def parse(text: str) -> Template:
        """Parse a text. The last 128 templates are cached."""
        return _parsed(text)

    def check(self, names: TemplateNames) -> list[TemplateProblem]:
        """Return the problems of its syntax and its scopes, by position."""
        found = [names.problem(reference) for reference in self._references()]
        problems = {*self.problems, *(problem for problem in found if problem is not None)}
        return sorted(problems, key=lambda problem: problem.position)

    async def render(
        self, resolver: DocumentResolver, names: TemplateNames, *, strict: bool = False
    ) -> str:
        """Return the text with each placeholder replaced by its value.

        Strings are written as they are, anything else as JSON. A missing value is the
        placeholder's default, or else the empty text; null counts as missing, and so does a value
        whose document has no usable identifier (a text that is not empty, or a number). Values
        are never read as templates.

        :raises StateQueryError: the template is wrong, the result has over a million characters,
            or, with ``strict``, a value is missing for which the template has no default.
        """
        problems = self.check(names)
        if problems:
            raise _error(problems[0].position, problems[0].message)
        values = await self._resolve(resolver, names)
        pieces: list[str] = []
        length = 0
        for part in self.parts:
            if isinstance(part, Placeholder):
                part = _filled(part, values[part.reference], strict=strict)
            pieces.append(part)
            length += len(part)
            if length > MAX_OUTPUT:
                raise StateQueryError(
                    f"The rendered template is over the limit on length: {MAX_OUTPUT:,} characters."
                )
        return "".join(pieces)

    async def _resolve(
        self, resolver: DocumentResolver, names: TemplateNames
    ) -> Mapping[Reference, Any]:
        values: dict[Reference, Any] = {}
        for references in _levels(self._references()):
            located = {one: _located(one, values, names) for one in references}
            wanted = _wanted(located)
            documents = await resolver.documents(wanted) if wanted else {}
            for reference, name in located.items():
                document = NOTHING if name is None else documents.get(name, {})
                steps = tuple(step(key) for key in reference.keys)
                values[reference] = walk(steps, document)
        return values

    def _references(self) -> Iterator[Reference]:
        for part in self.parts:
            reference = part.reference if isinstance(part, Placeholder) else None
            while isinstance(reference, Reference):
                yield reference
                reference = reference.id if isinstance(reference.id, Reference) else None


@lru_cache(maxsize=128)
def _parsed(text: str) -> Template:
    return Template(*parse(text))


def _levels(references: Iterable[Reference]) -> list[list[Reference]]:
    levels: dict[int, dict[Reference, None]] = {}
    for reference in references:
        levels.setdefault(_level(reference), {})[reference] = None
    return [list(levels[level]) for level in sorted(levels)]


def _level(reference: Reference) -> int:
    if isinstance(reference.id, Reference):
        return _level(reference.id) + 1
    return 0 if reference.id is None else 1


def _located(
    reference: Reference, values: Mapping[Reference, Any], names: TemplateNames
) -> DocumentName | None:
    scope, identifier = names.scope(reference.scope), reference.id
    if not isinstance(identifier, Reference):
        return scope, identifier
    value = values[identifier]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = _text(value)
    return (scope, value) if isinstance(value, str) and value else None


def _wanted(
    located: Mapping[Reference, DocumentName | None],
) -> dict[DocumentName, frozenset[str] | None]:
    wanted: dict[DocumentName, frozenset[str] | None] = {}
    for reference, name in located.items():
        if name is None:
            continue
        seen = wanted.get(name, frozenset())
        first = reference.keys[0] if reference.keys else None
        # An index finds nothing in a document: no property has to be decoded for it.
        properties = frozenset({first}) if isinstance(first, str) else frozenset()
        wanted[name] = None if seen is None or first is None else seen | properties
    return wanted


def _filled(placeholder: Placeholder, value: Any, *, strict: bool) -> str:
    if value is not NOTHING and value is not None:
        return _text(value)
    if placeholder.default is None and strict:
        source = placeholder.source
        shown = source if len(source) <= _SHOWN else source[:_SHOWN] + "..."
        raise _error(placeholder.position, f"{shown} has no value, and no default")
    return placeholder.default or ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        kind = type(value).__name__
        raise StateQueryError(f"A value of type {kind} cannot be written as JSON.") from error


def _error(position: int, message: str) -> StateQueryError:
    return StateQueryError(f"Template, position {position}: {message}.")
