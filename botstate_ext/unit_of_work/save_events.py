"""SavedState: what was written, and telling it to the handlers of ``states.on_saved``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, TypeAlias

from ..documents.merge import differ
from ..documents.pending_writes import Changes, PendingWrite
from ..serialization import json_text, jsonpickle
from ..storage.waiting import call_handler

_log: Final = logging.getLogger("botstate_ext")
_is_telling: Final[ContextVar[bool]] = ContextVar("botstate_ext.is_telling", default=False)


@dataclass(frozen=True, slots=True)
class SavedState:
    """A document that was written, or removed.

    - ``scope``, ``key``: which one.
    - ``properties``: the names of those that were given another value or removed, in order;
      what had expired and was taken out by this write is among them. Empty where only times, tags
      or the like were written, and where a document was removed without being read.
    - ``etag_before``: what was replaced; None if nothing was there, or it is not known.
    - ``etag``: what is stored now; None if the document was removed, or if someone else had written
      it again before this write was known to have arrived.
    - ``is_removed``: the whole document is gone.
    - ``values``: of the handlers that asked for them, what these properties are now, as plain JSON,
      without those that were removed; None for any other. Not shown.
    """

    scope: str
    key: str
    properties: tuple[str, ...]
    etag_before: str | None
    etag: str | None
    is_removed: bool
    values: Mapping[str, Any] | None = field(default=None, repr=False)


SaveHandler: TypeAlias = Callable[[SavedState], Any]
"""Called after a write; may be async."""


class DocumentLocation(NamedTuple):
    """Which document."""

    scope: str
    key: str


@dataclass(frozen=True, slots=True)
class WriteEvent:
    """A write, with the texts that it stored; None for what it removed."""

    location: DocumentLocation
    changes: Changes = field(repr=False)
    etag_before: str | None
    etag: str | None
    is_removed: bool

    @classmethod
    def of(
        cls,
        location: DocumentLocation,
        before: Mapping[str, bytes],
        after: Mapping[str, bytes],
        **etags: Any,
    ) -> WriteEvent:
        """A write that made the one of the other."""
        names = sorted({*before, *after})
        pairs = ((name, before.get(name), after.get(name)) for name in names)
        return cls(location, {n: new for n, old, new in pairs if differ(old, new)}, **etags)

    @classmethod
    def late(
        cls, location: DocumentLocation, attempt: PendingWrite, etag: str | None, last: str | None
    ) -> WriteEvent:
        """A write that is found to be stored: the document is under ``etag`` now, and ``last``
        wrote it."""
        is_last = attempt.write_id == last
        return cls(
            location,
            attempt.changes,
            etag_before=attempt.etag,
            etag=etag if is_last else None,
            is_removed=attempt.removes,
        )

    def then(self, later: WriteEvent) -> WriteEvent:
        """This write and a later one of the same document, as one."""
        return replace(
            later, changes={**self.changes, **later.changes}, etag_before=self.etag_before
        )

    def state(self, *, with_values: bool) -> SavedState:
        """What a handler is given."""
        values = None
        if with_values:
            texts = self.changes.items()
            values = {name: _plain(text) for name, text in texts if text is not None}
        return SavedState(
            scope=self.location.scope,
            key=self.location.key,
            properties=tuple(sorted(self.changes)),
            etag_before=self.etag_before,
            etag=self.etag,
            is_removed=self.is_removed,
            values=values,
        )


class SaveHandlers:
    """Who is told, and whether with values."""

    def __init__(self) -> None:
        self._handlers: list[tuple[SaveHandler, bool]] = []

    def add(self, handler: SaveHandler, *, values: bool) -> None:
        """One more. They are called in the order in which they were added."""
        self._handlers.append((handler, values))

    @property
    def has_listeners(self) -> bool:
        """False when nobody wants to know: nor does what a handler itself saves go to handlers,
        which would never end."""
        return bool(self._handlers) and not _is_telling.get()

    async def emit(self, writes: Iterable[WriteEvent]) -> None:
        """Call each of them with each write. One that raises is logged, and changes nothing."""
        token = _is_telling.set(True)
        try:
            for written in writes:
                for handler, with_values in self._handlers:
                    await _call(handler, written, with_values=with_values)
        finally:
            _is_telling.reset(token)


async def _call(handler: SaveHandler, written: WriteEvent, *, with_values: bool) -> None:
    try:
        await call_handler(handler, written.state(with_values=with_values))
    except Exception:  # noqa: BLE001 - what was saved is saved, whoever cannot hear of it
        _log.exception(
            "A handler of on_saved failed (scope %r, key %r). The state is saved.",
            *written.location,
        )


class PendingEvents:
    """What one unit of work has written, and nobody was told of yet."""

    def __init__(self, handlers: SaveHandlers) -> None:
        self.handlers = handlers
        self._writes: list[WriteEvent] = []

    def add(self, *writes: WriteEvent) -> None:
        """To be told."""
        self._writes += writes

    def take(self) -> list[WriteEvent]:
        """What is to be told, in order, each once."""
        writes, self._writes = self._writes, []
        return writes

    async def emit(self) -> None:
        """Tell all of it."""
        if self._writes:
            await self.handlers.emit(self.take())


def _plain(text: bytes) -> Any:
    value = json_text.loads(text)
    return jsonpickle.to_plain(value) if jsonpickle.has_tags(text) else value
