"""Continuation tokens: where a listing goes on. Pure.

A token says where in a scope's own listing the next page begins, and nothing else: the scope that
it is given to decides what is listed, so that a forged one cannot reach further than that scope.
Its checksum finds out that it was cut, changed or made for another scope.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final

import msgspec

from ..errors import StateQueryError

_CHECKSUM_BYTES: Final = 16


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a listing is.

    ``channel``: whose keys are listed; None: those that begin with the scope's own name.
    ``marker``: the storage's own token of the page. ``after``: the last key of it that was seen.
    """

    channel: str | None = None
    marker: str | None = None
    after: str = ""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Position)


def to_token(scope: str, position: Position) -> str:
    """The position as URL-safe text."""
    content = _encoder.encode(position)
    return urlsafe_b64encode(_checksum(scope, content) + content).decode()


def from_token(scope: str, token: str) -> Position:
    """The position that a listing of this scope gave.

    :raises StateQueryError: it is of another scope, or was changed.
    """
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
        position = _decoder.decode(raw[_CHECKSUM_BYTES:])
    except (
        ValueError,
        AttributeError,
        RecursionError,
    ):  # what these decoders raise, and no text at all
        raise _refused(scope) from None
    # Decoders are lenient: what counts is the one text that this position has in this scope.
    if to_token(scope, position) != token:
        raise _refused(scope)
    return position


def _checksum(scope: str, content: bytes) -> bytes:
    label = b"botstate_ext listing 1\0" + scope.encode() + b"\0"
    return sha256(label + content).digest()[:_CHECKSUM_BYTES]


def _refused(scope: str) -> StateQueryError:
    return StateQueryError(
        f"This continuation token is none of the {scope} scope, or it was changed: begin again "
        "without one."
    )
