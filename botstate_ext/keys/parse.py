"""From one of upstream's keys back to the ids that it was made of. Pure.

The ids are in it as they are, so a key can read two ways: in a channel's ``conversations/``,
``c/users/a/users/b/`` is of user "b" in conversation "c/users/a", and of "a/users/b" in "c".
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

USERS: Final = "users"
CONVERSATIONS: Final = "conversations"

# In "/users/users/" there are two: they share a slash.
_USERS: Final = re.compile("/(?=users/)")


class PrivateReading(NamedTuple):
    """Whose private state a key may be."""

    conversation: str
    user: str


class KeyReading(NamedTuple):
    """A key of upstream's: what follows ``{channel}/{folder}/``."""

    channel: str
    folder: str
    rest: str


def read_key(key: str) -> KeyReading | None:
    """The parts of a key of upstream's; None for any other. A channel's name holds no "/"."""
    parts = key.split("/", 2)
    if len(parts) < 3 or not parts[0] or not parts[2] or parts[1] not in (USERS, CONVERSATIONS):
        return None
    return KeyReading(*parts)


def private_readings(rest: str, namespace: str | None = "") -> list[PrivateReading]:
    """The users whose private state this may be, by what follows ``{channel}/conversations/``.

    ``namespace``: that of the private scope; None: any.
    """
    readings = []
    for found in _USERS.finditer(rest):
        conversation, tail = rest[: found.start()], rest[found.end() + len("users/") :]
        if namespace is None:
            user = tail.rpartition("/")[0]
        else:
            user = tail.removesuffix(f"/{namespace}") if tail.endswith(f"/{namespace}") else ""
        if conversation and user:
            readings.append(PrivateReading(conversation, user))
    return readings


def reads_two_ways(rest: str) -> bool:
    """True when what follows ``{channel}/conversations/`` can be divided into conversation and user
    in more than one way."""
    return len(_USERS.findall(rest)) > 1
