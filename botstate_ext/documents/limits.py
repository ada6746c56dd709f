"""The limits on the size of a document and its properties. Pure."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from msgspec import Struct

from ..errors import StateTooLargeError
from ..serialization import json_text

WARNING_AT: Final = 0.8
"""The share of a limit at which a warning is logged."""

_log: Final = logging.getLogger("botstate_ext")


class Limits(Struct, frozen=True):
    """Holds the limits of a scope's documents.

    ``max_bytes``: of all properties together. ``max_depth``: the levels of each value.
    """

    max_bytes: int | None = None
    max_depth: int | None = None


class PropertyLocation(NamedTuple):
    """Names the document or the property in a message."""

    scope: str
    key: str
    property_name: str | None = None

    def __str__(self) -> str:
        name = "" if self.property_name is None else f"property {self.property_name!r}, "
        return f" ({name}scope {self.scope!r}, key {self.key!r})"


def positive_limit(limit: int | None, name: str) -> int | None:
    """Return the limit.

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
    before: bytes | None,
    after: bytes,
    max_bytes: int | None,
    max_depth: int | None,
    location: PropertyLocation,
) -> None:
    """Check the new text of a property against its limits. None: no limit.

    A property that is already over a new limit may stay and may shrink.

    :raises StateTooLargeError: the text is too long, or the value has too many levels, and more
        than before. An array or an object is one level more than what it holds.
    """
    if max_bytes is not None:
        _check("The property", len(before or b""), len(after), max_bytes, location)
    if max_depth is None:
        return
    depth = _depth(after)
    if depth > max_depth and depth > (0 if before is None else _depth(before)):
        raise StateTooLargeError(
            "The nesting", size=depth, limit=max_depth, unit="levels", **location._asdict()
        )


def check_document(
    before: Mapping[str, bytes], after: Mapping[str, bytes], limit: int, location: PropertyLocation
) -> None:
    """Check the new texts of a document against its limit.

    :raises StateTooLargeError: they are over the limit together, and have grown. The error names
        the largest property.
    """
    if not after:
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
    subject: str, before: int, after: int, limit: int, location: PropertyLocation, advice: str = ""
) -> None:
    if after > limit and after > before:
        raise StateTooLargeError(
            subject,
            size=after,
            limit=limit,
            advice=f"{advice}Store less, split it, or raise the limit.",
            **location._asdict(),
        )


def warn_of_property(
    before: bytes | None, after: bytes, limit: int, location: PropertyLocation
) -> None:
    """Log a warning if a property's new text comes close to its limit."""
    _warn("The property", len(before or b""), len(after), limit, location)


def warn_of_document(
    before: Mapping[str, bytes], after: Mapping[str, bytes], limit: int, location: PropertyLocation
) -> None:
    """Log a warning if the new texts of a document together come close to its limit."""
    _warn("The document", _size(before.items()), _size(after.items()), limit, location)


def _warn(subject: str, before: int, after: int, limit: int, location: PropertyLocation) -> None:
    # Once, not with every turn from then on.
    if after >= WARNING_AT * limit > before:
        _log.warning("%s%s is %d bytes now; the limit is %d.", subject, location, after, limit)


def _size(entries: Iterable[tuple[str, bytes]]) -> int:
    """Return the bytes of the JSON object of these entries, with the names in UTF-8."""
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
