"""A channel, as a bot sees one: it posts activities, and serves the URL that replies go to."""

from __future__ import annotations

import itertools
from collections import defaultdict
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp import web

_numbers = itertools.count(1)  # no channel gives an id twice in a conversation


class Channel:
    """One conversation of one user. ``replies`` are what the bot sent, by the id of the activity
    that they answer ("" for none); they are complete when the bot answers the request."""

    def __init__(self, bot_url: str, *, user: str = "ann", conversation: str = "talk-1") -> None:
        self._bot_url = bot_url
        self._user = {"id": user, "name": user}
        self._conversation = {"id": conversation}
        self.replies: dict[str, list[dict[str, Any]]] = defaultdict(list)

    async def __aenter__(self) -> Channel:
        connector = web.Application()
        activities = "/v3/conversations/{conversation}/activities"
        connector.router.add_post(activities, self._on_reply)
        connector.router.add_post(activities + "/{activity}", self._on_reply)
        self._runner = web.AppRunner(connector)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self._service_url = f"http://{host}:{port}"
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()
        await self._runner.cleanup()

    async def join(self) -> list[str]:
        members = [self._user, {"id": "bot"}]
        await self.post({"type": "conversationUpdate", "membersAdded": members})
        # The SDK answers an update of the conversation in the conversation, not the activity.
        return self._texts("")

    async def say(self, text: str, **fields: Any) -> list[str]:
        return await self.post({"type": "message", "text": text, **fields})

    async def post(self, activity: dict[str, Any]) -> list[str]:
        """The texts of the bot's replies to this activity. A field that is None is left out."""
        activity = {
            "id": f"{self._conversation['id']}|{next(_numbers):07}",
            "timestamp": "2024-05-06T07:08:09.123Z",
            "channelId": "emulator",
            "serviceUrl": self._service_url,
            "from": self._user,
            "recipient": {"id": "bot"},
            "conversation": self._conversation,
            **activity,
        }
        body = {name: value for name, value in activity.items() if value is not None}
        async with self._session.post(self._bot_url, json=body) as answer:
            assert answer.status in (201, 202), await answer.text()
        return self._texts(activity["id"])

    def _texts(self, answered: str) -> list[str]:
        replies = self.replies[answered]
        return [reply["text"] for reply in replies if reply["type"] == "message"]

    async def _on_reply(self, request: web.Request) -> web.Response:
        answered = request.match_info.get("activity", "")
        self.replies[answered].append(await request.json())
        return web.json_response({"id": f"reply-to-{answered}"})
