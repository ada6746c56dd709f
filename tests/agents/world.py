"""An agent on the SDK's aiohttp hosting, and the channel that it talks to, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from warnings import catch_warnings, simplefilter

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from microsoft_agents.activity import (
    SignInResource,
    TokenExchangeResource,
    TokenOrSignInResourceResponse,
    TokenPostResource,
    TokenResponse,
)
from microsoft_agents.hosting.aiohttp import CloudAdapter, start_agent_process
from microsoft_agents.hosting.core import (
    AgentApplication,
    AgentAuthConfiguration,
    ClaimsIdentity,
    TurnState,
)
from microsoft_agents.hosting.core.rest_channel_service_client_factory import (
    RestChannelServiceClientFactory,
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


class Tokens:
    """The token service: a user has signed in who says 123456."""

    signed_in = False

    async def get_token_or_sign_in_resource(self, **_: Any) -> Any:
        if Tokens.signed_in:
            return TokenOrSignInResourceResponse(token_response=TokenResponse(token="t"))
        link = SignInResource(
            sign_in_link="https://sign.in",
            token_exchange_resource=TokenExchangeResource(id="e"),
            token_post_resource=TokenPostResource(sas_url="https://post.it"),
        )
        return TokenOrSignInResourceResponse(sign_in_resource=link)

    async def get_user_token(self, magic_code: str | None = None, **_: Any) -> Any:
        Tokens.signed_in = Tokens.signed_in or magic_code == "123456"
        return TokenResponse(token="t") if Tokens.signed_in else TokenResponse()

    async def close(self) -> None:
        pass


class Services(RestChannelServiceClientFactory):
    """Talks to the channel without a token."""

    async def create_user_token_client(self, *_: Any) -> Any:
        return Tokens()

    async def create_connector_client(
        self, context: Any, identity: Any, url: Any, audience: Any, *_: Any, **__: Any
    ) -> Any:
        return await super().create_connector_client(
            context, identity, url, audience, use_anonymous=True
        )


class Channel:
    """A channel's connector service. ``said`` has what the agent sent, in order."""

    def __init__(self) -> None:
        self.activities: list[dict[str, Any]] = []
        self.on_reply: Callable[[dict[str, Any]], None] = lambda _: None
        app = web.Application()
        app.router.add_post("/v3/conversations", self._open)
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

    async def _open(self, request: web.Request) -> web.Response:
        return web.json_response({"id": "new", "activityId": "a-new", "serviceUrl": self.url})

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
        self.query = ""
        self._numbers = 0
        site = web.Application()
        site.router.add_post("/api/messages", self._entry)
        self._server = TestServer(site)

    async def _entry(self, request: web.Request) -> Any:
        if request.query.get("app"):
            claims = {"aud": request.query["app"], "appid": request.query["app"]}
            with catch_warnings():
                simplefilter("ignore")  # the SDK finds it under this name only
                request["claims_identity"] = ClaimsIdentity(claims, "test")
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
        url = self._server.make_url(f"/api/messages{self.query}")
        async with self._session.post(url, json=activity) as response:
            assert response.status < 300, await response.text()
            return await response.json() if response.content_type.endswith("json") else None

    async def say(self, text: str, **fields: Any) -> list[str]:
        """Deliver a message; return what the agent sent from its arrival to its answer."""
        before = len(self.channel.said)
        await self.post(self.activity(text, **fields))
        return self.channel.said[before:]


def adapter() -> CloudAdapter:
    return CloudAdapter(channel_service_client_factory=Services(NoConnections()))


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
