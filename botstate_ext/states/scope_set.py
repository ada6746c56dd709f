"""ScopeSet: the six scopes and an app's own, over one storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import TypeVar, overload

from botbuilder.core import BotState, Storage

from ..clock import Clock
from ..documents.limits import Limits, positive_limit
from ..maintenance.sweep import Unmarked
from ..scopes.kinds import (
    BotScopeState,
    ConversationState,
    KeyFunction,
    OwnScope,
    PrivateConversationState,
    SharedState,
    UserState,
    WorkflowState,
)
from ..scopes.scope import StateScope
from ..serialization.allow_list import Types
from ..storage.base import StateStorage
from ..templates.template import SCOPES
from ..unit_of_work.save_events import SaveHandler
from ..unit_of_work.workspace import Workspace

Self = TypeVar("Self", bound="ScopeSet")
H = TypeVar("H", bound=SaveHandler)


class ScopeSet:
    """See `StateScopes`, which is one."""

    def __init__(
        self,
        storage: Storage,
        *,
        bot_id: str | None = None,
        types: Types = (),
        user_key: KeyFunction | None = None,
        conversation_key: KeyFunction | None = None,
        namespace: str = "",
        conversation_expires_after: timedelta | None = None,
        user_expires_after: timedelta | None = None,
        max_bytes: int | None = None,
        max_depth: int | None = None,
        aliases: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        workspace = self._workspace = Workspace(
            storage,
            types=types,
            clock=clock,
            limits=Limits(
                positive_limit(max_bytes, "max_bytes"), positive_limit(max_depth, "max_depth")
            ),
        )
        self.user = UserState(workspace, key=user_key, expires_after=user_expires_after)
        self.conversation = ConversationState(
            workspace, key=conversation_key, expires_after=conversation_expires_after
        )
        self.private = PrivateConversationState(workspace, namespace)
        self.bot = BotScopeState(workspace, bot_id)
        self.workflow = WorkflowState(workspace)
        self.shared = SharedState(workspace)
        self._aliases = dict(aliases or {})
        self._own: dict[str, OwnScope] = {}
        self._added: list[BotState] = []
        self._unmarked = Unmarked()

    @property
    def storage(self) -> StateStorage:
        """The hardened storage that all scopes use."""
        return self._workspace.storage

    def scope(self, name: str, key: KeyFunction | None = None) -> OwnScope:
        """A scope of the app's own, made when it is first named: a Teams team, a tenant.

        ``key``: ``(turn) -> id`` of the document that the turn uses, loaded and saved with it; None
        from it means that this turn has none. Without one, `at` chooses the document.

        :raises ValueError: the name is not a scope's, or is taken.
        """
        own = self._own.get(name)
        if own is not None and key is None:
            return own
        if own is not None or name in SCOPES:
            raise ValueError(f"There is a scope named {name!r} already: choose another name.")
        own = self._own[name] = OwnScope(self._workspace, name, key)
        return own

    def add(self: Self, bot_state: BotState) -> Self:
        """Load and save an app's own ``BotState`` with each turn, in its own storage."""
        if not isinstance(bot_state, BotState):
            raise TypeError(f"add() takes a BotState, not {type(bot_state).__name__}.")
        self._added.append(bot_state)
        return self

    @overload
    def on_saved(self, handler: H) -> H: ...
    @overload
    def on_saved(self, *, values: bool = False) -> Callable[[H], H]: ...
    def on_saved(self, handler: H | None = None, *, values: bool = False) -> H | Callable[[H], H]:
        """Call ``handler``, which may be async, with a `SavedState` after each successful write of
        these scopes: of a turn, ``update()``, a deletion, a sweep. For audit, for example.

        It is awaited before the save returns; of a turn that may run again
        (``on_conflict="replay"``), when the turn is committed. One that raises is logged, and
        changes nothing. What handlers save themselves is told to none. When a process ends between
        a write and its handlers, they are not called.

        ``values``: as ``@states.on_saved(values=True)``, the handler also gets what was written.
        """

        def add(handler: H) -> H:
            self._workspace.save_handlers.add(handler, values=values)
            return handler

        return add if handler is None else add(handler)

    def __iter__(self) -> Iterator[StateScope]:
        """The scopes: the six, then the app's own."""
        six = (self.user, self.conversation, self.private, self.bot, self.workflow, self.shared)
        return iter((*six, *self._own.values()))

    async def aclose(self) -> None:
        """Close what the storage opened. It may be called more than once."""
        await self.storage.aclose()

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
