"""Values that could not be read, moved aside whole within their own document. Pure.

A value of the property ``cart`` that is not a cart becomes the value of a property of its own,
``cart$quarantine.5f0c2a91``, in the same write that lets the bot go on without it: at no moment is
it in neither place. The name ends with a digest of the value, so that what is moved aside twice, or
by two turns at once, is there once, and different values do not meet.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

OnUndecodable: TypeAlias = Literal["raise", "quarantine"]

CHOICES: Final = get_args(OnUndecodable)
_MARK: Final = "$quarantine."


def quarantined_name(name: str, text: bytes) -> str:
    """The name of the property that holds this value of a property aside."""
    return f"{name}{_MARK}{sha256(text).hexdigest()[:8]}"


def is_quarantined(name: str) -> bool:
    """True for the name of a property that holds a value aside."""
    return _MARK in name


def quarantined(text: bytes, version: int, reason: str) -> dict[str, Any]:
    """What is stored aside: the value's own text, its version, and why it could not be read."""
    return {"reason": reason, "version": version, "value": msgspec.Raw(text)}
