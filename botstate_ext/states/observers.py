"""Observers: the handlers of a `StateScopes` for reports, and its tracer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from .report_handlers import ReportHandlers
from .turn_session import OpenSession, TurnSession

if TYPE_CHECKING:
    from ..maintenance.migration import MigrationReport
    from ..maintenance.sweep import SweepReport
    from ..privacy.erasure import ErasureReport
    from .turn_report import TurnReport

R = TypeVar("R")

Operation: TypeAlias = Literal["turn", "sweep", "erasure", "migration"]


class Observers:
    """Holds the handlers of each kind of report.

    - ``around``: ``(operation) -> context manager`` in which it and its handlers run, or None.
    - ``session``: makes the session of a turn, or of a unit of work.
    - ``on_failure``: called with the name of an operation that raised, and so has no report.
    """

    def __init__(self) -> None:
        self.around: Callable[[Operation], AbstractContextManager[Any]] | None = None
        self.session: OpenSession = TurnSession
        self.on_failure: Callable[[Operation], None] | None = None
        self.turn: ReportHandlers[TurnReport] = ReportHandlers("on_turn")
        self.sweep: ReportHandlers[SweepReport] = ReportHandlers("on_sweep")
        self.erasure: ReportHandlers[ErasureReport] = ReportHandlers("on_erasure")
        self.migration: ReportHandlers[MigrationReport] = ReportHandlers("on_migration")

    async def observed(self, operation: Operation, run: Awaitable[R], *, dry_run: bool) -> R:
        """Run an operation and return its report. Its handlers are called, except after a dry run.

        Raises what the operation raises; then no handler is called.
        """
        if dry_run:
            return await run
        with nullcontext() if self.around is None else self.around(operation):
            try:
                report = await run
            except BaseException:
                if self.on_failure is not None:
                    self.on_failure(operation)
                raise
            handlers: ReportHandlers[R] = getattr(self, operation)
            await handlers.emit(report)
        return report
