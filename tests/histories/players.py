"""Turns of the simulation: what they do is drawn beforehand, and noted while they do it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final, Literal, TypeAlias

from botstate_ext import DocumentCache, StateConflictError, StateStorageError, TurnReport
from botstate_ext.storage import StateStorage
from tests.turns import (
    Activity,
    ChannelAccount,
    ConversationAccount,
    ResourceResponse,
    StateMiddleware,
    StateScopes,
    TestAdapter,
    TurnContext,
)

from .history import PROPERTIES, History, Mark, Outcome, Read, running_turn

Action: TypeAlias = Literal["read", "append", "update", "save", "delete", "say", "wait"]
ACTIONS: Final[tuple[Action, ...]] = ("read", "append", "update", "save", "delete", "say", "wait")
WEIGHTS: Final = (3, 6, 3, 1, 0.4, 1, 1)
REPLAY: Final[dict[str, Any]] = {"on_conflict": "replay"}
MODES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"on_conflict": "raise"},
    {"replies": "after_save"},
    REPLAY,
    REPLAY,
)


class Step:
    """One thing that a turn does."""

    def __init__(self, random: Random) -> None:
        self.action: Action = random.choices(ACTIONS, WEIGHTS)[0]
        self.document = random.choice(("conversation", "user", "shared"))
        self.property = random.choice(PROPERTIES)
        self.seconds = random.expovariate(1 / 0.05)


class SilentChannel(TestAdapter):
    """Notes what is sent, which takes a while."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history

    async def send_activities(
        self, context: TurnContext, activities: list[Activity]
    ) -> list[ResourceResponse]:
        await asyncio.sleep(0.01)
        self._history.said[running_turn.get()] += [activity.text for activity in activities]
        return [ResourceResponse(id="1") for _ in activities]


class Process:
    """One instance of the bot."""

    def __init__(
        self,
        name: str,
        storage: StateStorage,
        history: History,
        clock: Any,
        cache: DocumentCache | None = None,
    ) -> None:
        self.name, self.history = name, history
        self.states = StateScopes(storage, clock=clock, cache=cache)
        self.channel = SilentChannel(history)
        self.modes = MODES
        self.has_cache = cache is not None
        if cache is not None:
            self.states.on_turn(self._count_cached)
            if not cache.sticky:
                self.modes = (REPLAY,) * len(MODES)
        # The history is that of turns which do race: nothing keeps them apart.
        self.middlewares = [
            StateMiddleware(self.states, serialize_turns=False, **mode) for mode in self.modes
        ]
        self._properties = {
            (document, name): getattr(self.states, document).create_property(
                name, list[str], merge="append" if name == "log" else None
            )
            for document in ("conversation", "user", "shared")
            for name in PROPERTIES
        }

    def _count_cached(self, report: TurnReport) -> None:
        self.history.cached += report.cached

    def property(self, step: Step) -> Any:
        found = self._properties[step.document, step.property]
        return found.at("1") if step.document == "shared" else found

    def scope(self, step: Step) -> Any:
        found = getattr(self.states, step.document)
        return found.at("1") if step.document == "shared" else found


@dataclass
class Plan:
    """Who speaks where, and what the bot does about it."""

    user: str
    conversation: str
    mode: int
    steps: list[Step]

    @classmethod
    def drawn(cls, random: Random, conversations: Sequence[str]) -> Plan:
        return cls(
            user=random.choice(("u1", "u2")),
            conversation=random.choice(conversations),
            mode=random.randrange(len(MODES)),
            steps=[Step(random) for _ in range(random.randint(1, 4))],
        )


