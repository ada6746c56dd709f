"""What an activity says, of either SDK: by attributes that both have. Pure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final, TypeAlias

Activity: TypeAlias = Any
"""An activity of either SDK. Its type is a string, or an Enum that is one."""

CONTACT_RELATION_UPDATE: Final = "contactRelationUpdate"
DELAY: Final = "delay"  # the adapters' own: the SDK has no name for it
DELETE_USER_DATA: Final = "deleteUserData"
END_OF_CONVERSATION: Final = "endOfConversation"
EVENT: Final = "event"
INSTALLATION_UPDATE: Final = "installationUpdate"
INVOKE: Final = "invoke"
INVOKE_RESPONSE: Final = "invokeResponse"
MESSAGE_DELETE: Final = "messageDelete"
MESSAGE_REACTION: Final = "messageReaction"
MESSAGE_UPDATE: Final = "messageUpdate"
TRACE: Final = "trace"
TYPING: Final = "typing"

_CONTINUE_CONVERSATION: Final = "ContinueConversation"


def channel_id_of(activity: Activity) -> str | None:
    """Return the activity's channel as plain text: the Agents SDK has a class for it."""
    return str(activity.channel_id) if activity.channel_id else None


def user_id_of(activity: Activity) -> str | None:
    """Return the id of the activity's sender; None if it names none."""
    sender = activity.from_property
    return (sender and sender.id) or None


def conversation_id_of(activity: Activity) -> str | None:
    """Return the id of the activity's conversation; None if it names none."""
    conversation = activity.conversation
    return (conversation and conversation.id) or None


def activity_of(channel_id: str, user_id: str, conversation_id: str) -> Activity:
    """Return a stand-in for an activity, which names these and can do no more: for keys."""
    return SimpleNamespace(
        channel_id=channel_id,
        from_property=SimpleNamespace(id=user_id),
        conversation=SimpleNamespace(id=conversation_id),
    )


def is_continuation(activity: Activity) -> bool:
    """Return True for an activity that ``continue_conversation`` made: no channel sent it."""
    return bool(activity.type == EVENT and activity.name == _CONTINUE_CONVERSATION)


def is_end_of_conversation(activity: Activity) -> bool:
    """Return True if the activity says that its conversation has ended, and names it."""
    is_end = activity.type == END_OF_CONVERSATION
    return bool(is_end and activity.channel_id and conversation_id_of(activity))


def user_is_gone(activity: Activity) -> bool:
    """True if the activity says that its user is gone: the user asked for their data to be deleted,
    removed the bot from their contacts, or uninstalled it in their personal scope."""
    if not (activity.channel_id and user_id_of(activity)):
        return False
    if activity.type == DELETE_USER_DATA:
        return True
    if activity.action != "remove":  # an upgrade is "remove-upgrade", and nobody leaves
        return False
    if activity.type == CONTACT_RELATION_UPDATE:
        return True
    conversation = activity.conversation
    is_personal = bool(conversation) and conversation.conversation_type == "personal"
    return is_personal and activity.type == INSTALLATION_UPDATE


def passes_at_once(activity: Activity) -> bool:
    """True for an activity that is never held back: a sign that the bot is at work, and each part
    of a streamed message. The channel joins the parts by the id that it gave to the first."""
    if activity.type in (TYPING, TRACE, DELAY):
        return True
    data = activity.channel_data
    if isinstance(data, dict) and "streamType" in data:
        return True
    return any(_type(entity) == "streaminfo" for entity in activity.entities or ())


def _type(entity: Any) -> Any:
    return entity.get("type") if isinstance(entity, dict) else getattr(entity, "type", None)
