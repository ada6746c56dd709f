"""An agent on the SDK's aiohttp hosting, and the channel that it talks to, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from microsoft_agents.hosting.aiohttp import CloudAdapter, start_agent_process
from microsoft_agents.hosting.core import (
    AgentApplication,
    AgentAuthConfiguration,
    ClaimsIdentity,
    TurnState,
)

from botstate_ext.agents import AgentsStorage, StateMiddleware, setup


class NoConnections:
    """For an agent without sign-in, whose channel asks for no token."""

    def get_connection(self, name: str) -> Any:
        raise NotImplementedError

    def get_default_connection(self) -> Any:
        raise NotImplementedError

    def get_token_provider(self, *_: Any) -> Any:
        raise NotImplementedError

    def get_default_connection_configuration(self) -> AgentAuthConfiguration:
        return AgentAuthConfiguration()


class Channel:
    """A channel's connector service. ``said`` has what the agent sent, in order."""

    def __init__(self) -> None:
        self.activities: list[dict[str, Any]] = []
        self.on_reply: Callable[[dict[str, Any]], None] = lambda _: None
        app = web.Application()
        app.router.add_post("/v3/conversations/{conversation}/activities", self._take)
        app.router.add_post("/v3/conversations/{conversation}/activities/{id}", self._take)
        app.router.add_put("/v3/conversations/{conversation}/activities/{id}", self._change)
        app.router.add_delete("/v3/conversations/{conversation}/activities/{id}", self._remove)
        self.server = TestServer(app)

    @property
    def said(self) -> list[str]:
        return [each["text"] for each in self.activities if each["type"] == "message"]

    @property
    def url(self) -> str:
        return str(self.server.make_url("/"))

    async def _take(self, request: web.Request) -> web.Response:
        activity = await request.json()
        self.on_reply(activity)
        self.activities.append(activity)
        return web.json_response({"id": f"sent-{len(self.activities)}"})

    async def _change(self, request: web.Request) -> web.Response:
        self.activities.append({**await request.json(), "type": "changed"})
        return web.json_response({"id": request.match_info["id"]})

    async def _remove(self, request: web.Request) -> web.Response:
        self.activities.append({"type": "removed", "id": request.match_info["id"]})
        return web.Response()


class Agent:
    """An agent and its channel. ``app`` is the SDK's application, or any object with ``on_turn``"""

    def __init__(self, app: Any, adapter: CloudAdapter) -> None:
        self.app, self.adapter, self.channel = app, adapter, Channel()
        self._numbers = 0
        site = web.Application()
        site.router.add_post("/api/messages", self._entry)
        self._server = TestServer(site)

    async def _entry(self, request: web.Request) -> Any:
        if request.query.get("app"):
            request["claims_identity"] = ClaimsIdentity(
                {"aud": request.query["app"], "appid": request.query["app"]}, "test"
            )
        return await start_agent_process(request, self.app, self.adapter)

    async def __aenter__(self) -> Agent:
        await self.channel.server.start_server()
        await self._server.start_server()
        self._session = ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._server.close()
        await self.channel.server.close()

    def activity(self, text: str | None = None, **fields: Any) -> dict[str, Any]:
        """Return an activity as a channel sends it."""
        self._numbers += 1
        return {
            "type": "message",
            "id": f"m-{self._numbers}",
            "channelId": "test",
            "serviceUrl": self.channel.url,
            "from": {"id": fields.pop("user", "ann")},
            "recipient": {"id": "agent"},
            "conversation": {"id": fields.pop("conversation", "talk")},
            **({} if text is None else {"text": text}),
            **fields,
        }

    async def post(self, activity: dict[str, Any]) -> Any:
        """Deliver an activity; return the answer's body, None if it has none."""
        url = self._server.make_url("/api/messages")
        async with self._session.post(url, json=activity) as response:
            assert response.status < 300, await response.text()
            return await response.json() if response.content_type.endswith("json") else None

    async def say(self, text: str, **fields: Any) -> list[str]:
        """Deliver a message; return what the agent sent from its arrival to its answer."""
        before = len(self.channel.said)
        await self.post(self.activity(text, **fields))
        return self.channel.said[before:]


def adapter() -> CloudAdapter:
    return CloudAdapter(connection_manager=NoConnections())


def application(**options: Any) -> AgentApplication[TurnState]:
    return AgentApplication[TurnState](
        connection_manager=NoConnections(), **{"start_typing_timer": False, **options}
    )


def prepared(states: Any, on_message: Any = None, app: Any = None, **options: Any) -> Agent:
    """Return an agent that keeps its state in these scopes. ``options`` are the middleware's."""
    on = adapter()
    on.use(StateMiddleware(states, **options))
    agent = app or application(
        storage=AgentsStorage(states.storage), turn_state_factory=states.turn_state
    )
    setup(agent, states)
    if on_message is not None:
        agent.activity("message")(on_message)
    return Agent(agent, on)
