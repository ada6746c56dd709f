"""SavedState: what a handler of ``states.on_saved`` is given; the events that it is made from."""

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
    """The scope and the key of a document."""

    scope: str
    key: str


@dataclass(frozen=True, slots=True)
class WriteEvent:
    """A write of a document. ``changes``: the texts that it stored; None for a removed property."""

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
        """Return the event of a write that turned out to be stored only when the document was read
        again, under ``etag``. ``last``: the id of the document's last write."""
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
        """Return what a handler is given."""
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
    """The handlers of ``on_saved``, each with or without values."""

    def __init__(self) -> None:
        self._handlers: list[tuple[SaveHandler, bool]] = []

    def add(self, handler: SaveHandler, *, values: bool) -> None:
        """Add a handler. Handlers are called in the order in which they were added."""
        self._handlers.append((handler, values))

    @property
    def has_listeners(self) -> bool:
        """True if an event would reach a handler. What a handler itself saves reaches none: it
        would never end."""
        return bool(self._handlers) and not _is_emitting.get()

    async def emit(self, events: Iterable[WriteEvent]) -> None:
        """Call each handler with each event. A handler that fails is logged; the others are called
        all the same."""
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
    """The events of one unit of work that no handler was called with yet."""

    def __init__(self, handlers: SaveHandlers) -> None:
        self.handlers = handlers
        self._events: list[WriteEvent] = []

    def add(self, *events: WriteEvent) -> None:
        """Add events, to be emitted later."""
        self._events += events

    def take(self) -> list[WriteEvent]:
        """Return the events in order, and forget them."""
        events, self._events = self._events, []
        return events

    async def emit(self) -> None:
        """Call the handlers with all events."""
        if self._events:
            await self.handlers.emit(self.take())


def _plain(text: bytes) -> Any:
    value = json_text.loads(text)
    return jsonpickle.to_plain(value) if jsonpickle.has_tags(text) else value
