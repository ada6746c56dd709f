"""AgentsHost: the Microsoft 365 Agents SDK as a host."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, Final

from ..protocol import Replies
from . import stored_classes
from .channel import HeldChannel
from .dialog_memory import DialogMemory
from .sdk import (
    Activity,
    AuthenticationConstants,
    ChannelAccount,
    ChannelAdapter,
    ChannelId,
    ClaimsIdentity,
    ConversationAccount,
    ConversationReference,
    ResourceResponse,
    TurnContext,
)
from .snapshot import Snapshot

_SUB_CHANNEL: Final = ":"


class AgentsHost:
    """See `Host`.

    ``sub_channels``: keys are made of the channel with its sub-channel, ``msteams:COPILOT``, as the
    SDK's own state makes them, and not of ``msteams``.
    """

    def __init__(self, *, sub_channels: bool = False) -> None:
        self._sub_channels = sub_channels

    def key_activity(self, activity: Activity) -> Any:
        channel = activity.channel_id
        if self._sub_channels or not channel or _SUB_CHANNEL not in channel:
            return activity
        return SimpleNamespace(
            channel_id=channel.partition(_SUB_CHANNEL)[0].strip(),
            from_property=activity.from_property,
            conversation=activity.conversation,
        )

    def app_id(self, turn: Any) -> str | None:
        identity = getattr(turn, "identity", None)
        if identity is None:  # a unit of work outside a turn
            identity = turn.turn_state.get(ChannelAdapter.AGENT_IDENTITY_KEY)
        app_id: str | None = None if identity is None else identity.get_app_id()
        return app_id

    def identity(self, app_id: str) -> dict[str, Any]:
        claims = {AuthenticationConstants.AUDIENCE_CLAIM: app_id}
        return {ChannelAdapter.AGENT_IDENTITY_KEY: ClaimsIdentity(claims)}

    def reference_to(
        self, channel_id: str | None, user_id: str | None, conversation_id: str | None
    ) -> ConversationReference:
        # Not validated: the SDK's reference always has a conversation, a unit of work may not.
        return ConversationReference.model_construct(
            channel_id=channel_id and ChannelId(channel_id),
            user=None if user_id is None else ChannelAccount.model_construct(id=user_id),
            conversation=(
                None
                if conversation_id is None
                else ConversationAccount.model_construct(id=conversation_id)
            ),
        )

    def continuation(self, reference: ConversationReference) -> Activity:
        activity = Activity(type="event", name="ContinueConversation")
        channel = reference.channel_id
        activity.channel_id = channel and ChannelId(channel)  # it is written by its class's methods
        activity.conversation = reference.conversation
        activity.from_property = reference.user
        activity.recipient = reference.agent
        activity.service_url = reference.service_url
        activity.relates_to = reference
        return activity

    def dump(self, activity: Activity) -> dict[str, Any]:
        plain: dict[str, Any] = activity.model_dump(
            mode="json", by_alias=True, exclude_unset=True, exclude_none=True
        )
        return plain

    def dump_reference(self, activity: Activity) -> dict[str, Any] | None:
        if not (activity.channel_id and activity.service_url and activity.conversation):
            return None
        reference = ConversationReference.model_construct(
            activity_id=activity.id,
            user=activity.from_property,
            agent=activity.recipient,
            conversation=activity.conversation,
            channel_id=activity.channel_id,
            locale=activity.locale,
            service_url=activity.service_url,
        )
        plain: dict[str, Any] = reference.model_dump(mode="json", by_alias=True, exclude_none=True)
        return plain

    def to_reference(self, plain: dict[str, Any] | None) -> ConversationReference | None:
        return None if plain is None else ConversationReference.model_validate(plain)

    def for_dialogs(self, scope: Any) -> Any:
        return scope

    def expose(self, turn: Any, scopes: Iterable[Any]) -> None:
        for scope in scopes:  # where dialogs look: under the name of the SDK's class
            memory = DialogMemory(scope, turn)
            turn.turn_state.setdefault(memory.name, memory)

    def snapshot(self, context: TurnContext) -> Callable[[], None]:
        return Snapshot(context).restore

    def hold_replies(self, context: TurnContext, replies: Replies) -> HeldChannel:
        return HeldChannel(context, replies)

    def find(self, name: str) -> type | None:
        return stored_classes.find(name)

    def make(self, cls: Any, args: tuple[Any, ...], members: dict[str, Any]) -> Any:
        return stored_classes.make(cls, args, members)

    def response(self, activity_id: str | None) -> ResourceResponse:
        return ResourceResponse.model_construct(id=activity_id)
