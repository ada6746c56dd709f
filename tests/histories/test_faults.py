"""Every operation of a turn fails in turn, or loses its answer: what is stored then is either the
old or the new, the error says which, and the next turn works."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest

from botstate_ext import StateError, StateStorageError
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import CountingStorage, FaultyStorage
from tests.backends import OneByOne
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context

MODES: list[dict[str, Any]] = [
    {},
    {"on_conflict": "raise"},
    {"on_conflict": "last_writer_wins"},
    {"replies": "after_save"},
    {"on_error": "save"},
    {"on_conflict": "replay"},
]
KEYS = {
    "conversation": "test/conversations/conv",
    "user": "test/users/user",
    "shared": "shared/1",
}


@dataclass
class Ended:
    """How a turn ended."""

    error: Exception | None
    said: list[str]


class Subject:
    """A bot whose turn appends to a conversation, a user and, by ``update()``, a shared order."""

    def __init__(self, mode: dict[str, Any], *, in_one_step: bool) -> None:
        self.memory, self.in_one_step = MemoryStorage(), in_one_step
        self.faulty = FaultyStorage(self.memory if in_one_step else OneByOne(self.memory))
        self.storage = CountingStorage(self.faulty)
        self.mode = mode

    async def turn(self, item: str) -> Ended:
        # A new instance each time: nothing is carried over but what is stored.
        states = StateScopes(self.storage)
        bot = Bot(StateMiddleware(states, **self.mode))
        errors: list[Exception] = []

        async def logic(turn: TurnContext) -> None:
            for scope in (states.conversation, states.user):
                (await scope.create_property("items").get(turn, list)).append(item)
            order = states.shared.create_property("items").at("1")
            await order.update(turn, lambda items: items.append(item), default=list)
            await turn.send_activity(item)

        async def on_error(turn: TurnContext, error: Exception) -> None:
            errors.append(error)

        bot.adapter.on_turn_error = on_error
        await bot.turn(logic)
        return Ended(errors[0] if errors else None, [a.text for a in bot.adapter.activity_buffer])

    async def stored(self) -> dict[str, list[str]]:
        states = StateScopes(self.memory)
        found = {}
        for name, scope in (
            ("conversation", states.conversation),
            ("user", states.user),
            ("shared", states.shared.at("1")),
        ):
            found[name] = await scope.create_property("items").get(context()) or []
        return found


async def check(subject: Subject, ended: Ended) -> None:
    """After a turn that appended "new" to what held "old"."""
    error, stored = ended.error, await subject.stored()
    assert all(items in (["old"], ["old", "new"]) for items in stored.values()), stored
    if error is None:
        assert all(items == ["old", "new"] for items in stored.values()), stored
        assert ended.said == ["new"]
        return
    assert isinstance(error, StateError), error
    assert isinstance(error, StateStorageError)
    for name, key in KEYS.items():
        if key in error.saved:
            assert stored[name] == ["old", "new"]
        if key in error.not_saved and not error.maybe_written:
            assert stored[name] == ["old"]
    if subject.in_one_step:  # `update` of the shared order is a step of its own
        assert stored["conversation"] == stored["user"]
        assert not ({KEYS["conversation"], KEYS["user"]} & {*error.saved}) or not error.not_saved
    if subject.mode.get("on_conflict") == "replay":
        assert all(items == ["old"] for items in stored.values()), stored
    if subject.mode.get("replies") == "after_save" or subject.mode.get("on_conflict") == "replay":
        assert ended.said == []


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("fault", ["fail", "lose_answer"])
@pytest.mark.parametrize("in_one_step", [True, False])
async def test_each_operation_of_a_turn_in_turn(
    mode: dict[str, Any], fault: str, in_one_step: bool
) -> None:
    reached = 0
    for at in itertools.count(1):
        subject = Subject(mode, in_one_step=in_one_step)
        assert (await subject.turn("old")).error is None
        subject.storage.reset()
        getattr(subject.faulty, fault)(None, at=at)
        ended = await subject.turn("new")
        await check(subject, ended)
        if subject.storage.operations.total() < at:
            break  # the turn has no operation as late as that
        reached += 1
        before = await subject.stored()
        assert (await subject.turn("next")).error is None
        after = await subject.stored()
        assert after == {name: [*items, "next"] for name, items in before.items()}
    assert reached >= (2 if in_one_step and mode.get("on_conflict") == "replay" else 4)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_lost_answer_is_recognised_although_others_wrote_since(
    mode: dict[str, Any], at: int
) -> None:
    """The turn's three writes, each in turn; another writer comes before it can look."""
    subject = Subject(mode, in_one_step=False)
    await subject.turn("old")
    subject.faulty.lose_answer("put", at=at)
    put_if = subject.memory.put_if
    others = StateScopes(subject.memory)
    puts = itertools.count(1)

    async def followed(*arguments: Any, **options: Any) -> str:
        etag = await put_if(*arguments, **options)
        if next(puts) == at:
            subject.memory.put_if = put_if  # type: ignore[method-assign]
            for scope in (others.conversation, others.user, others.shared.at("1")):
                prop = scope.create_property("others")
                await prop.update(context(), lambda value: value + 1, default=0)
        return etag

    subject.memory.put_if = followed  # type: ignore[method-assign]
    ended = await subject.turn("new")
    stored = await subject.stored()
    assert all(items.count("new") <= 1 for items in stored.values()), stored
    if mode.get("on_conflict") not in ("raise", "replay"):
        assert ended.error is None
        assert all(items[-1] == "new" for items in stored.values()), stored
    shared = others.shared.at("1").create_property("others")
    assert await shared.get(context()) == 1
    await subject.turn("next")
    assert all(items[-1] == "next" for items in (await subject.stored()).values())
