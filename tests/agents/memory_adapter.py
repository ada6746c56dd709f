"""MemoryAdapter: an adapter of the Agents SDK that keeps what is sent, as the Bot Framework SDK's
``TestAdapter`` does. The Agents SDK has none for tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from microsoft_agents.activity import Activity, ConversationReference, ResourceResponse
from microsoft_agents.hosting.core import ChannelAdapter, TurnContext


class MemoryAdapter(ChannelAdapter):
    """Keeps what is sent, in order; ids are "1", "2" and so on."""

    __test__ = False  # pytest finds it under the other SDK's name, TestAdapter

    def __init__(self) -> None:
        super().__init__()
        self.activity_buffer: list[Activity] = []
        self.updated_activities: list[Activity] = []
        self.deleted_activities: list[ConversationReference] = []
        self.send_trace_activities = False
        self._next_id = 0

    async def send_activities(
        self, context: TurnContext, activities: list[Activity]
    ) -> list[ResourceResponse]:
        if context.activity.delivery_mode == "expectReplies":  # as the SDK's adapters do
            context.buffered_reply_activities.extend(activities)
            return [ResourceResponse() for _ in activities]
        return [
            self._keep(activity)
            for activity in activities
            if self.send_trace_activities or activity.type != "trace"
        ]

    async def update_activity(self, context: TurnContext, activity: Activity) -> ResourceResponse:
        self.updated_activities.append(activity)
        return ResourceResponse(id=activity.id)

    async def delete_activity(self, context: TurnContext, reference: ConversationReference) -> None:
        self.deleted_activities.append(reference)

    async def continue_conversation(
        self, reference: ConversationReference, callback: Callable[[TurnContext], Awaitable[Any]]
    ) -> None:
        await super().continue_conversation("", reference, callback)

    def get_next_activity(self) -> Activity | None:
        """Take the first of what was sent; None if there is nothing more."""
        return self.activity_buffer.pop(0) if self.activity_buffer else None

    def _keep(self, activity: Activity) -> ResourceResponse:
        self.activity_buffer.append(activity)
        self._next_id += 1
        return ResourceResponse(id=str(self._next_id))
