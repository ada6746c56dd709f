"""The library's lexer with two corrections, so that all of RFC 9535 is accepted."""

from __future__ import annotations

import re
from typing import Final

from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathQuery, JSONPathSyntaxError
from jsonpath_rfc9535.lex import RE_PROPERTY, Lexer, StateFn
from jsonpath_rfc9535.tokens import Token, TokenStream, TokenType

# RFC 9535, 2.5.1.1: name-first is a letter, "_" or any character beyond ASCII that is no surrogate.
# The library means the same, but its pattern reads "\u10FFFF" as "\u10FF" and two letters F.
_FIRST: Final = "a-zA-Z_\x80-\ud7ff\ue000-\U0010ffff"
_NAME: Final = re.compile(f"[{_FIRST}][{_FIRST}0-9]*")


class Environment(JSONPathEnvironment):
    """Configures the library with the corrected lexer."""

    def compile(self, query: str) -> JSONPathQuery:
        """Return the syntax tree of a path.

        :raises JSONPathError: the path is not RFC 9535.
        """
        lexer = _CorrectedLexer(query)
        lexer.run()
        if lexer.tokens and lexer.tokens[-1].type_ == TokenType.ERROR:
            raise JSONPathSyntaxError(lexer.tokens[-1].message, token=lexer.tokens[-1])
        if lexer.bracket_stack:
            opened, index = lexer.bracket_stack[-1]
            problem = f"unbalanced {'brackets' if opened == '[' else 'parentheses'}"
            token = Token(TokenType.ERROR, opened, index, query, problem)
            raise JSONPathSyntaxError(problem, token=token)
        return JSONPathQuery(env=self, segments=tuple(self.parser.parse(TokenStream(lexer.tokens))))


class _CorrectedLexer(Lexer):
    """Reads names beyond ASCII, and a comma after a filter in the argument of a function.

    The library counts function calls over the whole path. So it takes the comma in
    ``count(@[?@.a, ?@.b])`` for one between arguments. Here each filter counts its own.
    """

    __slots__ = ("_outer_calls",)

    def __init__(self, query: str) -> None:
        super().__init__(query)
        self._outer_calls: list[list[int]] = []

    def accept_match(self, pattern: re.Pattern[str]) -> bool:
        return super().accept_match(_NAME if pattern is RE_PROPERTY else pattern)

    def lex_inside_filter(self) -> StateFn | None:
        if self.filter_depth > len(self._outer_calls):
            self._outer_calls.append(self.func_call_stack)
            self.func_call_stack = []
        return super().lex_inside_filter()

    def lex_inside_bracketed_segment(self) -> StateFn | None:
        while len(self._outer_calls) > self.filter_depth:
            self.func_call_stack = self._outer_calls.pop()
        return super().lex_inside_bracketed_segment()
