"""SavedState: the argument of ``states.on_saved`` handlers, and the events behind it."""

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
_is_emitting: Final[ContextVar[bool]] = ContextVar("botstate_ext.is_emitting", default=False)


@dataclass(frozen=True, slots=True)
class SavedState:
    """Describes one write or removal of a document.

    - ``scope``, ``key``: the document.
    - ``properties``: the sorted names of the properties with a new value, and of the removed ones.
      Expired properties that this write removed are among them. Empty if only times, tags or the
      like were written, or if a document was removed without being read.
    - ``etag_before``: the replaced ETag; None if the document was absent, or if it is not known.
    - ``etag``: the new ETag. None if the document was removed. None also if another writer wrote it
      again before this write was known to be stored.
    - ``is_removed``: True if the whole document was removed.
    - ``values``: for handlers with ``values=True``, the new values of these properties as plain
      JSON, without the removed ones; None for other handlers. Not shown in the repr.
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
    """Names a document by its scope and its key."""

    scope: str
    key: str


@dataclass(frozen=True, slots=True)
class WriteEvent:
    """Records a write of a document. ``changes``: the stored texts; None for a removed property."""

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
        """Return the event of a write that replaced the texts ``before`` by ``after``."""
        names = sorted({*before, *after})
        pairs = ((name, before.get(name), after.get(name)) for name in names)
        return cls(location, {n: new for n, old, new in pairs if differ(old, new)}, **etags)

    @classmethod
    def late(
        cls, location: DocumentLocation, write: PendingWrite, etag: str | None, last: str | None
    ) -> WriteEvent:
        """Return the event of a write that was found to be stored only when the document was read
        again.

        ``etag``: the ETag of that read. ``last``: the id of the document's last write.
        """
        return cls(
            location,
            write.changes,
            etag_before=write.etag,
            etag=etag if write.write_id == last else None,
            is_removed=write.removes,
        )

    def then(self, later: WriteEvent) -> WriteEvent:
        """Return one event for this write and a later one of the same document."""
        return replace(
            later, changes={**self.changes, **later.changes}, etag_before=self.etag_before
        )

    def state(self, *, with_values: bool) -> SavedState:
        """Return the argument for a handler."""
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
    """Calls the handlers of ``on_saved``, each with or without values."""

    def __init__(self) -> None:
        self._handlers: list[tuple[SaveHandler, bool]] = []

    def add(self, handler: SaveHandler, *, values: bool) -> None:
        """Add a handler. Handlers are called in the order in which they were added."""
        self._handlers.append((handler, values))

    @property
    def has_listeners(self) -> bool:
        """Return True if an event would reach a handler.

        Saves by a handler reach no handler: the calls would never end.
        """
        return bool(self._handlers) and not _is_emitting.get()

    async def emit(self, events: Iterable[WriteEvent]) -> None:
        """Call each handler with each event. Logs a handler that fails, and calls the others."""
        token = _is_emitting.set(True)
        try:
            for event in events:
                for handler, with_values in self._handlers:
                    await _call(handler, event, with_values=with_values)
        finally:
            _is_emitting.reset(token)


async def _call(handler: SaveHandler, event: WriteEvent, *, with_values: bool) -> None:
    try:
        await call_handler(handler, event.state(with_values=with_values))
    except Exception:  # noqa: BLE001 - the state is saved, whether a handler hears of it or not
        _log.exception(
            "A handler of on_saved failed (scope %r, key %r). The state is saved.", *event.location
        )


class PendingEvents:
    """Holds the events of one unit of work until its handlers are called."""

    def __init__(self, handlers: SaveHandlers) -> None:
        self.handlers = handlers
        self._events: list[WriteEvent] = []

    def add(self, *events: WriteEvent) -> None:
        """Add events, to be emitted later."""
        self._events += events

    def take(self) -> list[WriteEvent]:
        """Return the events in order, and remove them."""
        events, self._events = self._events, []
        return events

    async def emit(self) -> None:
        """Call the handlers with all events."""
        if self._events:
            await self.handlers.emit(self.take())


def _plain(text: bytes) -> Any:
    value = json_text.loads(text)
    return jsonpickle.to_plain(value) if jsonpickle.has_tags(text) else value
