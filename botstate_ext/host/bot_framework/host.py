"""BotFrameworkHost: the Bot Framework SDK as a host."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from botbuilder.core import BotAdapter, TurnContext, conversation_reference_extension
from botbuilder.schema import (
    Activity,
    ChannelAccount,
    ConversationAccount,
    ConversationReference,
    ResourceResponse,
)
from botframework.connector.auth import AuthenticationConstants, ClaimsIdentity

from ..protocol import Replies
from .channel import HeldChannel
from .dialog_memory import for_dialogs
from .snapshot import Snapshot


class BotFrameworkHost:
    """See `Host`."""

    def key_activity(self, activity: Activity) -> Activity:
        return activity

    def app_id(self, turn: Any) -> str | None:
        identity = turn.turn_state.get(BotAdapter.BOT_IDENTITY_KEY)
        claims = getattr(identity, "claims", None) or {}
        app_id: str | None = claims.get(AuthenticationConstants.AUDIENCE_CLAIM) or claims.get(
            AuthenticationConstants.APP_ID_CLAIM
        )
        return app_id

    def identity(self, app_id: str) -> dict[str, Any]:
        claims = {AuthenticationConstants.AUDIENCE_CLAIM: app_id}
        return {BotAdapter.BOT_IDENTITY_KEY: ClaimsIdentity(claims, True)}

    def reference_to(
        self, channel_id: str | None, user_id: str | None, conversation_id: str | None
    ) -> ConversationReference:
        return ConversationReference(
            channel_id=channel_id,
            user=None if user_id is None else ChannelAccount(id=user_id),
            conversation=(
                None if conversation_id is None else ConversationAccount(id=conversation_id)
            ),
        )

    def continuation(self, reference: ConversationReference) -> Activity:
        return conversation_reference_extension.get_continuation_activity(reference)

    def dump(self, activity: Activity) -> dict[str, Any]:
        plain: dict[str, Any] = activity.serialize()
        return plain

    def dump_reference(self, activity: Activity) -> dict[str, Any] | None:
        if not (activity.channel_id and activity.service_url and activity.conversation):
            return None
        plain: dict[str, Any] = TurnContext.get_conversation_reference(activity).serialize()
        return plain

    def to_reference(self, plain: dict[str, Any] | None) -> ConversationReference | None:
        return None if plain is None else ConversationReference.deserialize(plain)

    def for_dialogs(self, scope: Any) -> Any:
        return for_dialogs(scope)

    def expose(self, turn: Any, scopes: Iterable[Any]) -> None:
        for scope in scopes:  # where dialogs look: under the name of the SDK's class
            turn.turn_state.setdefault(type(scope).__name__, scope)

    def snapshot(self, context: TurnContext) -> Callable[[], None]:
        return Snapshot(context).restore

    def hold_replies(self, context: TurnContext, replies: Replies) -> HeldChannel:
        return HeldChannel(context, replies)

    def find(self, name: str) -> type | None:
        if not name.startswith("microsoft_agents."):
            return None
        from . import stored_classes  # few bots have such data

        return stored_classes.find(name)

    def make(self, cls: Any, args: tuple[Any, ...], members: dict[str, Any]) -> Any:
        from . import stored_classes

        return stored_classes.make(cls, args, members)

    def response(self, activity_id: str | None) -> ResourceResponse:
        return ResourceResponse(id=activity_id)
