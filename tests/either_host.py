"""Turns for tests of which the host is not the point: they run on the SDK that is installed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any

ON_AGENTS = find_spec("microsoft_agents") is not None

host: Any
if ON_AGENTS:
    from microsoft_agents.activity import Activity, ResourceResponse
    from microsoft_agents.hosting.core import ChannelAdapter, TurnContext

    from botstate_ext import agents as host

    class _Adapter(ChannelAdapter):
        """Keeps what is sent."""

        def __init__(self) -> None:
            super().__init__()
            self.sent: list[Any] = []

        async def send_activities(self, context: Any, activities: Any) -> Any:
            self.sent += activities
            return [ResourceResponse(id=f"sent-{len(self.sent)}") for _ in activities]

        async def update_activity(self, context: Any, activity: Any) -> Any:
            self.sent.append(activity)

        async def delete_activity(self, context: Any, reference: Any) -> None:
            raise NotImplementedError

    def activity_of(fields: dict[str, Any]) -> Any:
        return Activity.model_validate(fields)

else:
    from botbuilder.core import TurnContext
    from botbuilder.core.adapters import TestAdapter
    from botbuilder.schema import Activity

    import botstate_ext as host

    class _Adapter(TestAdapter):  # type: ignore[no-redef]  # of the other SDK
        """Keeps what is sent."""

        @property
        def sent(self) -> list[Any]:
            return list(self.activity_buffer)

    def activity_of(fields: dict[str, Any]) -> Any:
        return Activity.deserialize(fields)


StateScopes: Any = host.StateScopes
StateMiddleware: Any = host.StateMiddleware


def activity(text: str = "hi", **fields: Any) -> dict[str, Any]:
    """Return an activity as a channel sends it."""
    return {
        "type": "message",
        "id": fields.pop("id", "m-1"),
        "channelId": "test",
        "serviceUrl": "https://channel.test",
        "from": {"id": fields.pop("user", "ann")},
        "recipient": {"id": "bot"},
        "conversation": {"id": fields.pop("conversation", "talk")},
        "text": text,
        **fields,
    }


Logic = Callable[[Any], Awaitable[Any]]


class Bot:
    """A bot with this middleware, on either SDK."""

    def __init__(self, states: Any, **options: Any) -> None:
        self._adapter = _Adapter()
        self._adapter.use(StateMiddleware(states, **options))
        self.states = states

    async def turn(self, logic: Logic, text: str = "hi", **fields: Any) -> list[str]:
        """Run one turn and return the texts that were sent until it ended; errors come out."""
        before = len(self._adapter.sent)
        context = TurnContext(self._adapter, activity_of(activity(text, **fields)))
        await self._adapter.run_pipeline(context, logic)
        return [each.text for each in self._adapter.sent[before:] if each.type == "message"]
