"""Continuation tokens of listings. Pure.

A token says where in a scope's own listing the next page begins, and nothing else: the scope that
it is given to decides what is listed, so that a forged token cannot reach beyond that scope. The
checksum in it detects that it was shortened, changed or made for another scope.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final

import msgspec

from ..errors import StateQueryError

_CHECKSUM_BYTES: Final = 16


class ListingCursor(msgspec.Struct, frozen=True, array_like=True):
    """Marks the position where a listing continues.

    - ``channel``: it lists the keys of this channel; None: the scope's keys that hold an id.
    - ``marker``: the storage's own token of the page.
    - ``after``: the last key of that page that was listed already.
    """

    channel: str | None = None
    marker: str | None = None
    after: str = ""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(ListingCursor)


def to_token(scope: str, cursor: ListingCursor) -> str:
    """Return the cursor as URL-safe text, for this scope only."""
    content = _encoder.encode(cursor)
    return urlsafe_b64encode(_checksum(scope, content) + content).decode()


def from_token(scope: str, token: str) -> ListingCursor:
    """Return the cursor in a token.

    :raises StateQueryError: the token is another scope's, or was changed.
    """
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
        cursor = _decoder.decode(raw[_CHECKSUM_BYTES:])
    except (ValueError, AttributeError, RecursionError):  # the decoders' own, or it is no text
        raise _refused(scope) from None
    # Decoders are lenient, so only the one text that this cursor has in this scope is accepted.
    if to_token(scope, cursor) != token:
        raise _refused(scope)
    return cursor


def _checksum(scope: str, content: bytes) -> bytes:
    label = b"botstate_ext listing 1\0" + scope.encode() + b"\0"
    return sha256(label + content).digest()[:_CHECKSUM_BYTES]


def _refused(scope: str) -> StateQueryError:
    return StateQueryError(
        f"This continuation token is not of the {scope} scope, or it was changed: begin again "
        "without one."
    )
