"""The conversation that a turn belongs to, as plain JSON and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ConversationReference

Reference: TypeAlias = Callable[[], "dict[str, Any] | None"]
"""Gives the conversation reference of a unit of work; None where it belongs to none."""


def no_reference() -> None:
    """Work that belongs to no conversation."""


def reference_of(activity: Activity) -> dict[str, Any] | None:
    """What is needed to message this conversation later; None if the activity does not say it all,
    as outside a turn that was made from ids alone."""
    if not (activity.channel_id and activity.service_url and activity.conversation):
        return None
    plain: dict[str, Any] = TurnContext.get_conversation_reference(activity).serialize()
    return plain


def to_reference(plain: dict[str, Any] | None) -> ConversationReference | None:
    """The SDK's own object, which ``adapter.continue_conversation`` takes."""
    return None if plain is None else ConversationReference.deserialize(plain)
