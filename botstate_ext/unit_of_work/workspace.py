"""Workspace: shares a storage and codecs among scopes, and opens each turn's unit of work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..clock import Clock, in_utc, never_back, system_clock
from ..documents.document import Document
from ..documents.limits import Limits
from ..documents.merge import OnConflict
from ..documents.policy import NO_LIMITS, PropertyPolicy
from ..documents.reference import no_reference
from ..errors import StateEncodeError, StateKeyError
from ..host.bases import Storage
from ..host.default import default_host
from ..host.protocol import Host
from ..serialization.allow_list import AllowList, Types, allow_list
from ..serialization.codec import Codec
from ..serialization.codec_choice import codec_for
from ..storage.adapt import as_state_storage
from ..storage.parallel import all_outcomes
from .save_events import SaveHandlers
from .work import UnitOfWork
from .work_counts import WorkCounts

if TYPE_CHECKING:
    from ..storage.base import StateStorage
    from ..storage.document_cache import DocumentCache
    from ..storage.warm import WarmStorage

W = TypeVar("W", bound=UnitOfWork)

_ENDED: Final = object()
_SDK_CLASSES: Final = AllowList()
_log: Final = logging.getLogger("botstate_ext")


class Workspace:
    """Holds a storage, a clock, and the classes that stored values may be restored to."""

    def __init__(
        self,
        storage: Storage,
        *,
        types: Types = (),
        write_type_tags: bool | None = None,
        clock: Clock | None = None,
        limits: Limits = NO_LIMITS,
        host: Host | None = None,
        cache: DocumentCache | None = None,
    ) -> None:
        self.host = default_host() if host is None else host
        self.clock: Clock = system_clock if clock is None else in_utc(clock)
        self.storage = as_state_storage(storage)
        self.cache = cache
        self.warm: WarmStorage | None = None
        if cache is not None:
            self.storage = self.warm = _around(self.storage, cache, self.clock)
        self._stamp = never_back(self.clock)
        self.limits = limits
        self.save_handlers = SaveHandlers()
        self.has_middleware = False
        self._closing: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.is_saved_by_hand = False
        self.write_type_tags = write_type_tags
        self._allowed = allow_list(types, self.host)
        self._codecs: dict[tuple[Any, bool, bool], Codec] = {}
        self._turn_key = f"botstate_ext.work.{id(self):x}"
        self._undecodable_key = f"botstate_ext.undecodable.{id(self):x}"

    def call_on_close(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Let `aclose` call ``close`` too, beside closing the storage."""
        self._closing.append(close)

    async def aclose(self) -> None:
        """Close the storage and all that goes with it; then raise the first error, if any."""
        for outcome in await all_outcomes(
            close() for close in (*self._closing, self.storage.aclose)
        ):
            if isinstance(outcome, Exception):
                raise outcome

    def work_of(self, turn: Any) -> UnitOfWork:
        """Return the unit of work of this turn; open one if there is none.

        :raises TypeError: the turn is None.
        :raises StateKeyError: the turn is a unit of work of another `StateScopes`.
        """
        if turn is None:
            raise TypeError("This needs the turn: a TurnContext, or a unit of work.")
        work = turn.turn_state.get(self._turn_key)
        if not isinstance(work, UnitOfWork):
            belongs_to = getattr(turn, "belongs_to", None)
            if belongs_to is not None and not belongs_to(self):
                raise StateKeyError(
                    "This unit of work is of another StateScopes, which would not save what this "
                    "scope holds: use the scopes of the StateScopes that made it."
                )
            kind = _LateWork if work is _ENDED else _LooseWork
            loose = turn.turn_state[self._turn_key] = self._open(kind, turn)
            loose.workspace = self
            return loose
        return work

    def open_work(self, turn: Any) -> UnitOfWork | None:
        """Return the unit of work that is open in this turn: of `begin` if ``is_saved_at_its_end``,
        otherwise of code that used state before `begin`, or after `end`. None if there is none."""
        work = turn.turn_state.get(self._turn_key)
        return work if isinstance(work, UnitOfWork) else None

    def begin(
        self, turn: Any, on_conflict: OnConflict, counts: WorkCounts | None = None
    ) -> UnitOfWork:
        """Open the unit of work of a turn. ``counts``: what it costs is added to these."""
        kind = UnitOfWork
        if on_conflict == "replay":
            from .replay_work import StagedWork  # only bots that replay turns load it

            kind = StagedWork
        work = turn.turn_state[self._turn_key] = self._open(kind, turn, on_conflict, counts)
        work.is_saved_at_its_end = True
        return work

    def end(self, turn: Any, *, has_failed: bool = False) -> None:
        """Close the turn's unit of work. Discards unsaved changes.

        Code that uses state of this turn later gets a late unit of work. Only an explicit save
        writes its changes. ``has_failed``: the turn raised, so that code is its error handler.
        """
        work = turn.turn_state.get(self._turn_key)
        turn.turn_state[self._turn_key] = _ENDED
        if isinstance(work, UnitOfWork):
            if has_failed:
                turn.turn_state[self._undecodable_key] = work.undecodable
            work.close()

    def outside(self) -> UnitOfWork:
        """Return a new unit of work that belongs to no turn."""
        return UnitOfWork(self.storage, self.clock, stamp=self._stamp, handlers=self.save_handlers)

    def _open(
        self,
        kind: type[W],
        turn: Any,
        on_conflict: OnConflict = "merge",
        counts: WorkCounts | None = None,
    ) -> W:
        activity = getattr(turn, "activity", None)
        dump = self.host.dump_reference
        return kind(
            self.storage,
            self.clock,
            on_conflict=on_conflict,
            stamp=self._stamp,
            handlers=self.save_handlers,
            reference=no_reference if activity is None else lambda: dump(activity),
            undecodable=turn.turn_state.get(self._undecodable_key),
            counts=counts,
            # Outside a turn it is an activity that this package made: its id says nothing.
            activity_id=None if hasattr(turn, "belongs_to") else getattr(activity, "id", None),
        )

    def codec(self, type_: Any, *, tagged: bool = False, is_hint: bool = False) -> Codec:
        """Return the codec of a type, made once. ``tagged``: it writes jsonpickle's tags.

        ``is_hint``: the class comes from a default, so values need not fit its annotations.

        :raises TypeError: values of this type cannot be stored.
        """
        try:
            found = self._codecs.get((type_, tagged, is_hint))
        except TypeError:  # an annotation that cannot be hashed
            return codec_for(type_, lambda: self._allowed, tagged=tagged, is_hint=is_hint)
        if found is None:
            found = codec_for(type_, lambda: self._allowed, tagged=tagged, is_hint=is_hint)
            self._codecs[type_, tagged, is_hint] = found
        return found

    def default_codec(self, cls: type, *, tagged: bool = False) -> Codec | None:
        """Return the codec of a class that was given as a default; None if it needs none.

        The SDK's own classes need none: the allow-list restores them, whether a dialog set passes a
        lambda or a dialog manager passes the class. A class that cannot be a property's type needs
        none either: it is only called as a factory.
        """
        found = self._codecs.get((cls, tagged, True))
        if found is not None:
            return found
        if _SDK_CLASSES.allows(cls):
            return None
        try:
            return self.codec(cls, tagged=tagged, is_hint=True)
        except TypeError:
            return None

    def allow(self, type_: Any) -> None:
        """Allow untyped values to hold this class: a property declares it as its type."""
        if isinstance(type_, type) and type_.__module__ != "builtins":
            self._allowed = self._allowed.extended(type_)

    def reads_class(self, name: str) -> bool:
        """Return True if untyped values may hold the class of this name."""
        return self._allowed.knows(name)

    def undeclared_policy(self) -> PropertyPolicy:
        """Return the policy of properties without a declaration."""
        return PropertyPolicy(self.codec(None), write_type_tags=self.write_type_tags)


