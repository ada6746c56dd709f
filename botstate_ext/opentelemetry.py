"""Spans and metrics of turns, sweeps, erasures and migrations, for OpenTelemetry.

Needs the ``opentelemetry`` extra, which is the API only: the app chooses an SDK and exporters.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from typing import Any, Final

from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import INVALID_SPAN, Span, Status, StatusCode, TracerProvider, get_tracer

from .documents.merge import OnConflict
from .maintenance.migration import MigrationReport
from .maintenance.sweep import SweepReport
from .privacy.erasure import ErasureReport
from .states.observers import Operation
from .states.state_scopes import StateScopes
from .states.turn_meter import TurnMeter
from .states.turn_report import TurnReport
from .states.turn_session import TurnSession

__all__ = ["instrument"]

_NAME: Final = "botstate_ext"
_current: Final[ContextVar[Span]] = ContextVar("botstate_ext.span", default=INVALID_SPAN)


def instrument(
    states: StateScopes,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Make spans and metrics of what is done with ``states`` from now on.

    Example: ``instrument(states)``, once, when the bot starts. docs/telemetry.md lists the names.

    No name, attribute or status holds an id, a key or a value: metrics are by outcome and channel.

    ``tracer_provider``, ``meter_provider``: None: the global ones.

    :raises TypeError: ``states`` is not a `StateScopes`.
    :raises ValueError: ``states`` is instrumented already.
    """
    if not isinstance(states, StateScopes):
        raise TypeError(f"instrument() takes a StateScopes, not {type(states).__name__}.")
    observers = states._observers
    if observers.around is not None:
        raise ValueError("These states are instrumented already: call instrument() once.")
    spans = _Spans(tracer_provider)
    metrics = _Metrics(meter_provider)
    observers.session, observers.around = spans.session, spans.around
    observers.on_failure = metrics.failed
    states.on_turn(metrics.turn)
    states.on_sweep(metrics.sweep)
    states.on_erasure(metrics.erasure)
    states.on_migration(metrics.migration)


class _Spans:
    """Opens the spans. While one is open, spans of the bot and of drivers are inside of it."""

    def __init__(self, provider: TracerProvider | None) -> None:
        self._tracer = get_tracer(_NAME, version("botstate-ext"), provider)

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        # An exception's message may name a key, and so a user: only its class is noted.
        with self._tracer.start_as_current_span(
            f"{_NAME}.{name}", record_exception=False, set_status_on_exception=False
        ) as span:
            token = _current.set(span)
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise
            finally:
                _current.reset(token)

    def session(
        self,
        states: StateScopes,
        turn: Any,
        on_conflict: OnConflict,
        meter: TurnMeter | None = None,
    ) -> TurnSession:
        return _TracedSession(self, states, turn, on_conflict, meter)


class _TracedSession(TurnSession):
    """A turn's session with a span around its load and one around its save."""

    def __init__(self, spans: _Spans, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._spans = spans

    async def load(self, *, warm: bool = False) -> None:
        with self._spans.around("load"):
            await super().load(warm=warm)

    async def save(self) -> None:
        with self._spans.around("save"):
            await super().save()


class _Metrics:
    """Counts and times what is reported. Also notes it on the span that is open."""

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = get_meter(_NAME, version("botstate-ext"), provider)
        self._turns = meter.create_counter(
            f"{_NAME}.turns", "{turn}", "Turns, by outcome and channel"
        )
        self._seconds = meter.create_histogram(
            f"{_NAME}.turn.duration", "s", "Seconds of a turn, by outcome and channel"
        )
        self._phases = meter.create_histogram(
            f"{_NAME}.turn.phase.duration", "s", "Seconds of a turn in each phase"
        )
        self._counters = {
            name: meter.create_counter(f"{_NAME}.{title}", unit, text)
            for name, title, unit, text in _COUNTERS
        }
        self._operations = meter.create_counter(
            f"{_NAME}.operations", "{operation}", "Sweeps, erasures and migrations, by outcome"
        )
        self._operation_seconds = meter.create_histogram(
            f"{_NAME}.operation.duration", "s", "Seconds of a sweep, an erasure or a migration"
        )
        self._swept = meter.create_counter(
            f"{_NAME}.swept", "{property}", "Expired properties that a sweep met, by result"
        )

    def turn(self, report: TurnReport) -> None:
        kind = {_OUTCOME: report.outcome, _CHANNEL: report.channel or "none"}
        self._turns.add(1, kind)
        self._seconds.record(report.seconds, kind)
        for phase in ("wait", "load", "logic", "save"):
            self._phases.record(getattr(report, phase), {**kind, _PHASE: phase})
        noted: dict[str, Any] = dict(kind)
        for name, counter in self._counters.items():
            number = noted[f"{_NAME}.{name}"] = getattr(report, name)
            if number:
                counter.add(number, kind)
        _current.get().set_attributes(noted)

    def sweep(self, report: SweepReport) -> None:
        self._done("sweep", is_complete=not report.failed, seconds=report.seconds)
        for result in ("removed", "skipped", "failed"):
            self._swept.add(getattr(report, result), {f"{_NAME}.result": result})
        numbers = ("seen", "expired", "removed", "skipped", "failed", "handlers_run")
        _current.get().set_attributes({f"{_NAME}.{n}": getattr(report, n) for n in numbers})

    def erasure(self, report: ErasureReport) -> None:
        self._done("erasure", is_complete=report.complete, seconds=report.seconds)
        numbers = {"removed": len(report.removed), "failed": len(report.failed)}
        _current.get().set_attributes({f"{_NAME}.{n}": number for n, number in numbers.items()})

    def migration(self, report: MigrationReport) -> None:
        self._done("migration", is_complete=not report.failed, seconds=report.seconds)
        numbers = ("seen", "rewritten", "unchanged", "others", "failed")
        _current.get().set_attributes({f"{_NAME}.{n}": getattr(report, n) for n in numbers})

    def failed(self, operation: Operation) -> None:
        """Count an operation that raised, and so has no report."""
        self._operations.add(1, {_OPERATION: operation, _OUTCOME: "failed"})

    def _done(self, operation: Operation, *, is_complete: bool, seconds: float) -> None:
        outcome = "complete" if is_complete else "incomplete"
        kind = {_OPERATION: operation, _OUTCOME: outcome}
        self._operations.add(1, kind)
        self._operation_seconds.record(seconds, kind)
        _current.get().set_attribute(_OUTCOME, outcome)


_OUTCOME: Final = f"{_NAME}.outcome"
_CHANNEL: Final = f"{_NAME}.channel"
_PHASE: Final = f"{_NAME}.phase"
_OPERATION: Final = f"{_NAME}.operation"
# The field of a TurnReport; the metric, its unit and what it counts.
_COUNTERS: Final = (
    ("read", "documents.read", "{document}", "Documents that turns asked of the storage"),
    ("cached", "documents.cached", "{document}", "Documents that turns began with from the cache"),
    ("written", "documents.written", "{document}", "Documents that turns wrote or removed"),
    ("retries", "retries", "{write}", "Writes that turns made again"),
    ("conflicts", "conflicts", "{document}", "Documents that another writer had changed"),
    ("replays", "replays", "{turn}", "How often turns ran again"),
)
