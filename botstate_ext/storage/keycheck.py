"""The rules of keys and metadata, the same for every backend. Pure.

They are the rules of a blob's name, and forbid also what Azure or its drivers refuse late or
silently rewrite, so that a bot that runs on memory runs on Blob too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..errors import StateEncodeError, StateKeyError, StateTooLargeError

MAX_KEY_LENGTH: Final = 1024
MAX_KEY_SEGMENTS: Final = 254
MAX_METADATA_BYTES: Final = 8 * 1024

_ADVICE: Final = (
    "Give the scope a key function that makes a valid one, for example StateScopes(user_key=...)."
)
# Control characters and the non-characters cannot be written in the XML of a listing.
_FORBIDDEN: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\\\\ud800-\udfff\ufffe\uffff]")
_DOTTED_SEGMENT: Final = re.compile(r"\.(?:/|\Z)")


def check_key(key: object) -> None:
    """Check a storage key.

    :raises StateKeyError: no storage takes it; the text says why, and what to do.
    :raises StateTooLargeError: it is over 1,024 characters.
    """
    if not isinstance(key, str) or not key:
        raise StateKeyError(f"A storage key must be a string that is not empty, not {key!r}.")
    if len(key) > MAX_KEY_LENGTH // 2:
        _check_length(key)
    found = _FORBIDDEN.search(key)
    if found is not None:
        what = "a backslash" if found[0] == "\\" else f"the character U+{ord(found[0]):04X}"
        raise StateKeyError(f"The storage key {key!r} holds {what}. {_ADVICE}")
    if "." in key and _DOTTED_SEGMENT.search(key):
        raise StateKeyError(f"The storage key {key!r} has a part that ends with a dot. {_ADVICE}")
    if key.count("/") >= MAX_KEY_SEGMENTS:
        raise StateKeyError(
            f"The storage key {key!r} has over {MAX_KEY_SEGMENTS} parts, divided by '/'. {_ADVICE}"
        )


def may_start_a_key(prefix: str) -> bool:
    """Return False for text with a character that no key has, and no engine has to compare."""
    return _FORBIDDEN.search(prefix) is None


def check_metadata(key: str, metadata: Mapping[str, str]) -> None:
    """Check an item's metadata.

    :raises StateEncodeError: a name is not a lower-case identifier, or a value is empty, not
        printable ASCII, or has a space at an end.
    :raises StateTooLargeError: names and values together are over 8 KiB.
    """
    size = 0
    for name, value in metadata.items():
        size += len(name) + len(value)
        if not (name.isidentifier() and name.isascii() and name == name.lower()):
            reason = f"the metadata name {name!r} is not a lower-case ASCII identifier"
            raise StateEncodeError(reason, key=key)
        # An HTTP header carries it unchanged: no control characters, no spaces at the ends.
        if not (value.isascii() and value.isprintable() and value and value == value.strip()):
            reason = f"the metadata {name!r} is not printable ASCII text; percent-encode it"
            raise StateEncodeError(reason, key=key)
    if size > MAX_METADATA_BYTES:
        raise StateTooLargeError("The metadata", size=size, limit=MAX_METADATA_BYTES, key=key)


def check_put(key: str, etag: str | None, metadata: Mapping[str, str] | None) -> None:
    """Check key, ETag and metadata of a write. See `check_key`, `check_etag`, `check_metadata`."""
    check_key(key)
    if etag is not None:
        check_etag(etag)
    if metadata:
        check_metadata(key, metadata)


def check_etag(etag: str | None) -> None:
    """Check the ETag of a condition.

    :raises ValueError: it is the empty text, which means neither "create" nor "overwrite".
    """
    if etag == "":
        raise ValueError("An ETag is never empty: None creates, ANY ('*') overwrites.")


def _check_length(key: str) -> None:
    # Azure counts as .NET does: a character outside the basic plane is two.
    length = len(key.encode("utf-16-le", "surrogatepass")) // 2
    if length > MAX_KEY_LENGTH:
        raise StateTooLargeError(
            "The storage key",
            size=length,
            limit=MAX_KEY_LENGTH,
            unit="characters",
            key=key,
            advice=_ADVICE,
        )
