"""ReportHandlers: calls the handlers of ``on_turn``, ``on_sweep`` and their like."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from ..storage.waiting import handler_result

R = TypeVar("R")

_log: Final = logging.getLogger("botstate_ext")


class ReportHandlers(Generic[R]):
    """The handlers of one kind of report, in the order in which they were added.

    ``name``: of the method that adds them, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.handlers: list[Callable[[R], Any]] = []

    def add(self, handler: Callable[[R], Any]) -> None:
        """Add a handler, which may be async."""
        self.handlers.append(handler)

    async def emit(self, report: R) -> None:
        """Call each handler with the report. Logs a handler that fails, and calls the others."""
        for handler in self.handlers:
            try:
                result = handler(report)
                if result is not None:
                    await handler_result(result)
            except Exception:  # noqa: BLE001, PERF203 - one that only watches must not end the work
                _log.exception(
                    "A handler of %s failed. The reported work is not affected.", self._name
                )
