"""The samples' bots, talked to through the test kit: what they say and what they remember."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from botstate_ext import StateMiddleware, StateScopes

from .process import PIZZA, SAMPLE

if TYPE_CHECKING:  # pytest imports the plugin, and rewrites its assertions
    from botstate_ext.testing.chat import Chat
    from botstate_ext.testing.plugin import Remembered

pytest_plugins = ["botstate_ext.testing.plugin"]

WELCOME = "Send Order and five digits, such as Order 12345, to open an order or to join a friend's."
OPEN = "Order 12345 is open. Which pizza would you like?"
THANKS = "Thanks Ann. To see conversation data, type anything."


@pytest.fixture
def bots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of a sample's bots. Both samples call their modules by the same names."""
    folder: Path = request.param
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield importlib.import_module("bots")
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("bots", "data_models"):
            del sys.modules[name]


@pytest.fixture
def make_bot(bots: Any) -> Callable[[StateScopes], Any]:
    if hasattr(bots, "PizzaBot"):
        return bots.PizzaBot  # type: ignore[no-any-return]  # of a module that is found by path
    return lambda states: bots.StateManagementBot(states.conversation, states.user)


@pytest.fixture
def state_middleware(states: StateScopes, bots: Any) -> StateMiddleware:
    """As each sample's app has it."""
    if hasattr(bots, "PizzaBot"):
        return StateMiddleware(states, replies="after_save", deduplicate=timedelta(minutes=10))
    return StateMiddleware(states)


state_bot = pytest.mark.parametrize("bots", [SAMPLE], indirect=True, ids=["state bot"])
pizza_bot = pytest.mark.parametrize("bots", [PIZZA], indirect=True, ids=["pizza bot"])


@state_bot
async def test_a_name_is_asked_for_once(chat: Chat, remembered: Remembered) -> None:
    assert await chat.join() == ["Welcome to State Bot Sample. Type anything to get started."]
    assert await chat.say("Hi") == ["What is your name?"]
    assert await chat.say("Ann") == [THANKS]
    profile = await remembered("user", "UserProfile")
    assert profile["name"] == "Ann"
    chat.restart()
    said = await chat.say("Hello")
    assert (said[0], said[2]) == ("Ann sent: Hello", "Message received from: test")
    assert said[1].startswith("Message received at: ")


@state_bot
async def test_a_user_is_known_in_every_conversation_and_others_are_not(chat: Chat) -> None:
    await chat.say("Hi")
    await chat.say("Ann")
    assert (await chat.elsewhere("2").say("Hello"))[0] == "Ann sent: Hello"
    assert await chat.as_user("bob").elsewhere("3").say("Hello") == ["What is your name?"]


@state_bot
async def test_two_quick_messages_are_both_answered(chat: Chat) -> None:
    """Each by a turn that has seen what the one before it saved."""
    assert await chat.at_once("Ann", "Ann") == [["What is your name?"], [THANKS]]
    one, two = await chat.at_once("one", "two")
    assert (one[0], two[0]) == ("Ann sent: one", "Ann sent: two")


@pizza_bot
async def test_friends_in_two_conversations_share_an_order_word_for_word(
    chat: Chat, remembered: Remembered
) -> None:
    ann, bob = chat.elsewhere("a"), chat.as_user("bob").elsewhere("b")
    assert await ann.join() == [WELCOME]
    assert await ann.say("Hi") == [WELCOME]
    assert await ann.say("Order 12345") == [OPEN]
    assert await ann.say("order") == ["There is no pizza in order 12345 yet."]
    assert await ann.say("confirm") == ["There is no pizza in order 12345 yet."]
    assert await ann.say("Funghi") == ["Funghi is in order 12345."]
    assert await bob.say("order 12345") == [OPEN]
    assert await bob.say("{@chat.x} Margherita") == ["{@chat.x} Margherita is in order 12345."], (
        "what a friend writes is never a template"
    )
    everything = "Order 12345:\nFunghi (ann)\n{@chat.x} Margherita (bob)"
    assert await ann.say("order") == await bob.say("ORDER") == [everything]
    assert await ann.say("confirm") == ["Confirmed: {@chat.x} Margherita for bob."]
    assert await ann.say("Order 54321") == [OPEN.replace("12345", "54321")]
    assert await ann.say("order") == ["There is no pizza in order 54321 yet."]
    assert await remembered("shared", "pizzas", at="12345") == [
        {"name": "Funghi", "by": "ann"},
        {"name": "{@chat.x} Margherita", "by": "bob"},
    ]


@pizza_bot
async def test_an_order_is_gone_after_a_day(chat: Chat, clock: Any) -> None:
    await chat.say("Order 12345")
    await chat.say("Funghi")
    clock.advance(timedelta(days=1))
    assert await chat.say("order") == ["There is no pizza in order 12345 yet."]


@pizza_bot
async def test_what_is_delivered_twice_is_ordered_once(chat: Chat) -> None:
    await chat.say("Order 12345")
    assert await chat.say("Funghi", id="1") == ["Funghi is in order 12345."]
    assert await chat.say("Funghi", id="1") == []
    assert await chat.say("order") == ["Order 12345:\nFunghi (ann)"]
