"""HoldingAdapter: the adapter that a turn sees while its replies are held."""

from __future__ import annotations

from typing import Any

from .activity import Activity
from .protocol import Context, ConversationReference, Replies, ResourceResponse


class HoldingAdapter:
    """Behaves as the wrapped adapter, also to ``isinstance``, except for sending: the
    SDK's sign-in asks whether the adapter is a token provider. Once the turn is over it passes
    everything through, for a task that kept it."""

    def __init__(self, replies: Replies, adapter: Any) -> None:
        vars(self).update(_replies=replies, _adapter=adapter)

    @property  # type: ignore[misc]  # object declares it writable, which nobody needs here
    def __class__(self) -> type:
        return type(self._adapter)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_adapter"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._adapter, name, value)

    def __repr__(self) -> str:
        return repr(self._adapter)

    async def send_activities(
        self, context: Context, activities: list[Activity]
    ) -> list[ResourceResponse]:
        """Hold activities until the turn's state is saved; once that is over, send at once."""
        if not self._replies.is_open or not activities:
            sent: list[ResourceResponse] = await self._adapter.send_activities(context, activities)
            return sent
        return [await self._replies.send(context, activity) for activity in activities]

    async def update_activity(self, context: Context, activity: Activity) -> Any:
        """Hold the change until the turn's state is saved."""
        if self._replies.is_open:
            return self._replies.update(context, activity)
        activity.id = self._replies.real_id(activity.id)
        return await self._adapter.update_activity(context, activity)

    async def delete_activity(self, context: Context, reference: ConversationReference) -> None:
        """Hold the deletion until the turn's state is saved."""
        if self._replies.is_open:
            self._replies.delete(context, reference)
            return
        reference.activity_id = self._replies.real_id(reference.activity_id)
        await self._adapter.delete_activity(context, reference)
