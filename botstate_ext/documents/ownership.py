"""Whose a document is, and what it is called: what a listing tells without reading it. Pure.

A document under one of upstream's keys says in its metadata which channel, user and conversation it
is of, since the key alone may read two ways. The ids are percent-encoded, so that they fit an HTTP
header, and so that an id that is too long for one is replaced by its hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from ..keys.build import escape

Owner: TypeAlias = Mapping[str, str]
"""``channel``, ``user`` and ``conversation``, as far as the scope has them, percent-encoded."""

PARTS: Final = ("channel", "user", "conversation")

_ESCAPED: Final = re.compile(r"[!-~]{1,512}")

NOBODY: Final[Owner] = {}
"""Of a document whose key says it all."""

SEVERAL: Final[Owner] = {"channel": "=several"}
"""Of one that different users or conversations wrote, because their keys are the same. No channel
is called so: an escaped name holds no ``=``."""


def nobody() -> Owner:
    """Of a document whose key says it all, or whose owner was not asked for."""
    return NOBODY


def owner_of(activity: Any, parts: Iterable[str]) -> Owner:
    """The owner that this activity names; nobody if it does not name all of these parts."""
    user, conversation = activity.from_property, activity.conversation
    ids = {
        "channel": activity.channel_id,
        "user": user and user.id,
        "conversation": conversation and conversation.id,
    }
    named = {part: ids[part] for part in parts}
    return owner(**named) if all(named.values()) else NOBODY


def owner(**ids: str) -> Owner:
    """The owner with these ids as they are."""
    return {part: escape(text) for part, text in ids.items()}


def owner_entries(owner: Owner) -> dict[str, str]:
    """Return the owner as entries of an item's metadata, without anything that no code of ours
    wrote: a storage could refuse it, and so every later save of the document."""
    return {
        f"state{part}": owner[part]
        for part in PARTS
        if part in owner and _ESCAPED.fullmatch(owner[part])
    }


def owner_after(before: Owner, writer: Owner) -> Owner:
    """Whose a document is after a write. One that does not know, such as a sweep, leaves it."""
    if not writer or before == writer:
        return before
    return SEVERAL if before else writer
