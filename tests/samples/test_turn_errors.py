"""The sample's error handler forgets the conversation only when the bot itself failed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from botstate_ext import (
    StateConflictError,
    StateDecodeError,
    StateEncodeError,
    StateError,
    StateStorageError,
)
from tests.turns import context

from .process import SAMPLE

pytest.importorskip("botbuilder.integration.aiohttp", reason='pip install -e ".[sample]"')


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The sample's module, imported from its folder and forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(SAMPLE)
    yield importlib.import_module("app")
    for name in sys.modules.keys() - before:
        if name.split(".")[0] in {"app", "bots", "config", "data_models"}:
            del sys.modules[name]


async def remembered_after(app: ModuleType, error: Exception) -> str | None:
    turn = context()
    topic = app.STATES.conversation.create_property("topic")
    await topic.set(turn, "pizza")
    await app.STATES.conversation.save_changes(turn)
    await app.on_error(context(), error)
    remembered: str | None = await topic.get(context())
    return remembered


@pytest.mark.parametrize(
    "error",
    [
        StateConflictError("another turn was faster"),
        StateDecodeError("a stored value could not be read"),
        StateEncodeError("a value cannot be stored"),
        StateStorageError("read", "key", "no answer"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_about_state_removes_nothing(app: ModuleType, error: StateError) -> None:
    assert await remembered_after(app, error) == "pizza"


async def test_an_error_of_the_bot_starts_the_conversation_afresh(app: ModuleType) -> None:
    assert await remembered_after(app, KeyError("of the bot")) is None
