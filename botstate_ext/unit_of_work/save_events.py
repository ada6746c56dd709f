"""SavedState: the argument of ``states.on_saved`` handlers, and the events behind it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
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
    - ``time``: when it was written, by the clock of the `StateScopes`.
    - ``activity_id``: the id of the activity whose turn wrote it. None outside a turn, as in a unit
      of work or a sweep.
    - ``values``: for handlers with ``values=True``, the new values of these properties as plain
      JSON, without the removed ones; None for other handlers. Not shown in the repr.
    - ``before``: for handlers with ``before=True``, the replaced values, likewise, without those
      that were absent. None for other handlers, and if they are not known: the document was removed
      without being read, or the answer to the write was lost.
    """

    scope: str
    key: str
    properties: tuple[str, ...]
    etag_before: str | None
    etag: str | None
    is_removed: bool
    time: datetime
    activity_id: str | None = None
    values: Mapping[str, Any] | None = field(default=None, repr=False)
    before: Mapping[str, Any] | None = field(default=None, repr=False)


SaveHandler: TypeAlias = Callable[[SavedState], Any]
"""Called after a write; may be async."""


class Wanted(NamedTuple):
    """Tells which values a handler asked for."""

    values: bool
    before: bool


class Origin(NamedTuple):
    """Tells when a document was written, and by the turn of which activity."""

    time: datetime
    activity_id: str | None = None


class DocumentLocation(NamedTuple):
    """Names a document by its scope and its key."""

    scope: str
    key: str


@dataclass(frozen=True, slots=True)
class WriteEvent:
    """Records a write of a document.

    - ``changes``: the stored texts; None for a removed property.
    - ``replaced``: the texts before them; None for an added property. None if it is not known.
    - ``origin``: when and by which activity it was written.
    """

    location: DocumentLocation
    changes: Changes = field(repr=False)
    replaced: Changes | None = field(repr=False)
    etag_before: str | None
    etag: str | None
    is_removed: bool
    origin: Origin

    @classmethod
    def of(
        cls,
        location: DocumentLocation,
        before: Mapping[str, bytes],
        after: Mapping[str, bytes],
        **fields: Any,
    ) -> WriteEvent:
        """Return the event of a write that replaced the texts ``before`` by ``after``."""
        names = sorted({*before, *after})
        changed = [name for name in names if differ(before.get(name), after.get(name))]
        changes = {name: after.get(name) for name in changed}
        return cls(location, changes, {name: before.get(name) for name in changed}, **fields)

    @classmethod
    def removal(
        cls, location: DocumentLocation, etag_before: str | None, origin: Origin
    ) -> WriteEvent:
        """Return the event of a document that was removed without being read."""
        return cls(
            location,
            {},
            None,
            etag_before=etag_before,
            etag=None,
            is_removed=True,
            origin=origin,
        )

    @classmethod
    def late(
        cls,
        location: DocumentLocation,
        write: PendingWrite,
        etag: str | None,
        last: str | None,
        origin: Origin,
    ) -> WriteEvent:
        """Return the event of a write that was found to be stored only when the document was read
        again.

        ``etag``: the ETag of that read. ``last``: the id of the document's last write.
        """
        return cls(
            location,
            write.changes,
            None,
            etag_before=write.etag,
            etag=etag if write.write_id == last else None,
            is_removed=write.removes,
            origin=origin,
        )

    def then(self, later: WriteEvent) -> WriteEvent:
        """Return one event for this write and a later one of the same document."""
        replaced = None
        if self.replaced is not None and later.replaced is not None:
            replaced = {**later.replaced, **self.replaced}
        return replace(
            later,
            changes={**self.changes, **later.changes},
            replaced=replaced,
            etag_before=self.etag_before,
        )

    def state(self, wanted: Wanted) -> SavedState:
        """Return the argument for a handler."""
        return SavedState(
            scope=self.location.scope,
            key=self.location.key,
            properties=tuple(sorted(self.changes)),
            etag_before=self.etag_before,
            etag=self.etag,
            is_removed=self.is_removed,
            time=self.origin.time,
            activity_id=self.origin.activity_id,
            values=_plain(self.changes) if wanted.values else None,
            before=_plain(self.replaced) if wanted.before else None,
        )


Watcher: TypeAlias = Callable[[WriteEvent], None]
"""Called with the event of a write itself: it decodes no value while the save waits. It neither
waits nor raises."""


class SaveHandlers:
    """Calls the handlers of ``on_saved``, each with the values that it asked for, and watchers."""

    def __init__(self) -> None:
        self._handlers: list[tuple[SaveHandler, Wanted]] = []
        self._watchers: list[Watcher] = []

    def add(self, handler: SaveHandler, *, values: bool, before: bool) -> None:
        """Add a handler. Handlers are called in the order in which they were added."""
        self._handlers.append((handler, Wanted(values, before)))

    def watch(self, watcher: Watcher) -> None:
        """Add a watcher. Watchers are called before the handlers."""
        self._watchers.append(watcher)

    @property
    def has_listeners(self) -> bool:
        """Return True if an event would reach a handler.

        Saves by a handler reach no handler: the calls would never end.
        """
        return bool(self._handlers or self._watchers) and not _is_emitting.get()

    async def emit(self, events: Iterable[WriteEvent]) -> None:
        """Call each handler with each event. Logs a handler that fails, and calls the others."""
        token = _is_emitting.set(True)
        try:
            for event in events:
                for watcher in self._watchers:
                    watcher(event)
                for handler, wanted in self._handlers:
                    await _call(handler, event, wanted)
        finally:
            _is_emitting.reset(token)


async def _call(handler: SaveHandler, event: WriteEvent, wanted: Wanted) -> None:
    try:
        await call_handler(handler, event.state(wanted))
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


def _plain(texts: Changes | None) -> dict[str, Any] | None:
    """Return the values of these texts as plain JSON, without the absent ones."""
    if texts is None:
        return None
    return {name: _plain_value(text) for name, text in texts.items() if text is not None}


def _plain_value(text: bytes) -> Any:
    value = json_text.loads(text)
    return jsonpickle.to_plain(value) if jsonpickle.has_tags(text) else value
