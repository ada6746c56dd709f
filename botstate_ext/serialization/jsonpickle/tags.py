"""Names jsonpickle's tags, finds them in bytes, and checks the shape of each."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

from ...errors import StateDecodeError

PREFIX: Final = "py/"
B64: Final = "py/b64"
B85: Final = "py/b85"
FUNCTION: Final = "py/function"
ID: Final = "py/id"
ITERATOR: Final = "py/iterator"
MODULE: Final = "py/mod"
NEWARGS: Final = "py/newargs"
NEWARGSEX: Final = "py/newargsex"
OBJECT: Final = "py/object"
REDUCE: Final = "py/reduce"
REPR: Final = "py/repr"
SEQ: Final = "py/seq"
SET: Final = "py/set"
STATE: Final = "py/state"
TUPLE: Final = "py/tuple"
TYPE: Final = "py/type"

SCALARS: Final = frozenset((str, int, float, bool, type(None)))

CLOCKS: Final = frozenset(("datetime.datetime", "datetime.date", "datetime.time"))
"""Written as an object with one attribute, ``__reduce__``: [type, [base64 of its bytes, zone]]."""

MAX_DEPTH: Final = 200
"""Levels of JSON in a tagged value, both ways. jsonpickle itself ends before that at Python's
default recursion limit, so nothing that upstream wrote is deeper."""

MAX_SHOWN: Final = 20
"""Names of classes in one message."""

MAX_LENGTH: Final = 200
"""Characters of a stored name in a message."""

# Any other spelling of a tag in JSON needs one of these escapes; a NUL is UTF-16 or UTF-32.
_ESCAPES: Final = (rb"\u0070", rb"\u0079", rb"\u002f", rb"\u002F", rb"\/")
_ID_ESCAPES: Final = (*_ESCAPES, rb"\u0069", rb"\u0064")
_COMPANIONS: Final = frozenset((NEWARGS, NEWARGSEX, SEQ, STATE))


def has_tags(raw: bytes) -> bool:
    """Return True if this JSON text may hold a "py/..." key, in any spelling.

    May be a false yes, never a false no.
    """
    # One byte is looked for much faster than four, and most texts hold none of these.
    if b"/" not in raw and b"\\" not in raw and b"\0" not in raw:
        return False
    return b'"py/' in raw or _may_escape(raw, _ESCAPES)


def may_write_tags(text: bytes) -> bool:
    """Return True if this text from msgspec may hold a "py/..." key. Never a false no.

    msgspec writes UTF-8 and escapes neither letters nor slashes, so there is one spelling only.
    """
    return b"/" in text and b'"py/' in text


def count_tags(raw: bytes) -> int | None:
    """Return the number of "py/..." keys in a JSON text, or more: values that look so are counted
    too. None if one may be spelled in another way."""
    return None if _may_escape(raw, _ESCAPES) else raw.count(b'"py/')


def has_references(raw: bytes) -> bool:
    """Return True if this JSON text may hold a "py/id" key, in any spelling.

    May be a false yes, never a false no.
    """
    if b"/" not in raw and b"\\" not in raw and b"\0" not in raw:
        return False
    return b'"py/id"' in raw or _may_escape(raw, _ID_ESCAPES)


def _may_escape(raw: bytes, escapes: tuple[bytes, ...]) -> bool:
    return (b"\\" in raw and any(escape in raw for escape in escapes)) or b"\0" in raw


def tag_of(value: dict[str, Any]) -> str | None:
    """Return the tag of a dictionary; None if it is a plain one.

    :raises StateDecodeError: it has tags that do not go together, or a member beside its tag that
        the tag does not take.
    """
    # Compared as text, which is cheaper than to slice every key: "0" comes after "/".
    found = [key for key in value if "py/" <= key < "py0"]
    if not found:
        return None
    if OBJECT in value:
        for tag in found:
            if tag != OBJECT and tag not in _COMPANIONS:
                raise StateDecodeError(f"it mixes {OBJECT} with {shown(tag)}.")
        return OBJECT
    if len(value) > 1:
        raise StateDecodeError(f"it has {shown(found[0])} beside keys that do not belong to it.")
    return found[0]


def items_of(value: dict[str, Any], tag: str) -> list[Any]:
    """Return the list that a tag like "py/tuple" holds."""
    items = value[tag]
    if type(items) is not list:
        raise malformed(tag)
    return items


def text_of(value: dict[str, Any], tag: str) -> str:
    """Return the text that a tag like "py/object" holds."""
    text = value[tag]
    if type(text) is not str:
        raise malformed(tag)
    return text


def bytes_of(value: dict[str, Any], tag: str) -> bytes:
    """Return the bytes that "py/b64" or "py/b85" holds."""
    text = text_of(value, tag)
    try:
        if tag == B64:
            return base64.b64decode(text, validate=True)
        return base64.b85decode(text)
    except ValueError:
        raise malformed(tag) from None


def malformed(tag: str) -> StateDecodeError:
    return StateDecodeError(f"{shown(tag)} is not of the shape that jsonpickle writes.")


def refused(names: Sequence[str]) -> StateDecodeError:
    """Return the error that names what a stored value names and the allow-list does not have."""
    some = names[:MAX_SHOWN]
    listed = ", ".join(map(shown, some))
    if len(names) > len(some):
        listed += f" and {len(names) - len(some)} more"
    line = ", ".join(map(_class_to_paste, some))
    are, they, classes = ("is", "it", "a class") if len(names) == 1 else ("are", "they", "classes")
    return StateDecodeError(
        f"it names {listed}, which {are} not allowed. If {they} {are} {classes} of yours, pass "
        f"types=[{line}] to StateScopes; if {they} moved, "
        'types={"old.module.Name": NewClass}.'
    )


def _class_to_paste(name: str) -> str:
    cls = name.rpartition(".")[2]
    return cls if cls.isidentifier() and len(cls) <= MAX_LENGTH else "..."


def too_deep() -> StateDecodeError:
    return StateDecodeError("it is nested too deeply.")


def shown(name: str) -> str:
    """Return the name of a class or a tag for a message, cut short: anyone may have written it."""
    return repr(name if len(name) <= MAX_LENGTH else f"{name[:MAX_LENGTH]}...")