class Turn:
    """One turn, from its activity to its end."""

    def __init__(self, name: str, process: Process, plan: Plan) -> None:
        self._name, self._process, self._plan = name, process, plan
        self._history = process.history
        self._mode = process.modes[plan.mode]
        self._replays = self._mode.get("on_conflict") == "replay"
        self._may_be_stale = self._replays and process.has_cache
        """What an attempt saw that was given up, or that failed, nobody has compared."""
        self._begin()

    def _begin(self) -> None:
        self._since = self._history.now()
        self._reads: list[Read] = []
        self._marks: list[Mark] = []
        self._unsaved: list[Mark] = []
        self._words: list[str] = []
        self._is_saving = False

    async def run(self) -> None:
        running_turn.set(self._name)
        plan = self._plan
        activity = Activity(
            type="message",
            channel_id="test",
            service_url="http://localhost",
            from_property=ChannelAccount(id=plan.user),
            recipient=ChannelAccount(id="bot"),
            conversation=ConversationAccount(id=plan.conversation),
        )
        context = TurnContext(self._process.channel, activity)
        middleware = self._process.middlewares[plan.mode]
        outcome: Outcome = "failed"
        try:
            await middleware.on_turn(context, lambda *_: self._logic(context))
            outcome = "done"
        except StateConflictError as error:
            # One document lost its race; what became of another, the error may not know.
            sure = self._replays or self._writes_one() or not self._is_saving
            self._conclude(error.saved, otherwise="failed" if sure else "unknown")
        except StateStorageError as error:
            sure = not error.maybe_written and (self._replays or self._writes_one())
            sure = sure or not self._is_saving
            self._conclude(error.saved if sure else (), otherwise="failed" if sure else "unknown")
        else:
            self._conclude((), otherwise="done")
            # They are as they were when they were compared, at the end.
            end = self._history.now()
            self._history.reads += (replace(read, at=end) for read in self._reads)
        if self._mode.get("replies") == "after_save" or self._replays:
            self._history.meant_to_say[self._name] = (outcome, self._words)

    async def _logic(self, context: TurnContext) -> None:
        for mark in self._marks:
            mark.outcome = "failed"  # of an attempt that was given up
        since = self._since
        self._begin()
        self._since = since
        for step in self._plan.steps:
            await getattr(self, f"_{step.action}")(context, step)
        self._is_saving = True

    async def _read(self, context: TurnContext, step: Step, default: Any = None) -> Any:
        # No default where nothing is appended: it would be stored.
        value = await self._process.property(step).get(context, default)
        place = self._place(context, step)
        reads = self._reads if self._may_be_stale else self._history.reads
        reads.append(Read(self._name, place, tuple(value or ()), self._since, self._history.now()))
        return value

    async def _append(self, context: TurnContext, step: Step) -> None:
        value = await self._read(context, step, list)
        mark = self._mark(context, step)
        self._unsaved.append(mark)
        value.append(mark.name)

    async def _update(self, context: TurnContext, step: Step) -> None:
        mark = self._mark(context, step)
        try:
            await self._process.property(step).update(
                context, lambda value: value.append(mark.name), default=list
            )
        except StateConflictError:
            mark.outcome = "failed"  # the turn has changes to it which it did not save
        except StateStorageError as error:
            mark.outcome = "unknown" if error.maybe_written else "failed"
            raise
        else:
            self._saved([mark])

    async def _save(self, context: TurnContext, step: Step) -> None:
        key = self._place(context, step)[0]
        saved = [mark for mark in self._unsaved if mark.place[0] == key]
        others = [mark for mark in self._unsaved if mark.place[0] != key]
        if not self._replays:
            for mark in others:
                mark.outcome = "failed"  # if this save fails; the turn's own save may yet come
            self._unsaved, self._is_saving = saved, True
        await self._process.scope(step).save_changes(context)
        self._is_saving = False
        for mark in others:
            mark.outcome = "running"
        self._unsaved = others
        self._saved(saved)

    async def _delete(self, context: TurnContext, step: Step) -> None:
        key = self._place(context, step)[0]
        self._history.deletions[self._name, key] = "staged" if self._replays else "at once"
        for mark in self._marks:
            if mark.place[0] == key and mark.outcome == "running":
                mark.outcome = "failed"
        self._unsaved = [mark for mark in self._unsaved if mark.place[0] != key]
        await self._process.scope(step).delete(context)

    async def _say(self, context: TurnContext, step: Step) -> None:
        word = f"{self._name} says {len(self._words)} after {len(self._history.marks)}"
        self._words.append(word)
        await context.send_activity(word)

    async def _wait(self, context: TurnContext, step: Step) -> None:
        await asyncio.sleep(step.seconds)

    def _place(self, context: TurnContext, step: Step) -> tuple[str, str]:
        return self._process.scope(step).get_storage_key(context), step.property

    def _mark(self, context: TurnContext, step: Step) -> Mark:
        mark = self._history.new_mark(self._name, self._place(context, step))
        self._marks.append(mark)
        return mark

    def _saved(self, marks: list[Mark]) -> None:
        if self._replays:
            self._unsaved += marks  # it is all committed at the end
        else:
            for mark in marks:
                self._history.acknowledge(mark)

    def _writes_one(self) -> bool:
        return len({mark.place[0] for mark in self._unsaved}) <= 1

    def _conclude(self, saved: tuple[str, ...], *, otherwise: Outcome) -> None:
        for mark in self._marks:
            if mark.outcome != "running":
                continue
            if otherwise == "done" or mark.place[0] in saved:
                self._history.acknowledge(mark)
            else:
                mark.outcome = otherwise
