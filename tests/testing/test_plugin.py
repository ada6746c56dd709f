"""The fixtures that a bot's own tests use, as those tests use them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from botstate_ext.testing import CountingStorage, ManualClock
from botstate_ext.testing.chat import Chat
from tests.turns import ActivityHandler, StateScopes, TurnContext

pytest_plugins = ["botstate_ext.testing.plugin", "pytester"]


class NameBot(ActivityHandler):
    """Asks for a name, counts, and lets anyone add to one list."""

    def __init__(self, states: StateScopes) -> None:
        self.name = states.user.create_property("name", str, expires_after=timedelta(hours=1))
        self.count = states.conversation.create_property("count", int)
        self.items = states.shared.create_property("items", list).at("all")
        self.turns = 0  # of this process

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        text = turn_context.activity.text
        self.turns += 1
        await self.count.set(turn_context, (await self.count.get(turn_context) or 0) + 1)
        if text == "crash":
            raise RuntimeError("the bot has a bug")
        if text.startswith("+"):
            await self.items.update(turn_context, lambda items: [*items, text[1:]], default=[])
        name = await self.name.get(turn_context)
        if name is None:
            await self.name.set(turn_context, text)
            await turn_context.send_activity("What is your name?" if text == "Hi" else "Thanks")
            if text == "Hi":
                await self.name.delete(turn_context)
        else:
            await turn_context.send_activity(f"{name}, turn {self.turns}")

    async def on_members_added_activity(
        self, members_added: list[Any], turn_context: TurnContext
    ) -> None:
        await turn_context.send_activity(f"Welcome {', '.join(each.id for each in members_added)}")


@pytest.fixture
def make_bot() -> Callable[[StateScopes], Any]:
    return NameBot


async def test_a_conversation_reads_as_one(chat: Chat, remembered: Any) -> None:
    assert await chat.say("Hi") == ["What is your name?"]
    assert await chat.say("Ann") == ["Thanks"]
    assert await remembered("user", "name") == "Ann"
    assert await remembered("conversation") == {"count": 2}
    assert await remembered("user", "absent") is None


async def test_messages_at_once_lose_nothing(chat: Chat, remembered: Any) -> None:
    await chat.say("Ann")
    replies = await chat.at_once("one", "two", "three")
    assert [len(reply) for reply in replies] == [1, 1, 1]
    assert await remembered("conversation", "count") == 4


async def test_other_users_and_conversations_are_other_chats(chat: Chat, remembered: Any) -> None:
    await chat.say("Ann")
    bob = chat.as_user("bob").elsewhere("2")
    assert await bob.say("Bob") == ["Thanks"]
    assert await remembered("user", "name", user_id="bob") == "Bob"
    assert await chat.elsewhere("3").say("again") == ["Ann, turn 3"]
    assert await bob.elsewhere("2", channel="other").say("Bobby") == ["Thanks"]
    assert await chat.join() == ["Welcome ann"]
    assert await chat.join("bob", "eve") == ["Welcome bob, eve"]


async def test_a_restart_leaves_what_is_stored(chat: Chat) -> None:
    await chat.say("Ann")
    assert await chat.say("again") == ["Ann, turn 2"]
    chat.restart()
    assert await chat.say("again") == ["Ann, turn 1"]


async def test_time_is_the_clocks(chat: Chat, clock: ManualClock, remembered: Any) -> None:
    await chat.say("Ann")
    clock.advance(timedelta(hours=2))
    assert await chat.say("Hi") == ["What is your name?"]
    assert await remembered("user", "name") is None


async def test_shared_documents_are_read_by_id(chat: Chat, remembered: Any) -> None:
    await chat.at_once("+one", "+two")
    assert sorted(await remembered("shared", "items", at="all")) == ["one", "two"]


async def test_what_the_bot_raises_comes_out(chat: Chat, remembered: Any) -> None:
    with pytest.raises(RuntimeError):
        await chat.say("crash")
    assert await remembered("conversation", "count") is None


async def test_the_storage_counts(chat: Chat, state_storage: CountingStorage) -> None:
    await chat.say("Ann")
    assert state_storage.operations["put"] == 1  # the user and the conversation, in one step
    assert state_storage.keys_written["test/users/ann"] == 1


BOT_TEST = """
import pytest
pytest_plugins = ["botstate_ext.testing.plugin"]

@pytest.fixture
def make_bot():
    def make(states):
        async def on_turn(turn):
            await turn.send_activity(f"You said {turn.activity.text}")
        return on_turn
    return make

async def test_it(chat):
    await chat.say("Hello")
    chat.restart()
    assert await chat.say("Bye") == ["See you"]
"""


def test_a_test_that_fails_prints_its_conversation(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(BOT_TEST)
    result = pytester.runpytest_subprocess("-o", "asyncio_mode=auto")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*conversation with the bot*",
            "ann: Hello",
            "bot: You said Hello",
            "---: the bot was restarted",
            "ann: Bye",
            "bot: You said Bye",
        ]
    )


def test_the_pages_own_tests_pass(pytester: pytest.Pytester) -> None:
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    pytester.makepyfile(
        "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    )
    result = pytester.runpytest_subprocess("-o", "asyncio_mode=auto")
    result.assert_outcomes(passed=3)
