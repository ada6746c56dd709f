"""Makes texts, sizes and times ready to be shown. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from markupsafe import Markup, escape

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_KILO: Final = 1024
_SAMPLE: Final = 50


def visible(text: str) -> str:
    """Return a text with each control, format and bidirectional character as its escape.

    What the page shows is then what is stored: no character can turn the order of others around,
    or be there unseen. Spaces and letters of all scripts stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def finalized(value: Any) -> Any:
    """Return a value as every template writes it: see `visible`. Markup is made by us: it stays."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return value


def as_json(value: Any) -> str:
    """Return a value as indented JSON in which each character that cannot be seen is escaped.

    It can be read again as the same value. A value that is nested too deeply gives an empty text.
    """
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    except RecursionError:
        return ""
    lines = text.split("\n")  # outside of strings there is nothing to escape but these
    return "\n".join(map(_visible_json, lines))


def field(text: str) -> Markup:
    """Return the content of a field of a form: the text as it is, since it is sent back."""
    return escape(text.encode("utf-8", "replace").decode())


def lines(text: str) -> Markup:
    """Return a text of several lines to read: see `visible`, but line breaks stay."""
    return escape("\n".join(map(visible, text.split("\n"))))


def shortened(text: str, length: int) -> str:
    """Return at most ``length`` characters of a text, and an ellipsis if some are missing."""
    return text if len(text) <= length else text[: length - 1] + "…"


def brief(value: Any, length: int) -> str:
    """Return the beginning of a value's JSON. Of a long list or object only its length."""
    if isinstance(value, str):
        value = value[: length + 1]
    elif isinstance(value, dict) and len(value) > _SAMPLE:
        return f"object, {len(value):,} members"
    elif isinstance(value, list) and len(value) > _SAMPLE:
        return f"list, {len(value):,} items"
    try:
        return shortened(json.dumps(value, ensure_ascii=False), length)
    except RecursionError:
        return "nested too deeply"


def size(count: int) -> str:
    """Return a number of bytes: ``"812 B"``, ``"1.4 KB"``."""
    if count < _KILO:
        return f"{count} B"
    if count < _KILO * _KILO:
        return f"{count / _KILO:.1f} KB"
    return f"{count / (_KILO * _KILO):.1f} MB"


def duration(seconds: float) -> str:
    """Return a length of time in its largest unit: ``"3 h"``."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "0 s"


def milliseconds(seconds: float) -> str:
    """Return seconds as milliseconds, to a tenth below ten."""
    milli = seconds * 1000
    return f"{milli:.1f}" if milli < 10 else f"{milli:,.0f}"


def stamp(moment: datetime | None) -> str:
    """Return a time to the second, in UTC; a dash if there is none."""
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def clock_time(moment: datetime) -> str:
    """Return the time of day, in UTC."""
    return f"{moment:%H:%M:%S}"


def relative(now: Callable[[], datetime]) -> Callable[[datetime | None], str]:
    """Return a filter that gives a time as its distance from now: ``"3 h ago"``, ``"in 2 d"``."""

    def ago(moment: datetime | None) -> str:
        if moment is None:
            return "-"
        distance = now() - moment
        if abs(distance) < timedelta(seconds=1):
            return "now"
        length = duration(abs(distance.total_seconds()))
        return f"in {length}" if distance < timedelta() else f"{length} ago"

    return ago


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _visible_json(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else _json_escape(c) for c in line)


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
