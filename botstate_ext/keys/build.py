"""From an activity or an id to a storage key. Pure.

User, conversation and private keys are the SDK's, byte for byte, so that a bot finds its existing
data (botbuilder-core 4.17, ``get_storage_key`` of UserState, ConversationState and
PrivateConversationState). Ids are in them as they are: two keys can be equal if an id holds a "/".

Every other key is ``{scope}/{escaped id}``. The escaped id holds no "/" and the SDK's keys hold at
least two, so that the two kinds never meet; and two different (scope, id) never share a key.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from ..errors import StateKeyError

Activity: TypeAlias = Any
"""An activity of either SDK: it has ``channel_id``, ``from_property`` and ``conversation``."""

MAX_KEY_LENGTH: Final = 1024
"""Characters of the longest blob name Azure accepts."""

_SURELY_SHORT: Final = MAX_KEY_LENGTH // 2
"""Most keys are not even this long, and need no look at their characters."""

HASHED: Final = "="
"""The start of the hash of an id. quote() leaves none, so that no escaped id equals a hash."""

_MAX_ESCAPED_LENGTH: Final = 512


class MissingPartError(StateKeyError, AttributeError):
    """The activity names no channel, user or conversation.

    Also an AttributeError, which the SDK raises for an activity without a user or a conversation.
    """


def user_key(activity: Activity, _namespace: str = "") -> str:
    """Return the SDK's key of the user: ``{channel}/users/{user}``.

    :raises StateKeyError: the activity names no channel or no user.
    """
    channel, user = activity.channel_id, activity.from_property
    if not (channel and user and user.id):
        raise _missing("user", activity)
    key = f"{channel}/users/{user.id}"
    if len(key) <= _SURELY_SHORT or _is_short(key, MAX_KEY_LENGTH):
        return key
    return _short(f"{channel}/users/", user.id)


def conversation_key(activity: Activity, _namespace: str = "") -> str:
    """Return the SDK's key of the conversation: ``{channel}/conversations/{conversation}``.

    :raises StateKeyError: the activity names no channel or no conversation.
    """
    channel, conversation = activity.channel_id, activity.conversation
    if not (channel and conversation and conversation.id):
        raise _missing("conversation", activity)
    key = f"{channel}/conversations/{conversation.id}"
    if len(key) <= _SURELY_SHORT or _is_short(key, MAX_KEY_LENGTH):
        return key
    return _short(f"{channel}/conversations/", conversation.id)


def private_key(activity: Activity, namespace: str = "") -> str:
    """Return the SDK's key of the user in the conversation:
    ``{channel}/conversations/{conversation}/users/{user}/{namespace}``.

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
    if _is_short(key, MAX_KEY_LENGTH):
        return key
    return f"{private_prefixes(activity)[-1]}{hashed(user.id)}/{namespace}"


def private_prefixes(activity: Activity) -> tuple[str, ...]:
    """Return the prefixes of the private keys of all users of the conversation. If there are two,
    the second is that of keys which would be too long with the conversation's id.

    :raises StateKeyError: the activity names no channel or no conversation.
    """
    channel, conversation = activity.channel_id, activity.conversation
    if not (channel and conversation and conversation.id):
        raise _missing("private", activity)
    prefix = f"{channel}/conversations/{conversation.id}/users/"
    if _is_short(prefix, MAX_KEY_LENGTH // 2):
        return (prefix,)
    return prefix, f"{channel}/conversations/{hashed(conversation.id)}/users/"


def document_key(scope: str, document_id: str) -> str:
    """Return ``{scope}/{escaped id}``. An id that is over 512 characters long once it is escaped is
    replaced by its hash.

    :raises StateKeyError: the id is not a string, or is empty.
    """
    given_id: object = document_id  # from the app, which may not check types
    if not isinstance(given_id, str) or not given_id:
        given = "an empty one" if given_id == "" else type(given_id).__name__
        raise StateKeyError(
            f"A document of the {scope.removeprefix('scope.')!r} scope needs an id that is a "
            f"non-empty string, not {given}: use .at(id)."
        )
    return f"{scope}/{escape(document_id)}"


def escape(text: str) -> str:
    """Return the text percent-encoded, without "/" and without a "." at its end, which Azure
    refuses. Lone surrogates, which a channel can send, are encoded as their three bytes. A text of
    over 512 characters, once it is encoded, gives its hash.
    """
    # Long ids are not cached: a sender could fill the cache.
    return hashed(text) if len(text) > _MAX_ESCAPED_LENGTH else _escaped(text)


@lru_cache(maxsize=1024)  # the same bot, and the same few ids, in every turn
def _escaped(text: str) -> str:
    encoded = quote(text.encode("utf-8", "surrogatepass"), safe="")
    if encoded.endswith("."):
        encoded = encoded[:-1] + "%2E"
    return encoded if len(encoded) <= _MAX_ESCAPED_LENGTH else hashed(text)


def hashed(id_: str) -> str:
    """Return the hash that takes the place of an id in a key that would be too long."""
    return HASHED + sha256(id_.encode("utf-8", "surrogatepass")).hexdigest()


def _short(before: str, ids: str) -> str:
    # Upstream cannot store such a key on Blob at all, so hashing hides nobody's data.
    return before + hashed(ids)


def _is_short(text: str, limit: int) -> bool:
    """Return True if Azure counts at most ``limit`` characters: one over U+FFFF is two for it."""
    return len(text) + sum(char > "\uffff" for char in text) <= limit


def _missing(scope: str, activity: Activity) -> StateKeyError:
    conversation, user = activity.conversation, activity.from_property
    named = {
        "channel_id": activity.channel_id,
        "conversation.id": scope == "user" or (conversation and conversation.id),
        "from_property.id": scope == "conversation" or (user and user.id),
    }
    what = " and no ".join(name for name, value in named.items() if not value)
    return MissingPartError(
        f"The {scope} scope has no key in this turn: its activity has no {what}. "
        "Some activities (Teams sends such) name no user or conversation: "
        "check for it before using this scope, or give StateScopes a key function."
    )
