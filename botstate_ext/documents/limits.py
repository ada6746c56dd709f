"""How large a document and its properties may be. Pure."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..errors import StateTooLargeError
from ..serialization import json_text

WARNING_AT: Final = 0.8
"""The part of a limit from which on a warning is logged."""

_log: Final = logging.getLogger("botstate_ext")


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a whole document: the bytes of its properties, and the levels of each value."""

    max_bytes: int | None = None
    max_depth: int | None = None


class PropertyLocation(NamedTuple):
    """Where something is, for messages. A document has no ``property_name``."""

    scope: str
    key: str
    property_name: str | None = None

    def __str__(self) -> str:
        name = "" if self.property_name is None else f"property {self.property_name!r}, "
        return f" ({name}scope {self.scope!r}, key {self.key!r})"


def positive_limit(limit: int | None, name: str) -> int | None:
    """The limit itself.

    :raises TypeError: it is neither None nor a whole number.
    :raises ValueError: it is zero or negative.
    """
    if limit is None:
        return None
    if type(limit) is not int:
        raise TypeError(f"{name} must be a whole number, not {type(limit).__name__}.")
    if limit <= 0:
        raise ValueError(f"{name} must be more than zero.")
    return limit


def check_property(
    before: bytes | None, after: bytes, limit: int | None, location: PropertyLocation
) -> None:
    """:raises StateTooLargeError: the property's text is over its limit, and has grown."""
    if limit is not None:
        _check("The property", len(before or b""), len(after), limit, location)


def check_depth(
    before: bytes | None, after: bytes, limit: int | None, location: PropertyLocation
) -> None:
    """:raises StateTooLargeError: the property's value has too many levels, and more than it had.

    An array or an object is one level more than what it holds.
    """
    if limit is None:
        return
    depth = _depth(after)
    if depth > limit and depth > (0 if before is None else _depth(before)):
        raise StateTooLargeError(
            "The nesting", size=depth, limit=limit, unit="levels", **location._asdict()
        )


def check_document(
    before: Mapping[str, bytes],
    after: Mapping[str, bytes],
    limit: int | None,
    location: PropertyLocation,
) -> None:
    """:raises StateTooLargeError: the properties together are over the limit, and have grown. The
    error names the largest."""
    if limit is None or not after:
        return
    name, text = max(after.items(), key=lambda item: len(item[1]))
    _check(
        "The document",
        _size(before.items()),
        _size(after.items()),
        limit,
        location._replace(property_name=name),
        f"The property named is its largest, {len(text)} bytes. ",
    )


def _check(
    what: str, before: int, after: int, limit: int, location: PropertyLocation, advice: str = ""
) -> None:
    # What is over the limit already, because the limit is new, may shrink.
    if after > limit and after > before:
        raise StateTooLargeError(
            what,
            size=after,
            limit=limit,
            advice=f"{advice}Store less, split it, or raise the limit.",
            **location._asdict(),
        )


def warn_of_property(
    before: bytes | None, after: bytes, limit: int | None, location: PropertyLocation
) -> None:
    """Log a warning when a property has come close to its limit."""
    if limit is not None:
        _warn("The property", len(before or b""), len(after), limit, location)


def warn_of_document(
    before: Mapping[str, bytes],
    after: Mapping[str, bytes],
    limit: int | None,
    location: PropertyLocation,
) -> None:
    """Log a warning when the properties together have come close to the limit."""
    if limit is not None:
        _warn("The document", _size(before.items()), _size(after.items()), limit, location)


def _warn(what: str, before: int, after: int, limit: int, location: PropertyLocation) -> None:
    # Once, not with every turn from then on.
    if after >= WARNING_AT * limit > before:
        _log.warning("%s%s is %d bytes now; the limit is %d.", what, location, after, limit)


def _size(entries: Iterable[tuple[str, bytes]]) -> int:
    """The bytes of the JSON object of these entries; names are counted as they are in UTF-8."""
    return 1 + sum(len(name.encode("utf-8", "surrogatepass")) + 4 + len(t) for name, t in entries)


def _depth(text: bytes) -> int:
    depth, level = 0, [json_text.loads(text)]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        depth += 1
        level = [
            member
            for item in level
            for member in (item.values() if isinstance(item, dict) else item)
        ]
    return depth
