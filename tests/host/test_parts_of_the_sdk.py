"""Other parts of the SDK that store something, on our storage and beside our scopes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from botbuilder.core import (
    AutoSaveStateMiddleware,
    MemoryTranscriptStore,
    Storage,
    TranscriptLoggerMiddleware,
    TurnContext,
)
from botbuilder.core.adapters import TestAdapter
from botbuilder.core.inspection import InspectionMiddleware, InspectionState
from botbuilder.core.skills import (
    BotFrameworkSkill,
    SkillConversationIdFactory,
    SkillConversationIdFactoryOptions,
)
from botbuilder.dialogs import DialogSet, DialogTurnStatus
from botbuilder.dialogs.prompts import OAuthPrompt, OAuthPromptSettings, PromptOptions

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext.storage import MemoryStorage, as_state_storage
from tests.backends import storage  # noqa: F401 - a fixture
from tests.turns import Bot, context, message


async def test_the_skills_conversation_id_factory(storage: Storage) -> None:  # noqa: F811
    factory = SkillConversationIdFactory(as_state_storage(storage))
    skill = BotFrameworkSkill(id="skill", app_id="app", skill_endpoint="http://localhost/")
    options = SkillConversationIdFactoryOptions("scope", "bot", message(), skill)
    conversation_id = await factory.create_skill_conversation_id(options)

    later = SkillConversationIdFactory(as_state_storage(storage))
    found = await later.get_skill_conversation_reference(conversation_id)
    assert found.oauth_scope == "scope"
    assert found.conversation_reference.conversation.id == "conv"
    assert found.conversation_reference.user.id == "user"
    await later.delete_conversation_reference(conversation_id)
    assert not await later.get_skill_conversation_reference(conversation_id)


async def test_an_oauth_prompt_waits_over_a_restart_for_the_code(
    storage: Storage,  # noqa: F811
) -> None:
    adapter = TestAdapter()
    adapter.add_user_token("connection", "test", "user", "the token", "888999")

    async def turn(text: str) -> tuple[list[Any], list[Any]]:
        states = StateScopes(storage)
        dialogs = DialogSet(states.conversation.create_property("DialogState"))
        dialogs.add(
            OAuthPrompt("sign in", OAuthPromptSettings("connection", "Sign in", None, 90_000))
        )
        results = []

        async def logic(turn: TurnContext) -> None:
            dialog = await dialogs.create_context(turn)
            result = await dialog.continue_dialog()
            if result.status == DialogTurnStatus.Empty:
                await dialog.prompt("sign in", PromptOptions())
            results.append(result.result)

        middleware = StateMiddleware(states)
        turn_context = TurnContext(adapter, message(text))
        await middleware.on_turn(turn_context, lambda: logic(turn_context))
        sent = [activity.attachments for activity in adapter.activity_buffer]
        adapter.activity_buffer.clear()
        return results, sent

    _, sent = await turn("hi")
    assert sent[0][0].content_type == "application/vnd.microsoft.card.oauth"
    assert (await turn("not a code"))[0] == [None]
    results, _ = await turn("888999")
    assert results[0].token == "the token"


@pytest.fixture
async def emulator() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """The other end of an inspection: what is sent to it, as JSON."""
    received: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        received.append(await request.json())
        return web.json_response({"id": "1"})

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]  # older aiohttp names the port that was asked for: 0
    yield f"http://{host}:{port}", received
    await runner.cleanup()


async def test_an_inspection_shows_our_scopes(
    storage: Storage,  # noqa: F811
    emulator: tuple[str, list[dict[str, Any]]],
) -> None:
    address, received = emulator

    def start() -> tuple[Bot, StateScopes]:
        """A process of the bot, with what the SDK's sample of inspection adds."""
        states = StateScopes(storage)
        inspection = InspectionState(as_state_storage(storage))
        watched = InspectionMiddleware(inspection, states.user, states.conversation)
        return Bot(StateMiddleware(states), watched), states

    async def nothing(turn: TurnContext) -> None:
        """A command is for the middleware alone."""

    bot, _ = start()
    opening = message("/INSPECT open", conversation="emulator")
    opening.service_url = address
    await bot.turn(nothing, opening)
    sessions = (
        await InspectionState(as_state_storage(storage))
        .create_property("InspectionSessionByStatus")
        .get(context())
    )
    (session,) = sessions.opened_sessions
    bot, _ = start()
    await bot.turn(nothing, message(f"/INSPECT attach {session}"))
    bot, states = start()
    name = states.user.create_property("name")

    async def remember(turn: TurnContext) -> None:
        await name.set(turn, "Ann")

    await bot.turn(remember)
    assert [activity["name"] for activity in received] == ["ReceivedActivity", "Bot State"]
    assert received[1]["value"]["user_state"] == {"name": "Ann"}
    bot, states = start()
    assert await states.user.create_property("name").get(context()) == "Ann"


async def test_a_transcript_has_each_message_once() -> None:
    store = MemoryTranscriptStore()
    store.channels = {}  # upstream's stores share one
    states = StateScopes(MemoryStorage())
    count = states.conversation.create_property("count")
    bot = Bot(TranscriptLoggerMiddleware(store), StateMiddleware(states))

    async def logic(turn: TurnContext) -> None:
        await count.set(turn, await count.get(turn, 0) + 1)
        await turn.send_activity(f"number {await count.get(turn)}")

    await bot.turn(logic)
    await bot.turn(logic)
    page = await store.get_transcript_activities("test", "conv")
    assert sorted(activity.text for activity in page.items) == ["hi", "hi", "number 1", "number 2"]


async def test_upstreams_auto_save_takes_our_scopes_beside_its_own(
    storage: Storage,  # noqa: F811
) -> None:
    states = StateScopes(storage)
    bot = Bot(AutoSaveStateMiddleware([states.user, states.conversation]))
    name = states.user.create_property("name")
    await bot.turn(lambda turn: name.set(turn, "Ann"))
    assert await StateScopes(storage).user.create_property("name").get(context()) == "Ann"
