"""From an activity to a storage key. Pure.

User, conversation and private keys are upstream's, byte for byte, so that what a bot has stored is
found (botbuilder-core 4.17, ``get_storage_key`` of UserState, ConversationState and
PrivateConversationState). They are unescaped: two of them can be equal when an id holds a "/".

Every other key is ``{scope}/{escaped id}``. The escaped id holds no "/", and upstream's keys hold
at least two, so the two kinds never meet; and two different (scope, id) never share a key.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote

from ..errors import StateKeyError

Activity: TypeAlias = Any
"""An activity of either SDK: it has ``channel_id``, ``from_property`` and ``conversation``."""

MAX_KEY_LENGTH: Final = 1024
"""Characters of the longest blob name Azure accepts."""

_MAX_ESCAPED_LENGTH: Final = 512
_OWN_KEYS: Final = frozenset({"user", "conversation", "bot", "workflow", "shared"})
_PRIVATE_IDS: Final = re.compile(r".+/users/.+/.*", re.DOTALL)
_HASHED: Final = "="  # quote() never leaves one, so a hashed id cannot equal an escaped one


def user_key(activity: Activity) -> str:
    """``{channel}/users/{user}``.

    :raises StateKeyError: the activity names no channel or no user.
    """
    channel, user = activity.channel_id, activity.from_property
    if not (channel and user and user.id):
        raise _missing("user", activity)
    return _short(f"{channel}/users/", user.id, "")


def conversation_key(activity: Activity) -> str:
    """``{channel}/conversations/{conversation}``.

    :raises StateKeyError: the activity names no channel or no conversation.
    """
    channel, conversation = activity.channel_id, activity.conversation
    if not (channel and conversation and conversation.id):
        raise _missing("conversation", activity)
    return _short(f"{channel}/conversations/", conversation.id, "")


def private_key(activity: Activity, namespace: str = "") -> str:
    """``{channel}/conversations/{conversation}/users/{user}/{namespace}``.

    :raises StateKeyError: the activity names no channel, no conversation or no user.
    """
    channel, conversation, user = (
        activity.channel_id,
        activity.conversation,
        activity.from_property,
    )
    if not (channel and conversation and conversation.id and user and user.id):
        raise _missing("private", activity)
    key = f"{channel}/conversations/{conversation.id}/users/{user.id}/{namespace}"
    if len(key) <= MAX_KEY_LENGTH:
        return key
    return f"{private_prefixes(activity)[-1]}{_HASHED}{_digest(user.id)}/{namespace}"


def private_prefixes(activity: Activity) -> tuple[str, ...]:
    """What the private keys of all users of this conversation begin with; where there are two, the
    second is for keys that would be too long.

    :raises StateKeyError: the activity names no channel or no conversation.
    """
    channel, conversation = activity.channel_id, activity.conversation
    if not (channel and conversation and conversation.id):
        raise _missing("private", activity)
    prefix = f"{channel}/conversations/{conversation.id}/users/"
    if len(prefix) <= MAX_KEY_LENGTH // 2:
        return (prefix,)
    return prefix, f"{channel}/conversations/{_HASHED}{_digest(conversation.id)}/users/"


def document_key(scope: str, document_id: str) -> str:
    """``{scope}/{escaped id}``; an id that is very long once escaped is replaced by its hash.

    :raises StateKeyError: the id is not a string, or is empty.
    """
    if not _is_name(document_id):
        given = "an empty one" if document_id == "" else type(document_id).__name__
        raise StateKeyError(
            f"A document of the {scope.removeprefix('scope.')!r} scope needs an id that is a "
            f"non-empty string, not {given}: use .at(id)."
        )
    return f"{scope}/{escape(document_id)}"


def escape(text: str) -> str:
    """Percent-encoded so that no "/" and no final "." is left (Azure refuses both in places).

    Lone surrogates, which a channel can send, are encoded as their three bytes.
    """
    # One that is long already only gets longer; and the cache must not keep what anyone sends.
    return _HASHED + _digest(text) if len(text) > _MAX_ESCAPED_LENGTH else _escaped(text)


@lru_cache(maxsize=1024)  # the same bot, and the same few ids, in every turn
def _escaped(text: str) -> str:
    encoded = quote(text.encode("utf-8", "surrogatepass"), safe="")
    if encoded.endswith("."):
        encoded = encoded[:-1] + "%2E"
    return encoded if len(encoded) <= _MAX_ESCAPED_LENGTH else hashed(text)


def hashed(id_: str) -> str:
    """What stands for an id in a key that would be too long with it."""
    return _HASHED + _digest(id_)


def unescape(escaped: str) -> str | None:
    """The text that `escape` was given; None if only its hash is known, or it gave no such text."""
    if escaped.startswith(_HASHED):
        return None
    try:
        return unquote(escaped, errors="surrogatepass")
    except UnicodeDecodeError:
        return None  # someone else's key


def id_of_key(key: str) -> str | None:
    """The id in a key that `document_key` made; None if only its hash is known, or it is a key of
    upstream's, in which ids stand as they are."""
    return unescape(key.partition("/")[2]) if is_own_key(key) else None


def is_own_key(key: str) -> bool:
    """True for a key that `document_key` may have made: unlike upstream's, it can be read back."""
    return key.count("/") == 1


def scope_of_key(key: str) -> str | None:
    """The name of the scope whose documents have keys like this one; None if none has.

    Of a conversation whose id holds ``/users/`` it says that it is private: the keys are the same.
    """
    first, _, rest = key.partition("/")
    if not first or not rest:
        return None
    if "/" not in rest:
        if first.startswith("scope."):
            return first.removeprefix("scope.") or None
        return first if first in _OWN_KEYS else None
    kind, _, ids = rest.partition("/")
    if not ids:
        return None
    if kind == "conversations":
        return "private" if _PRIVATE_IDS.fullmatch(ids) else "conversation"
    return "user" if kind == "users" else None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _short(before: str, ids: str, after: str) -> str:
    key = before + ids + after
    if len(key) <= MAX_KEY_LENGTH:
        return key
    # Upstream cannot store such a key on Blob at all, so hashing hides nobody's data.
    return before + _HASHED + _digest(ids) + after


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _missing(scope: str, activity: Activity) -> StateKeyError:
    conversation, user = activity.conversation, activity.from_property
    named = {
        "channel_id": activity.channel_id,
        "conversation.id": scope == "user" or (conversation and conversation.id),
        "from_property.id": scope == "conversation" or (user and user.id),
    }
    what = " and no ".join(name for name, value in named.items() if not value)
    return StateKeyError(
        f"The {scope} scope has no key in this turn: its activity has no {what}. "
        "Some activities (Teams sends such) name no user or conversation: "
        "check for it before using this scope, or give StateScopes a key function."
    )
