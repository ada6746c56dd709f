"""The parts of the SDK without a public name that this package uses: all of them are named here.

A new version of the SDK may move one. `tests/agents/test_privates.py` says which.
"""

from __future__ import annotations

from asyncio import Task
from collections.abc import Awaitable, Callable
from typing import Any, Final

from .sdk import StreamingResponse, TurnContext

_SIGN_IN_TASK: Final = "AgentApplication._handle_turn_skip.<locals>.__replay"
_ERROR_HANDLER: Final = "HttpAdapterBase.__init__.<locals>.on_turn_error"


def goes_on_after_sign_in(task: Task[Any] | None) -> bool:
    """Return True for the task in which the application handles an activity that waited for the
    user to sign in. The turn that started the task does not wait for it."""
    return getattr(task and task.get_coro(), "__qualname__", None) == _SIGN_IN_TASK


def shows_exceptions(handler: Any) -> bool:
    """Return True for the ``on_turn_error`` of the SDK's own, which sends an exception's text."""
    return getattr(handler, "__qualname__", None) == _ERROR_HANDLER


def turn_state_of(app: Any) -> Any:
    """Return a turn state as the application makes it for each turn."""
    return app._turn_state_factory()


def error_handlers(app: Any) -> list[Callable[..., Awaitable[None]]]:
    """Return the application's handlers of errors, in the order in which it calls them."""
    handlers: list[Callable[..., Awaitable[None]]] = app._turn_error_handlers
    return handlers


async def handle_error(app: Any, context: TurnContext, error: Exception) -> None:
    """Let the application deal with an error, as if a handler of it had raised."""
    await app._on_error(context, error)


def proactive_of(app: Any) -> Any:
    """Return ``app.proactive``; None if it is not set up, where the property raises."""
    return app._proactive


def added_states(turn_state: Any) -> dict[str, Any]:
    """Return the states of the SDK's kind that were added to a turn state."""
    states: dict[str, Any] = turn_state._scopes
    return states


def handler_lists(context: TurnContext) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the lists of a context's handlers: of sending, of updates, of deletions."""
    return context._on_send_activities, context._on_update_activity, context._on_delete_activity


def set_responded(context: TurnContext, responded: bool) -> None:
    """Set ``context.responded``, whose setter takes no False."""
    context._responded = responded


def services_of(context: TurnContext) -> dict[Any, Any]:
    """Return the live mapping of ``context.services``."""
    services: dict[Any, Any] = context.services._state
    return services


async def connect(adapter: Any, context: TurnContext, audience: Any) -> Any:
    """Return a new connection to the channel of this context's activity."""
    return await adapter._channel_service_client_factory.create_connector_client(
        context,
        context.identity,
        context.activity.service_url,
        audience,
        use_anonymous=context.identity.allow_anonymous,
    )


def memory_of(storage: Any) -> dict[str, Any]:
    """Return the dictionary of a ``MemoryStorage``."""
    items: dict[str, Any] = storage._memory
    return items


def cosmos_config_of(storage: Any) -> Any:
    """Return the configuration of a ``CosmosDBStorage``."""
    return storage._config


class _CollectedStream(StreamingResponse):
    """Behaves as on a channel that does not stream: sends the whole as one message."""

    def _set_defaults(self, context: TurnContext) -> None:
        self._is_streaming_channel = False


def collect_stream(context: TurnContext) -> None:
    """Let what the turn streams from now on be sent as one message, at the end of the stream."""
    context._streaming_response = _CollectedStream(context)
