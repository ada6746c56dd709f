"""Patterns of match() and search(): I-Regexp (RFC 9485). ``regex`` runs them: it has a time-out."""

from __future__ import annotations

import re
from functools import lru_cache
from math import prod
from time import perf_counter
from typing import Any, Final, NamedTuple

import regex  # type: ignore[import-untyped]  # it ships no types
from iregexp_check import check

from .limits import (
    MAX_NESTING,
    MAX_PATTERN_LENGTH,
    MAX_PATTERN_REPEATS,
    MAX_PATTERN_SECONDS,
    Run,
    over_limit,
)
from .parse import nesting

_PIECE: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\.", re.DOTALL)
_MINIMUM: Final = re.compile(r"\{([0-9]+)")
_COUNTS: Final = re.compile(rf"({_PIECE.pattern})|\{{[0-9]+(,?)[0-9]*\}}", re.DOTALL)
_QUANTIFIER: Final = re.compile(r"[*+?{]")
_QUICK_TEXT: Final = 1_000


class Pattern(NamedTuple):
    """Holds a compiled pattern of the ``regex`` package.

    ``quick``: True if the pattern is fast on every short text, because it has no groups, no choices
    and at most one quantifier. It then runs without the time-out, which costs 2 µs: six times such
    a match itself.
    """

    compiled: Any
    quick: bool


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Pattern | None:
    """Compile a pattern. Return None if the text is no I-Regexp; such a pattern matches nothing.

    :raises StateQueryError: the pattern is longer or deeper, or repeats more, than the limits
        allow. They are checked before the grammar: on a hostile pattern the recursion of that check
        would end the interpreter.
    """
    if len(text) > MAX_PATTERN_LENGTH:
        over_limit("a pattern's length", MAX_PATTERN_LENGTH, "characters")
    bare = _PIECE.sub("", text)
    if nesting(bare) > MAX_NESTING:
        over_limit("a pattern's nesting", MAX_NESTING, "levels")
    if prod(max(int(count), 1) for count in _MINIMUM.findall(bare)) > MAX_PATTERN_REPEATS:
        over_limit("a pattern's repeats", MAX_PATTERN_REPEATS, "repeats")
    if not _is_iregexp(text):
        return None
    # An I-Regexp's dot excludes both line ends; every other piece is the same in `regex`.
    translated = _PIECE.sub(lambda piece: r"[^\n\r]" if piece[0] == "." else piece[0], text)
    quick = not set("(|") & set(bare) and len(_QUANTIFIER.findall(bare)) <= 1
    try:
        return Pattern(regex.compile(translated, regex.VERSION0), quick)
    except regex.error:
        # What the grammar allows and no engine does: [z-a], a repeat over 32 bits.
        return None


def _is_iregexp(text: str) -> bool:
    # iregexp-check 0.1 refuses counts of two digits. Which counts they are is not its matter.
    counted_once = _COUNTS.sub(lambda piece: piece[1] or f"{{1{piece[2]}}}", text)
    try:
        return check(counted_once)
    except UnicodeEncodeError:  # A lone surrogate is no character, so no pattern.
        return False


def matches(run: Run, text: Any, pattern: Any, *, whole: bool) -> bool:
    """Return True if the pattern matches the ``whole`` text, or else any part of it.

    False, as RFC 9535 says, if one of them is no string or the pattern is no I-Regexp.

    :raises StateQueryError: the patterns of this run have taken longer than the limit.
    """
    if not isinstance(text, str) or not isinstance(pattern, str):
        return False
    known = compile_pattern(pattern)
    if known is None:
        return False
    apply = known.compiled.fullmatch if whole else known.compiled.search
    timeout = None if known.quick and len(text) <= _QUICK_TEXT else run.pattern_seconds
    started = perf_counter()
    try:
        found = apply(text, timeout=timeout) is not None
    except TimeoutError:
        over_limit("the time of patterns", MAX_PATTERN_SECONDS, "seconds")
    run.pattern_seconds -= perf_counter() - started
    if run.pattern_seconds <= 0:
        over_limit("the time of patterns", MAX_PATTERN_SECONDS, "seconds")
    return found
