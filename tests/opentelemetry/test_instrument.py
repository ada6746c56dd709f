"""Spans and metrics, as the SDK of OpenTelemetry exports them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botbuilder.core import TurnContext
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_current_span

from botstate_ext import StateConflictError, StateMiddleware, StateScopes, StateStorageError
from botstate_ext.opentelemetry import instrument
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import FaultyStorage, ManualClock
from tests.turns import Bot, context, message

START = datetime(2024, 5, 6, tzinfo=timezone.utc)
PAGE = Path(__file__).parents[2] / "docs" / "telemetry.md"

Point = tuple[str, frozenset[tuple[str, Any]]]


class Telemetry:
    """What was exported."""

    def __init__(self) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self._reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))

    def spans(self) -> list[ReadableSpan]:
        """Return the finished spans in the order in which they ended."""
        return list(self._spans.get_finished_spans())

    def names(self) -> list[str]:
        return [span.name.removeprefix("botstate_ext.") for span in self.spans()]

    def points(self) -> dict[Point, Any]:
        """Return the sum, or the count of a histogram, of each metric and its attributes."""
        data = self._reader.get_metrics_data()
        return {
            (metric.name, frozenset((point.attributes or {}).items())): getattr(
                point, "value", getattr(point, "count", None)
            )
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }

    def value(self, name: str, **attributes: Any) -> Any:
        wanted = {f"botstate_ext.{key}": value for key, value in attributes.items()}
        return self.points().get((f"botstate_ext.{name}", frozenset(wanted.items())))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def memory(clock: ManualClock) -> MemoryStorage:
    return MemoryStorage(clock=clock)


@pytest.fixture
def storage(memory: MemoryStorage) -> FaultyStorage:
    return FaultyStorage(memory)


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def states(storage: FaultyStorage, clock: ManualClock, telemetry: Telemetry) -> StateScopes:
    states = StateScopes(storage, clock=clock)
    instrument(states, tracer_provider=telemetry.tracers, meter_provider=telemetry.meters)
    return states


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    return {key.removeprefix("botstate_ext."): v for key, v in (span.attributes or {}).items()}


async def test_a_turn(states: StateScopes, telemetry: Telemetry) -> None:
    name = states.user.create_property("name")
    inside = []

    async def logic(turn: TurnContext) -> None:
        inside.append(get_current_span().name)  # type: ignore[attr-defined]  # the SDK's has one
        await name.set(turn, "s3cret")

    await Bot(StateMiddleware(states)).turn(logic, message(user="s3cret"))
    assert telemetry.names() == ["load", "save", "turn"]
    load, save, turn = telemetry.spans()
    assert inside == ["botstate_ext.turn"]
    assert turn.context is not None
    assert {span.parent.span_id for span in (load, save) if span.parent} == {turn.context.span_id}
    assert attributes(turn) == {
        "outcome": "saved",
        "channel": "test",
        "cached": 0,
        "read": 2,
        "written": 1,
        "retries": 0,
        "conflicts": 0,
        "replays": 0,
    }
    kind = {"outcome": "saved", "channel": "test"}
    assert telemetry.value("turns", **kind) == 1
    assert telemetry.value("turn.duration", **kind) == 1
    for phase in ("wait", "load", "logic", "save"):
        assert telemetry.value("turn.phase.duration", **kind, phase=phase) == 1
    assert telemetry.value("documents.read", **kind) == 2
    assert telemetry.value("documents.written", **kind) == 1
    assert telemetry.value("conflicts", **kind) is None
    shown = [span.to_json() for span in telemetry.spans()]
    assert "s3cret" not in f"{shown}{telemetry.points()}"


async def test_a_conflict_that_is_merged_and_one_that_is_not(
    states: StateScopes, memory: MemoryStorage, telemetry: Telemetry
) -> None:
    mine, same = states.conversation.create_property("mine"), StateScopes(memory).conversation

    async def logic(turn: TurnContext) -> None:
        for name in turn.activity.text.split():
            await same.create_property(name).update(context(), lambda v: v + "x", default="")
        await mine.set(turn, turn.activity.text)

    bot = Bot(StateMiddleware(states))
    await bot.turn(logic, message("theirs"))
    with pytest.raises(StateConflictError):
        await bot.turn(logic, message("theirs mine"))
    assert telemetry.value("conflicts", outcome="saved", channel="test") == 1
    assert telemetry.value("retries", outcome="saved", channel="test") == 1
    assert telemetry.value("turns", outcome="conflict", channel="test") == 1
    failed = [span for span in telemetry.spans() if span.status.status_code is StatusCode.ERROR]
    assert [span.name for span in failed] == ["botstate_ext.save", "botstate_ext.turn"]
    for span in failed:
        assert span.status.description == "StateConflictError"
        assert attributes(span)["error.type"] == "StateConflictError"
        assert span.events == (), "an event would show the error's message, with its key"


async def test_a_replay(states: StateScopes, memory: MemoryStorage, telemetry: Telemetry) -> None:
    cart, others = states.conversation.create_property("cart"), StateScopes(memory).conversation
    attempts = iter("12")

    async def logic(turn: TurnContext) -> None:
        await cart.get(turn)
        if next(attempts) == "1":
            await others.create_property("cart").update(context(), lambda _: 1, default=0)
        await cart.set(turn, 2)

    await Bot(StateMiddleware(states, on_conflict="replay")).turn(logic)
    assert telemetry.names() == ["load", "save", "load", "save", "turn"]
    assert telemetry.value("replays", outcome="saved", channel="test") == 1
    assert attributes(telemetry.spans()[-1])["replays"] == 1


async def test_a_sweep(
    states: StateScopes, storage: FaultyStorage, clock: ManualClock, telemetry: Telemetry
) -> None:
    brief = states.user.create_property("brief", expires_after=timedelta(hours=1))
    async with states.unit_of_work(channel_id="test", user_id="user") as work:
        await brief.set(work, 1)
    clock.advance(timedelta(hours=2))
    await states.sweep(dry_run=True)
    await states.sweep()
    storage.fail("list")
    with pytest.raises(StateStorageError):
        await states.sweep()
    assert telemetry.names() == ["load", "save", "sweep", "sweep"]
    swept, failed = telemetry.spans()[2:]
    assert attributes(swept) == {
        "outcome": "complete",
        "seen": 1,
        "expired": 1,
        "removed": 1,
        "skipped": 0,
        "failed": 0,
        "handlers_run": 0,
    }
    assert failed.status.status_code is StatusCode.ERROR
    for outcome in ("complete", "failed"):
        assert telemetry.value("operations", operation="sweep", outcome=outcome) == 1
    assert telemetry.value("operation.duration", operation="sweep", outcome="complete") == 1
    assert telemetry.value("swept", result="removed") == 1


async def test_an_erasure_and_a_migration(states: StateScopes, telemetry: Telemetry) -> None:
    async with states.unit_of_work(channel_id="test", user_id="s3cret") as work:
        await states.user.set_state(work, "name", "Ann")
    await states.migrate()
    await states.erase_user("test", "s3cret")
    assert telemetry.names() == ["load", "save", "migration", "erasure"]
    for operation in ("migration", "erasure"):
        assert telemetry.value("operations", operation=operation, outcome="complete") == 1
    shown = [span.to_json() for span in telemetry.spans()]
    assert "s3cret" not in f"{shown}{telemetry.points()}"


async def test_nothing_is_made_before_it_is_called(telemetry: Telemetry) -> None:
    states = StateScopes(MemoryStorage())

    async def nothing(_: TurnContext) -> None: ...

    await Bot(StateMiddleware(states)).turn(nothing)
    assert (telemetry.spans(), telemetry.points()) == ([], {})
    instrument(states, tracer_provider=telemetry.tracers, meter_provider=telemetry.meters)
    await Bot(StateMiddleware(states)).turn(nothing)
    assert telemetry.names() == ["load", "save", "turn"]
    with pytest.raises(ValueError, match="call instrument\\(\\) once"):
        instrument(states)
    with pytest.raises(TypeError, match="takes a StateScopes"):
        instrument(StateScopes)  # type: ignore[arg-type]  # the mistake


async def test_the_page_lists_every_name(
    states: StateScopes, storage: FaultyStorage, telemetry: Telemetry, clock: ManualClock
) -> None:
    brief = states.user.create_property("brief", expires_after=timedelta(hours=1))

    async def logic(turn: TurnContext) -> None:
        await brief.set(turn, 1)

    await Bot(StateMiddleware(states)).turn(logic)
    clock.advance(timedelta(hours=2))
    await states.sweep()
    await states.migrate()
    await states.erase_user("test", "user")
    page = PAGE.read_text()
    listed = set(re.findall(r"`(botstate_ext\.[a-z_.]+)`", page))
    metrics = {name for name, _ in telemetry.points()}
    keys = {key for _, labels in telemetry.points() for key, _ in labels}
    keys |= {key for span in telemetry.spans() for key in span.attributes or {}}
    assert {span.name for span in telemetry.spans()} | metrics | keys <= listed
