"""The parts of the SDK without a public name that this package uses are where it looks for them.

If one of these fails on a new version of the SDK, look for what took its place, and change
`botstate_ext/host/agents/privates.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from microsoft_agents.activity import Activity
from microsoft_agents.hosting.core import AgentApplication, MemoryStorage, TurnContext, TurnState
from microsoft_agents.hosting.core.app.proactive import ProactiveOptions
from microsoft_agents.hosting.core.app.streaming import StreamingResponse

from botstate_ext.host.agents import privates
from tests.agents.memory_adapter import MemoryAdapter
from tests.agents.world import adapter, application


def an_app() -> Any:
    app = application(storage=MemoryStorage(), proactive=ProactiveOptions())

    @app.error
    async def on_error(context: Any, error: Exception) -> None: ...

    return app


def a_context() -> TurnContext:
    activity = {"type": "message", "channelId": "msteams", "conversation": {"id": "c"}}
    return TurnContext(MemoryAdapter(), Activity.model_validate(activity))


def has_connection_factory() -> bool:
    factory = adapter()._channel_service_client_factory
    return set(inspect.signature(factory.create_connector_client).parameters) >= {"context"}


def cosmos_config() -> Any:
    from microsoft_agents.storage.cosmos import CosmosDBStorage, CosmosDBStorageConfig

    config = CosmosDBStorageConfig("https://x", "a2V5", "bots", "states")
    storage = CosmosDBStorage.__new__(CosmosDBStorage)  # its client would ask for its account
    storage._config = config
    assert "self._config" in inspect.getsource(CosmosDBStorage.__init__)
    return privates.cosmos_config_of(storage)


def sets_responded() -> bool:
    context = a_context()
    context.responded = True
    privates.set_responded(context, False)
    return not context.responded


def services_are_shared() -> bool:
    context = a_context()
    context.services.set(str, "service")
    return privates.services_of(context) == {str: "service"}


def a_handler_is_listed() -> bool:
    context = a_context()
    handlers: list[Any] = [object(), object(), object()]
    context.on_send_activities(handlers[0])
    context.on_update_activity(handlers[1])
    context.on_delete_activity(handlers[2])
    return [*map(list, privates.handler_lists(context))] == [[each] for each in handlers]


def streams_as_one_message() -> bool:
    context = a_context()
    assert StreamingResponse(context).is_streaming_channel, "Teams streams"
    privates.collect_stream(context)
    return not context.streaming_response.is_streaming_channel


WHERE: dict[str, Callable[[], Any]] = {
    "AgentApplication._turn_state_factory": lambda: isinstance(
        privates.turn_state_of(an_app()), TurnState
    ),
    "AgentApplication._turn_error_handlers": lambda: (
        [each.__name__ for each in privates.error_handlers(an_app())] == ["on_error"]
    ),
    "AgentApplication._on_error": lambda: inspect.iscoroutinefunction(AgentApplication._on_error),
    "AgentApplication._proactive": lambda: (
        privates.proactive_of(an_app()).continue_conversation is not None
    ),
    "AgentApplication._handle_turn_skip, and its task __replay": lambda: (
        "async def __replay(" in inspect.getsource(AgentApplication._handle_turn_skip)
        and "create_task(__replay(" in inspect.getsource(AgentApplication._handle_turn_skip)
    ),
    "HttpAdapterBase.__init__, and its on_turn_error": lambda: privates.shows_exceptions(
        adapter().on_turn_error
    ),
    "ChannelServiceAdapter._channel_service_client_factory": has_connection_factory,
    "TurnState._scopes": lambda: isinstance(privates.added_states(TurnState()), dict),
    "TurnContext._on_send_activities, _on_update_activity, _on_delete_activity": (
        a_handler_is_listed
    ),
    "TurnContext._responded": sets_responded,
    "TurnContext._services, and its _state": services_are_shared,
    "TurnContext._streaming_response, StreamingResponse._set_defaults": streams_as_one_message,
    "MemoryStorage._memory": lambda: privates.memory_of(MemoryStorage()) == {},
    "CosmosDBStorage._config": lambda: cosmos_config().container_id == "states",
}


@pytest.mark.parametrize("where", WHERE)
def test_it_is_there(where: str) -> None:
    try:
        is_there = WHERE[where]()
    except AttributeError as error:
        pytest.fail(f"{where} is not where this version of the SDK has it: {error}")
    assert is_there, f"{where} is not what it was in this version of the SDK"
