"""Stored values that cannot be read, moved to a property of their own. Pure.

An unreadable value of the property ``cart`` is moved, whole, to ``cart$quarantine.5f0c2a91``. One
write does both: it removes the value from ``cart`` and adds the new property. The name ends with a
digest of the value. So two turns that move the same value aside make one property, and different
values make different ones.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

OnUndecodable: TypeAlias = Literal["raise", "quarantine"]

CHOICES: Final = get_args(OnUndecodable)
MARK: Final = "$quarantine."
"""Part of the name of every property that holds a value aside."""


def quarantined_name(name: str, text: bytes) -> str:
    """Return the name of the property that a value of this property is moved to."""
    return f"{name}{MARK}{sha256(text).hexdigest()[:8]}"


def quarantined(text: bytes, version: int, reason: str) -> dict[str, Any]:
    """Return the value to store aside: the unreadable text, its version, and the reason."""
    return {"reason": reason, "version": version, "value": msgspec.Raw(text)}
