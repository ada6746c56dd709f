"""Parses templates such as ``Hi {@user.name|'there'}, your {@shared(@session.code).item}``. Pure.

    template    = text with placeholders; ``{{@`` is the text ``{@``
    placeholder = "{" reference [ "|" quoted ] "}"
    reference   = "@" scope [ "(" quoted | reference ")" ] { "." name | "[" index | quoted "]" }
    quoted      = 'text' or "text", in which a backslash makes the next character plain

Spaces may stand around ``|``, inside the parentheses and before ``}``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias

MAX_LENGTH: Final = 100_000
"""Characters of a template."""

MAX_PLACEHOLDERS: Final = 500

MAX_NESTING: Final = 8
"""References inside one another."""

_OPENING: Final = re.compile(r"\{?\{@")
_SPACE: Final = re.compile(r"\s*")
# Letters, digits, "_" and all beyond ASCII, said by what they are not: the sets of what they are
# take the regex compiler 10 ms of every import.
_FIRST: Final = r"[^\x00-@\[-^`{-\x7F]"
_NAME: Final = re.compile(_FIRST + r"[^\x00-/:-@\[-^`{-\x7F]*")
_SCOPE: Final = re.compile(_FIRST + r"[^\x00-,./:-@\[-^`{-\x7F]*")
_INDEX: Final = re.compile(r"0|-?[1-9][0-9]{0,8}")
_QUOTED: Final = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """Describes a problem of a template. ``position``: the characters before it in the text."""

    position: int
    message: str


@dataclass(frozen=True, slots=True)
class Reference:
    """Refers to one value of one document.

    - ``scope``: the name in the text, which may be an alias.
    - ``id``: the document's id in the text, or a reference to it.
    - ``keys``: the names and indexes after the scope. If there are none: the whole document.
    - ``position``: in the text. References that differ only in it are equal.
    """

    scope: str
    id: str | Reference | None
    keys: tuple[str | int, ...]
    position: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Holds a reference in braces. ``default``: the text for a missing value; None if there is
    none."""

    reference: Reference
    default: str | None
    source: str
    position: int


Parts: TypeAlias = tuple[str | Placeholder, ...]


class _SyntaxProblem(Exception):
    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.problem = TemplateProblem(position, message)


def is_scope_name(name: str) -> bool:
    """Return True if this can be the name of a scope in a template."""
    return _SCOPE.fullmatch(name) is not None


def parse(text: str) -> tuple[Parts, tuple[TemplateProblem, ...]]:
    """Return the texts and placeholders of a template in order, and its problems."""
    if len(text) > MAX_LENGTH:
        message = f"the template is over the limit on length: {MAX_LENGTH:,} characters"
        return (), (TemplateProblem(MAX_LENGTH, message),)
    parts: list[str | Placeholder] = []
    problems: list[TemplateProblem] = []
    at = placeholders = 0
    while opening := _OPENING.search(text, at):
        parts.append(text[at : opening.start()])
        at = opening.end()
        if opening[0] == "{{@":
            parts.append("{@")
            continue
        placeholders += 1
        if placeholders > MAX_PLACEHOLDERS:
            message = f"the template is over the limit on placeholders: {MAX_PLACEHOLDERS}"
            problems.append(TemplateProblem(opening.start(), message))
            break
        try:
            placeholder = _Reader(text, at).placeholder()
        except _SyntaxProblem as error:
            # Go on after it, so that one check finds all problems.
            problems.append(error.problem)
            at = error.problem.position
        else:
            parts.append(placeholder)
            at = placeholder.position + len(placeholder.source)
    parts.append(text[at:])
    return tuple(parts), tuple(problems)


class _Reader:
    """Reads one placeholder, from after its ``{@``."""

    def __init__(self, text: str, at: int) -> None:
        self._text, self._at = text, at

    def placeholder(self) -> Placeholder:
        start = self._at - len("{@")
        reference = self._reference(1)
        default = None
        self._match(_SPACE)
        if self._took("|"):
            self._match(_SPACE)
            default = self._quoted("a default in quotes, such as |'there'")
            self._match(_SPACE)
        self._expect("}")
        return Placeholder(reference, default, self._text[start : self._at], start)

    def _reference(self, depth: int) -> Reference:
        position = self._at - len("@")
        if depth > MAX_NESTING:
            message = f"the template is over the limit on nesting: {MAX_NESTING} references"
            raise _SyntaxProblem(position, message)
        scope = self._match(_SCOPE)
        if scope is None:
            raise _SyntaxProblem(self._at, "expected the name of a scope, such as {@user.name}")
        return Reference(scope[0], self._identifier(depth), self._keys(), position)

    def _identifier(self, depth: int) -> str | Reference | None:
        if not self._took("("):
            return None
        self._match(_SPACE)
        identifier: str | Reference
        if self._took("@"):
            identifier = self._reference(depth + 1)
        else:
            identifier = self._quoted("an identifier: 'in quotes', or another @scope.name")
        self._match(_SPACE)
        self._expect(")")
        return identifier

    def _keys(self) -> tuple[str | int, ...]:
        keys: list[str | int] = []
        while True:
            if self._took("."):
                keys.append(self._name("a name; one with other characters is written ['a-b']"))
            elif self._took("["):
                index = self._match(_INDEX)
                keys.append(int(index[0]) if index else self._quoted("an index or a quoted name"))
                self._expect("]")
            else:
                return tuple(keys)

    def _name(self, expected: str) -> str:
        name = self._match(_NAME)
        if name is None:
            raise _SyntaxProblem(self._at, f"expected {expected}")
        return name[0]

    def _quoted(self, expected: str) -> str:
        quoted = self._match(_QUOTED)
        if quoted is None:
            raise _SyntaxProblem(self._at, f"expected {expected}")
        inner = quoted[1] if quoted[1] is not None else quoted[2]
        return _ESCAPED.sub(r"\1", inner)

    def _expect(self, character: str) -> None:
        if not self._took(character):
            raise _SyntaxProblem(self._at, f"expected {character!r}")

    def _took(self, character: str) -> bool:
        took = self._text.startswith(character, self._at)
        self._at += took
        return took

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
        return match
