"""A bot that runs on the SDK's state adopts this package in the middle of a conversation, and goes
back. Nothing is lost and nothing is said differently, at whichever message it happens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import botbuilder.core as sdk
import jsonpickle
import pytest
from botbuilder.core import TurnContext, conversation_reference_extension
from botbuilder.core.adapters import TestAdapter

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext.storage import BlobStorage as OwnBlobStorage
from tests.adoption import bots
from tests.adoption.bots import NOTIFY, SCRIPTS, ProactiveBot, SampleBot
from tests.adoption.deployment import Package, close_upstream, settings_of
from tests.turns import message

pytest.importorskip("botbuilder.azure", reason="upstream's Blob adapter is not installed")

BOTS = sorted(SCRIPTS, key=lambda bot: bot.__name__)


class Deployment:
    """A process of a bot on Blob: everything of it is new, but for what is stored."""

    def __init__(self, bot: type[SampleBot], package: Package, settings: Any) -> None:
        from botbuilder.azure import BlobStorage

        self._storage = BlobStorage(settings)
        self._adapter = TestAdapter()
        self._states: StateScopes | None = None
        if package == "ours":
            states = self._states = StateScopes(self._storage, types=bot.types)
            self._adapter.use(StateMiddleware(states))
            self._bot = bot(states.conversation, states.user)
        else:
            self._bot = bot(sdk.ConversationState(self._storage), sdk.UserState(self._storage))

    async def turn(self, text: str) -> list[str]:
        """Take one turn. Return what the bot says in it."""
        activity, logic = message(text), self._bot.on_turn
        if text == NOTIFY:
            assert isinstance(self._bot, ProactiveBot)
            reference = TurnContext.get_conversation_reference(activity)
            activity = conversation_reference_extension.get_continuation_activity(reference)
            logic = self._bot.notify
        await self._adapter.run_pipeline(TurnContext(self._adapter, activity), logic)
        said = [activity.text for activity in self._adapter.activity_buffer]
        return [text for text in said if text]

    async def close(self) -> None:
        """End the process."""
        await close_upstream(self._storage)
        if self._states is not None:
            await self._states.aclose()


async def talk(bot: type[SampleBot], packages: Iterable[Package], settings: Any) -> list[list[str]]:
    """Say the bot's script, each message to a process with the package that its turn has."""
    said = []
    for text, package in zip(SCRIPTS[bot], packages, strict=True):
        deployment = Deployment(bot, package, settings)
        try:
            said.append(await deployment.turn(text))
        finally:
            await deployment.close()
    return said


def plans(length: int) -> Iterator[list[Package]]:
    """On the SDK, then on ours from some message on, and back at some later one."""
    for adopted in range(length):
        for back in range(adopted + 1, length + 1):
            yield ["ours" if adopted <= number < back else "sdk" for number in range(length)]


async def remembered(azurite: str, container: str) -> dict[str, Any]:
    """What the SDK reads of all that is stored, by key, as comparable JSON."""
    documents = {}
    storage = OwnBlobStorage(connection_string=azurite, container_name=container)
    async with storage:
        async for info in storage.list_items(""):
            item = await storage.get(info.key)
            assert item is not None
            values = jsonpickle.decode(item.data)  # noqa: S301 - what the SDK reads is the question
            values.pop("$state", None)
            values.pop("e_tag", None)
            documents[info.key] = json.loads(jsonpickle.encode(values, make_refs=False))
    return documents


def sampled(length: int) -> list[list[Package]]:
    """Two of the plans: to ours at the second message and back at the last but one; and at the
    middle, for good."""
    middle = length // 2
    ours: list[Package] = ["ours"] * (length - 2)
    before: list[Package] = ["sdk"] * middle
    after: list[Package] = ["ours"] * (length - middle)
    return [["sdk", *ours, "sdk"], [*before, *after]]


async def expected_of(bot: type[SampleBot], settings: Any) -> list[list[str]]:
    """Return what the bot says on the SDK alone."""
    expected = await talk(bot, ["sdk"] * len(SCRIPTS[bot]), settings)
    assert all(expected), "the bot answers each message"
    return expected


async def compare(
    bot: type[SampleBot], tried: Iterable[list[Package]], azurite: str, container: str
) -> int:
    """Try these plans, and compare each with the SDK's own run. Return the number of turns."""
    reference, turns = f"{container}-sdk", 0
    expected = await expected_of(bot, settings_of(azurite, reference))
    kept = await remembered(azurite, reference)
    for number, packages in enumerate(tried):
        copy = f"{container}-{number}"
        assert await talk(bot, packages, settings_of(azurite, copy)) == expected, packages
        assert await remembered(azurite, copy) == kept, packages
        turns += len(packages)
    return turns


@pytest.mark.blob
@pytest.mark.parametrize("bot", BOTS, ids=lambda bot: bot.__name__)
async def test_adopting_and_going_back_changes_nothing(
    bot: type[SampleBot], azurite: str, container_name: str
) -> None:
    length = len(SCRIPTS[bot])
    assert await compare(bot, sampled(length), azurite, container_name) == 2 * length


@pytest.mark.blob
@pytest.mark.slow
@pytest.mark.parametrize("bot", BOTS, ids=lambda bot: bot.__name__)
async def test_adopting_and_going_back_at_any_two_messages_changes_nothing(
    bot: type[SampleBot], azurite: str, container_name: str
) -> None:
    length = len(SCRIPTS[bot])
    tried = length * (length + 1) // 2
    assert await compare(bot, plans(length), azurite, container_name) == tried * length


@pytest.mark.blob
@pytest.mark.parametrize("bot", BOTS, ids=lambda bot: bot.__name__)
async def test_the_check_before_names_each_class_to_give(
    bot: type[SampleBot], azurite: str, container_name: str
) -> None:
    script = SCRIPTS[bot][: len(SCRIPTS[bot]) // 2]
    settings = settings_of(azurite, container_name)
    for text in script:
        deployment = Deployment(bot, "sdk", settings)
        try:
            await deployment.turn(text)
        finally:
            await deployment.close()
    async with OwnBlobStorage(connection_string=azurite, container_name=container_name) as storage:
        before = await StateScopes(storage).check_storage()
        missing = {name.rpartition(".")[2] for name in before.missing_types}
        assert {cls.__name__ for cls in bot.types} <= missing
        given = [getattr(bots, name) for name in missing]
        after = await StateScopes(storage, types=given).check_storage()
        assert after.is_readable
        assert after.missing_types == ()
        whole = await StateScopes(storage, types=[bots]).check_storage()
        assert whole.is_readable
