"""The owner of a document: its channel, user and conversation. Pure.

Listings and erasures read the owner from the item's metadata, because one of upstream's keys may
belong to two owners. The ids are percent-encoded to fit an HTTP header. An id that is too long for
one is replaced by its hash.
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
"""The owner of a document whose key is enough to know it."""

SEVERAL: Final[Owner] = {"channel": "=several"}
"""The owner of a document that several users or conversations wrote, because their keys are equal.
No channel has this name: an escaped name holds no ``=``."""


def nobody() -> Owner:
    """Return the owner of a document that needs none noted: its key holds every id."""
    return NOBODY


def owner_of(activity: Any, parts: Iterable[str]) -> Owner:
    """Return the owner that an activity names; `NOBODY` if it does not name all of these parts."""
    user, conversation = activity.from_property, activity.conversation
    ids = {
        "channel": activity.channel_id,
        "user": user and user.id,
        "conversation": conversation and conversation.id,
    }
    owner = {}
    for part in parts:
        id_ = ids[part]
        if not id_:
            return NOBODY
        owner[part] = escape(id_)
    return owner


def owner_entries(owner: Owner) -> dict[str, str]:
    """Return the owner as entries of an item's metadata.

    Leaves out parts that another program wrote in another form: a storage could refuse them, and
    with them every save of the document.
    """
    entries = {}
    for part in PARTS:
        if part in owner and _ESCAPED.fullmatch(owner[part]):
            entries[f"state{part}"] = owner[part]
    return entries


def owner_after(before: Owner, writer: Owner) -> Owner:
    """Return the owner of a document after a write. A writer without an owner, such as a sweep,
    leaves it."""
    if not writer or before == writer:
        return before
    return SEVERAL if before else writer
