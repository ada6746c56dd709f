"""From a storage key back to the scope and the ids that it was made of. Pure.

The SDK puts ids into its keys as they are, so that one of its keys can be read in several ways: in
a channel's ``conversations/``, ``c/users/a/users/b/`` is of user "b" in conversation "c/users/a",
and of user "a/users/b" in conversation "c". `parse` returns all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from .build import HASHED
from .scopes import CONVERSATIONS, USERS, row_of_prefix

# "/users/users/" holds two: they share a slash.
_USERS: Final = re.compile("/(?=users/)")
# Where the Agents SDK keeps the conversations that it may continue: no channel has this name.
_PROACTIVE: Final = f"proactive/{CONVERSATIONS}/"
_HASH: Final = re.compile(f"{HASHED}[0-9a-f]{{64}}")


class KeyReading(Struct, frozen=True):
    """Holds one way to read a key of the SDK's: the ids in it, as they are.

    - ``user``, ``conversation``: None where the scope has none; where the id is too long for a key,
      its hash (see `is_hashed`).
    """

    scope: str
    channel: str
    user: str | None = None
    conversation: str | None = None


class ParsedKey(Struct, frozen=True):
    """Holds the parts of a scope's key.

    - ``scope``: the name of the scope. The key of a conversation that has ``/users/`` in its id can
      be one of the private scope, and is read as such.
    - ``id``: the id in a key that `ScopeRow.key` made; None if only its hash is known, and for the
      SDK's keys.
    - ``channel``: the channel in a key of the SDK's; None for a key that holds an id.
    - ``readings``: all ways to read a key of the SDK's, those of ``scope`` first; empty for a key
      that holds an id.
    """

    scope: str
    id: str | None = None
    channel: str | None = None
    readings: tuple[KeyReading, ...] = ()

    @property
    def own_readings(self) -> tuple[KeyReading, ...]:
        """Return the readings as a key of ``scope``. Only private keys can have more than one."""
        return tuple(reading for reading in self.readings if reading.scope == self.scope)


def parse(key: str, namespace: str | None = None) -> ParsedKey | None:
    """Return the scope and the ids of a key; None if no scope has such keys.

    ``namespace``: the private scope's; a private key with another one belongs to no scope of this
    bot. None: any namespace.
    """
    head, _, rest = key.partition("/")
    if not head or not rest or key.startswith(_PROACTIVE):
        return None
    folder, slash, ids = rest.partition("/")
    if not slash:
        row = row_of_prefix(f"{head}/")
        return None if row is None else ParsedKey(row.name, id=unescape(rest))
    if not ids:
        return None
    if folder == USERS:
        return ParsedKey("user", channel=head, readings=(KeyReading("user", head, user=ids),))
    return _of_conversation(head, ids, namespace) if folder == CONVERSATIONS else None


def is_own_key(key: str) -> bool:
    """True if `ScopeRow.key` can have made this key: such a key can be read in one way only."""
    return key.count("/") == 1


def id_of_key(key: str) -> str | None:
    """Return the id in a key that `ScopeRow.key` made; None if only its hash is known, and for the
    SDK's keys."""
    return unescape(key.partition("/")[2]) if is_own_key(key) else None


def is_hashed(id_in_key: str) -> bool:
    """True if this part of a key looks like the hash of an id. An id of that very text, which no
    channel is known to use, cannot be told from it in a key of the SDK's."""
    return _HASH.fullmatch(id_in_key) is not None


def unescape(escaped: str) -> str | None:
    """Return the id that `build.escape` was given; None if only its hash is known, or if no id
    gives this text."""
    if escaped.startswith(HASHED):
        return None
    if "%" not in escaped:  # most ids, in listings of thousands
        return escaped
    try:
        return unquote(escaped, errors="surrogatepass")
    except UnicodeDecodeError:
        return None  # someone else's key


def _of_conversation(channel: str, ids: str, namespace: str | None) -> ParsedKey | None:
    whole = KeyReading("conversation", channel, conversation=ids)
    private = tuple(_private_readings(channel, ids, namespace))
    if private:
        return ParsedKey("private", channel=channel, readings=(*private, whole))
    if namespace is not None and any(_private_readings(channel, ids, None)):
        return None
    return ParsedKey("conversation", channel=channel, readings=(whole,))


def _private_readings(channel: str, ids: str, namespace: str | None) -> Iterator[KeyReading]:
    for found in _USERS.finditer(ids):
        conversation, tail = ids[: found.start()], ids[found.start() + len("/users/") :]
        if namespace is None:
            user = tail.rpartition("/")[0]
        else:
            user = tail.removesuffix(f"/{namespace}") if tail.endswith(f"/{namespace}") else ""
        if conversation and user:
            yield KeyReading("private", channel, user=user, conversation=conversation)
