"""A bot that asks for a name once, and remembers it."""

from __future__ import annotations

from datetime import datetime, timezone

from botbuilder.core import ActivityHandler, ConversationState, TurnContext, UserState
from botbuilder.schema import ChannelAccount

from data_models import ConversationData, UserProfile


class StateManagementBot(ActivityHandler):
    """Loads and saves nothing itself: the middleware does that around every turn."""

    def __init__(self, conversation_state: ConversationState, user_state: UserState) -> None:
        if conversation_state is None:
            raise TypeError(
                "[StateManagementBot]: Missing parameter. conversation_state is required "
                "but None was given"
            )
        if user_state is None:
            raise TypeError(
                "[StateManagementBot]: Missing parameter. user_state is required but None was given"
            )

        self.conversation_state = conversation_state
        self.user_state = user_state
        self.conversation_data_accessor = self.conversation_state.create_property(
            "ConversationData"
        )
        self.user_profile_accessor = self.user_state.create_property("UserProfile")

    async def on_members_added_activity(
        self, members_added: list[ChannelAccount], turn_context: TurnContext
    ) -> None:
        for member in members_added:
            if member.id != turn_context.activity.recipient.id:
                await turn_context.send_activity(
                    "Welcome to State Bot Sample. Type anything to get started."
                )

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        activity = turn_context.activity
        user_profile = await self.user_profile_accessor.get(turn_context, UserProfile)
        conversation_data = await self.conversation_data_accessor.get(
            turn_context, ConversationData
        )

        if user_profile.name is not None:
            conversation_data.timestamp = _local_time(activity.timestamp)
            conversation_data.channel_id = activity.channel_id

            await turn_context.send_activity(f"{user_profile.name} sent: {activity.text}")
            await turn_context.send_activity(f"Message received at: {conversation_data.timestamp}")
            await turn_context.send_activity(
                f"Message received from: {conversation_data.channel_id}"
            )
        elif conversation_data.prompted_for_user_name:
            user_profile.name = activity.text
            conversation_data.prompted_for_user_name = False
            await turn_context.send_activity(
                f"Thanks {user_profile.name}. To see conversation data, type anything."
            )
        else:
            conversation_data.prompted_for_user_name = True
            await turn_context.send_activity("What is your name?")


def _local_time(moment: datetime | None) -> str:
    # Not every client stamps its messages.
    received = datetime.now(timezone.utc) if moment is None else moment
    return received.astimezone().strftime("%I:%M:%S %p, %A, %B %d of %Y")
