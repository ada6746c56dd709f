"""Parses a path's text to the library's syntax tree, behind the guards that its parser needs."""

from __future__ import annotations

import re
from typing import Final

from jsonpath_rfc9535 import JSONPathError, JSONPathQuery

from ..errors import StateQueryError
from .lexer import Environment
from .limits import MAX_LENGTH, MAX_NESTING, MAX_NUMBER, MAX_OPERATORS, over_limit

_ENVIRONMENT: Final = Environment()
_STRING: Final = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_LEVEL: Final = {"[": 1, "(": 1, "]": -1, ")": -1}
_SHOWN: Final = 60


def parse(text: str) -> JSONPathQuery:
    """Return the syntax tree of a path.

    :raises StateQueryError: the path is not RFC 9535, or is over a limit.
    """
    if len(text) > MAX_LENGTH:
        over_limit("a path's length", MAX_LENGTH, "characters")
    # The parser is recursive, so nesting and chains are counted before it runs.
    bare = _STRING.sub("''", text)
    if nesting(bare) > MAX_NESTING:
        over_limit("a path's nesting", MAX_NESTING, "levels")
    if bare.count("&&") + bare.count("||") > MAX_OPERATORS:
        over_limit("logical operators", MAX_OPERATORS, "operators")
    if re.search(r"!\s*!", bare):
        raise syntax_error(text, "'!' twice")
    try:
        return _ENVIRONMENT.compile(text)
    except JSONPathError as error:
        at = "" if error.token is None else f" at position {error.token.index}"
        raise syntax_error(text, f"{error.args[0]}{at}") from error
    except OverflowError:
        over_limit("numbers", MAX_NUMBER, "at most")
    except RecursionError as error:
        raise syntax_error(text, "nested too deeply for the stack that is left") from error


def nesting(text: str) -> int:
    """Return the largest number of brackets and parentheses that are open at once."""
    deepest = level = 0
    for character in text:
        level += _LEVEL.get(character, 0)
        deepest = max(deepest, level)
    return deepest


def syntax_error(text: str, problem: str) -> StateQueryError:
    """Return the error for a path with this problem."""
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return StateQueryError(f"The JSONPath {shown!r} is not valid: {problem}.")
