"""Says why a stored value does not fit its type, or would not come back. Shows no value. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from ..errors import StateDecodeError
from . import json_text

_PATH: Final = re.compile(r" - at `[^`]*`$")


def refusal(error: Exception) -> str:
    """Return the problem of a stored value, from the error that reading it raised.

    Shows no value: the message of an error from an app's own class is left out.
    """
    found = _PATH.search(str(error))
    where = "" if found is None else found[0]
    cause = error.__cause__
    if isinstance(cause, StateDecodeError):
        return cause.reason + where
    if cause is not None:
        return f"its class refused it with a {type(cause).__name__}{where}"
    if isinstance(error, json_text.DecodingFailure):
        return json_text.reason(error)
    return f"its class refused it with a {type(error).__name__}"


def lost_name(before: Any, after: Any) -> str | None:
    """Return the name of an object's member, at any depth, that only the JSON ``before`` has.

    None if there is none.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        # A name that only changed, as a number's may, is not lost.
        if len(after) < len(before):
            return str(next(name for name in before if name not in after))
        for name, value in before.items():
            lost = lost_name(value, after.get(name))
            if lost is not None:
                return lost
    if isinstance(before, list) and isinstance(after, list):
        for one, other in zip(before, after, strict=False):
            lost = lost_name(one, other)
            if lost is not None:
                return lost
    return None


def no_type(given: object, error: Exception) -> str:
    """Return the reason why ``given`` cannot be the type of a property."""
    kind = type(given)
    if isinstance(given, type) or kind.__module__ in ("types", "typing", "typing_extensions"):
        name = getattr(given, "__name__", None) or repr(given)
        return f"{name} cannot be the type of a property: {error}"
    # Its repr, and so msgspec's text, would be a value of the bot's.
    return f"an instance of {kind.__name__} cannot be the type of a property: give the class."