def _around(storage: StateStorage, cache: DocumentCache, clock: Clock) -> WarmStorage:
    """Return the storage that keeps the documents of this one.

    :raises TypeError: ``cache`` is not a DocumentCache.
    :raises ValueError: the storage does not check ETags against every writer.
    """
    from ..storage.document_cache import DocumentCache  # only bots with a cache load it

    if not isinstance(cache, DocumentCache):
        raise TypeError(f"cache must be a DocumentCache, not {type(cache).__name__}.")
    return cache.around(storage, clock)


class _LooseWork(UnitOfWork):
    """Holds state that was used in a turn without a session. Only an explicit save writes it.

    Warns once if changes are lost, so that a forgotten `StateMiddleware` is noticed.
    """

    workspace: Workspace

    async def save(
        self, documents: Iterable[Document] | None = None, *, force: bool = False
    ) -> None:
        self.workspace.is_saved_by_hand = True
        await super().save(documents, force=force)

    def _advice(self) -> str | None:
        """Return advice about lost changes; None if the app is known to save explicitly.

        Such an app may have left the changes unsaved on purpose.
        """
        if self.workspace.is_saved_by_hand:
            return None
        self.workspace.is_saved_by_hand = True  # once is enough
        return (
            "State was changed in a turn that never saved it: scope %r, properties %s. Give the "
            "adapter the middleware that does, adapter.use(StateMiddleware(states)), or call "
            "save_changes(turn)."
        )

    def __del__(self) -> None:
        for document in self.documents():
            try:
                unsaved = list(document.without_defaults(document.changes()))
            except StateEncodeError as error:
                unsaved = [error.property_name or ""]
            advice = self._advice() if unsaved else None
            if advice is not None:
                _log.warning(advice, document.scope, ", ".join(map(repr, unsaved)))


class _LateWork(_LooseWork):
    """Holds state that is used after the turn's end: in ``on_turn_error``, or in a task that runs
    on."""

    def _advice(self) -> str:
        return (
            "State was changed after its turn had ended, and never saved: scope %r, properties %s. "
            "Call save_changes(turn) there, or change it within the turn."
        )
