"""Fixtures for the tests of a bot: ``pytest_plugins = ["botstate_ext.testing.plugin"]``.

A bot's tests define one fixture, ``make_bot``: a function that takes the `StateScopes` and returns
the bot (an object with ``on_turn``, or a function of a turn). They use ``chat`` and ``remembered``:

    async def test_name(chat, remembered):
        assert await chat.say("Hi") == ["What is your name?"]
        await chat.say("Ann")
        assert await remembered("user", "UserProfile") == {"name": "Ann"}

A test that fails prints its conversation. It is no entry point: name it in ``conftest.py``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from datetime import datetime, timezone
from typing import Any, Final, TypeAlias

import pytest
from botbuilder.core import BotAdapter
from botbuilder.core.adapters import TestAdapter

from .. import StateMiddleware, StateScopes
from ..storage import MemoryStorage
from .chat import Chat
from .clock import ManualClock
from .counting import CountingStorage

START: Final = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
"""The time at which ``clock`` starts."""

Remembered: TypeAlias = Callable[..., Awaitable[Any]]

_CHAT: Final = pytest.StashKey[Chat]()


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of the bot's state. It stands still until ``clock.advance(...)``."""
    return ManualClock(START)


@pytest.fixture
def state_storage() -> CountingStorage:
    """Return the storage, which counts its calls. Override it to test on another storage."""
    return CountingStorage(MemoryStorage())


@pytest.fixture
def states(state_storage: Any, clock: ManualClock) -> StateScopes:
    """Return the bot's scopes. Override it to pass ``types=``, limits and other options."""
    return StateScopes(state_storage, clock=clock)


@pytest.fixture
def state_middleware(states: StateScopes) -> StateMiddleware:
    """Return the middleware. Override it to test another mode, such as ``replies="after_save"``."""
    return StateMiddleware(states)


@pytest.fixture
def chat(
    request: pytest.FixtureRequest,
    make_bot: Callable[[StateScopes], Any],
    states: StateScopes,
    state_middleware: StateMiddleware,
    clock: ManualClock,
) -> Chat:
    """Return a chat of the user "ann" with the bot. See `Chat`."""

    def start() -> tuple[BotAdapter, Any]:
        adapter = TestAdapter()
        adapter.use(state_middleware)
        return adapter, make_bot(states)

    chat = request.node.stash[_CHAT] = Chat(start, clock)
    return chat


@pytest.fixture
def remembered(states: StateScopes, chat: Chat) -> Remembered:
    """Read what is stored now, as another process would: ``await remembered("user", "cart")``.

    Takes a scope's name and the name of a property; without that, reads the whole document.
    ``user_id=``, ``conversation_id=`` and ``channel_id=`` default to those of ``chat``; ``at=``
    names a shared or workflow document. Returns plain JSON, None for an absent property.
    """

    async def read(
        scope: str, name: str | None = None, *, at: str | None = None, **ids: str
    ) -> Any:
        chosen: Any = getattr(states, scope, None) or states.scope(scope)
        if at is not None:
            chosen = chosen.at(at)
        async with states.unit_of_work(
            channel_id=ids.get("channel_id", chat.channel),
            user_id=ids.get("user_id", chat.user),
            conversation_id=ids.get("conversation_id", chat.conversation),
        ) as work:
            stored = (await chosen.read_data(work)).data or {}
        return stored if name is None else stored.get(name)

    return read


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the conversation to the report of a failed test."""
    report = yield
    chat = item.stash.get(_CHAT, None)
    if report.failed and chat is not None and chat.transcript:
        lines = (f"{speaker}: {text}" for speaker, text in chat.transcript)
        report.sections.append(("conversation with the bot", "\n".join(lines)))
    return report
