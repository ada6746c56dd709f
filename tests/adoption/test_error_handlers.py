"""The error handler of the SDK's samples, which deletes the conversation, loses no dialog."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import botbuilder.core as sdk
import pytest

from botstate_ext.storage import as_state_storage
from tests.adoption.bots import ComplexDialogBot, Reviewer
from tests.backends import make
from tests.turn.test_error_handlers import KEY, aside
from tests.turns import StateMiddleware, StateScopes, Storage, TestAdapter, TurnContext, message


class Samples:
    """The samples' bot with a class in ``step.values``, and their error handler."""

    def __init__(self, storage: Storage, **options: Any) -> None:
        self.states = StateScopes(storage, **options)
        self.adapter = TestAdapter().use(StateMiddleware(self.states))
        self.adapter.on_turn_error = self.on_error
        self.bot = ComplexDialogBot(self.states.conversation, self.states.user)

    async def on_error(self, turn: TurnContext, error: Exception) -> None:
        await turn.send_activity(type(error).__name__)
        await self.states.conversation.delete(turn)

    async def say(self, text: str) -> str | None:
        await self.adapter.run_pipeline(TurnContext(self.adapter, message(text)), self.bot.on_turn)
        said: str | None = self.adapter.activity_buffer[-1].text
        self.adapter.activity_buffer.clear()
        return said


@pytest.fixture(params=["upstream memory", pytest.param("upstream blob", marks=pytest.mark.blob)])
async def sample_storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    storage: Any = make(request.param, request)
    yield storage
    await as_state_storage(storage).aclose()
    if request.param == "upstream blob":
        # The SDK never does, and closing its client does not close the session below.
        await storage._BlobStorage__container_client._pipeline._transport._transport.close()


async def test_a_bot_that_adopts_without_its_types_loses_no_dialog(sample_storage: Storage) -> None:
    upstream: Any = sample_storage
    adapter = TestAdapter()
    old = ComplexDialogBot(sdk.ConversationState(upstream), sdk.UserState(upstream))
    for text in ("hi", "Ann", "Contoso"):
        await adapter.run_pipeline(TurnContext(adapter, message(text)), old.on_turn)

    forgot = Samples(sample_storage)
    assert await forgot.say("Adatum") == "StateDecodeError"
    assert await forgot.say("hi") == "StateEncodeError", "unstuck, and this says what to do"

    samples = Samples(sample_storage, types=[Reviewer])
    assert await samples.say("hi") == "Who are you?"
    item = await as_state_storage(sample_storage).get(KEY)
    assert item is not None
    ((name, kept),) = aside(json.loads(item.data)).items()
    assert name.startswith("DialogState$quarantine.")
    assert "Reviewer" in kept["reason"]

    document = json.loads(item.data)
    document["DialogState"] = document.pop(name)["value"]
    await as_state_storage(sample_storage).put_if(KEY, json.dumps(document).encode(), etag="*")
    assert "2 so far" in str(await samples.say("Adatum")), "the dialog goes on where it was"
