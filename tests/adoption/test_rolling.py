"""A rolling deploy: two versions of a class, on the SDK and on this package, answer one
conversation in turn."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import botbuilder.core as sdk
import jsonpickle
import pytest
from botbuilder.core import TurnContext
from botbuilder.core.adapters import TestAdapter

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext.storage import BlobStorage as OwnBlobStorage
from tests.adoption import versions
from tests.adoption.deployment import Package, close_upstream, settings_of
from tests.turns import message

pytest.importorskip("botbuilder.azure", reason="upstream's Blob adapter is not installed")

TURNS = 200


class Kind(NamedTuple):
    package: Package
    version: int


KINDS = [Kind(package, version) for package in ("sdk", "ours") for version in (1, 2)]


class Instance:
    """A process of the bot, with its package and its version of the classes."""

    def __init__(self, kind: Kind, settings: Any) -> None:
        from botbuilder.azure import BlobStorage

        self.kind = kind
        versions.run(kind.version)
        self._storage = BlobStorage(settings)
        self._adapter = TestAdapter()
        self._states: StateScopes | None = None
        if kind.package == "ours":
            # As in the first weeks: what the SDK must read has tags.
            self._states = StateScopes(self._storage, types=[versions], write_type_tags=True)
            self._adapter.use(StateMiddleware(self._states))
            state: Any = self._states.conversation
            self.declared = state.create_property("declared", versions.Log)
        else:
            state = sdk.ConversationState(self._storage)
            self._adapter.use(sdk.AutoSaveStateMiddleware([state]))
            self.declared = state.create_property("declared")
        self.hinted = state.create_property("hinted")
        self.untyped = state.create_property("untyped")

    async def turn(self, number: int) -> None:
        versions.run(self.kind.version)

        async def logic(turn: TurnContext) -> None:
            for accessor in (self.hinted, self.declared):
                (await accessor.get(turn, versions.Log)).take(number)
            held = await self.untyped.get(turn, dict)
            held.setdefault("log", versions.Log()).take(number)
            held[str(number)] = list(self.kind)

        context = TurnContext(self._adapter, message(str(number)))
        await self._adapter.run_pipeline(context, logic)

    async def close(self) -> None:
        await close_upstream(self._storage)
        if self._states is not None:
            await self._states.aclose()


async def stored(azurite: str, container: str) -> dict[str, Any]:
    """Return the conversation's document as the SDK reads it, with the newer classes."""
    versions.run(2)
    async with OwnBlobStorage(connection_string=azurite, container_name=container) as storage:
        item = await storage.get("test/conversations/conv")
    assert item is not None
    return dict(jsonpickle.decode(item.data))  # noqa: S301 - what the SDK reads is the question


@pytest.mark.blob
@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_two_versions_on_both_packages_lose_nothing(
    azurite: str, container_name: str, seed: int
) -> None:
    settings = settings_of(azurite, container_name)
    instances = [Instance(kind, settings) for kind in KINDS]
    order = random.Random(seed)
    took = [order.choice(instances) for _ in range(TURNS)]
    try:
        for number, instance in enumerate(took):
            await instance.turn(number)
    finally:
        for instance in instances:
            await instance.close()
    document = await stored(azurite, container_name)
    untyped = document["untyped"]
    log, item = versions.Log, versions.Item
    by_new = sum(instance.kind.version == 2 for instance in took)
    assert 0 < by_new < TURNS
    for value in (document["hinted"], document["declared"], untyped.pop("log")):
        assert type(value) is log
        assert value.turns == list(range(TURNS))
        assert value.seen_by_new == by_new
        assert all(type(each) is item for each in value.items)
        assert [each.number for each in value.items] == list(range(0, TURNS, 5))
        for each in value.items:
            is_new = took[each.number].kind.version == 2
            assert getattr(each, "grams", None) == (each.number * 10 if is_new else None)
    assert untyped == {str(number): list(each.kind) for number, each in enumerate(took)}
