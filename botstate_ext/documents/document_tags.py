"""The tags of a document: labels that listings show and filter by, without reading bodies. Pure."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..errors import StateEncodeError, StateTooLargeError

MAX_TAGS: Final = 32
MAX_BYTES: Final = 4096
"""The limit of all names and values together, in UTF-8. As msgpack in base64 they fit into the
8 KiB of metadata that Azure allows, beside the other entries."""

_decoder: Final = msgspec.msgpack.Decoder(dict[str, str])
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def checked(tags: Any) -> dict[str, str]:
    """Return a copy of these tags.

    :raises TypeError: they are no mapping of strings to strings.
    :raises StateEncodeError: a text holds half a character (a lone surrogate).
    :raises StateTooLargeError: there are over 32, or over 4 KB of them.
    """
    if not isinstance(tags, Mapping):
        raise TypeError(f"Tags are a mapping of strings to strings, not {type(tags).__name__}.")
    for part in (*tags, *tags.values()):
        if not isinstance(part, str):
            raise TypeError(f"A tag and its value are strings, not {type(part).__name__}.")
        if _SURROGATE.search(part):
            raise StateEncodeError("a tag holds half a character (a lone surrogate)")
    return within_limits(dict(tags))


def within_limits(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags.

    :raises StateTooLargeError: there are over 32, or over 4 KB of them.
    """
    if len(tags) > MAX_TAGS:
        raise StateTooLargeError(
            "The set of tags", size=len(tags), limit=MAX_TAGS, unit="tags", advice="Set fewer."
        )
    size = sum(len(part.encode()) for part in (*tags, *tags.values()))
    if size > MAX_BYTES:
        advice = "Keep long texts in a property."
        raise StateTooLargeError("The set of tags", size=size, limit=MAX_BYTES, advice=advice)
    return tags


def trimmed(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return the first tags that fit the limits. Another program may have stored more of them."""
    kept: dict[str, str] = {}
    size = 0
    for name, text in tags.items():
        parts = (name + text).encode("utf-8", "surrogatepass")
        if _SURROGATE.search(name + text) or size + len(parts) > MAX_BYTES:
            continue
        if len(kept) == MAX_TAGS:
            break
        kept[name], size = text, size + len(parts)
    return kept


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    """Return the changes that turn the first tags into the second; None removes a tag."""
    removed: dict[str, str | None] = {name: None for name in before if name not in after}
    return removed | {name: text for name, text in after.items() if before.get(name) != text}


def applied(before: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return the tags with these changes."""
    merged = {**before, **changes}
    return {name: text for name, text in merged.items() if text is not None}


def packed(tags: Mapping[str, str]) -> str:
    """Return the tags as text that fits an HTTP header."""
    return b64encode(msgspec.msgpack.encode(tags)).decode()


def unpacked(text: str) -> dict[str, str]:
    """Return the tags that `packed` was given; no tags if the text is something else."""
    try:
        return _decoder.decode(b64decode(text, validate=True))
    except ValueError:  # binascii's and msgspec's are both; someone else's metadata is not ours
        return {}
