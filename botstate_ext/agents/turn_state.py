"""TurnState: what a handler of the SDK's application gets as ``state``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ..errors import StateKeyError
from ..host.agents import sdk
from ..host.agents.privates import added_states
from ..scopes.scope import StateScope
from .agent_turn import turn_of
from .scopes import ScopeOfTurn

if TYPE_CHECKING:
    from .states import StateScopes

_IN_EVERY_TURN: Final = ("user", "conversation", "private", "bot")


class TurnState(sdk.TurnState):
    """The state of one turn, made by ``STATES.turn_state``.

    Example: ``state.conversation.get_value("count", lambda: 0)``

    In paths, ``"conversation.count"`` and ``"ConversationState.count"`` are the same, and so for
    ``user``, ``private``, ``bot`` and the app's own scopes. A path without a scope is of ``temp``,
    which is not stored.
    """

    def __init__(self, states: StateScopes) -> None:
        super().__init__()
        self._states = states
        self._context: Any = None

    @classmethod
    def with_storage(cls, storage: Any, *agent_states: Any) -> TurnState:
        """Refuse: a storage alone makes no state of this package.

        :raises TypeError: always.
        """
        raise TypeError("Use turn_state_factory=STATES.turn_state, with a StateScopes STATES.")

    @property
    def user(self) -> ScopeOfTurn:
        """Return the user's values."""
        return self._of_turn("user")

    @property
    def conversation(self) -> ScopeOfTurn:
        """Return the conversation's values."""
        return self._of_turn("conversation")

    @property
    def private(self) -> ScopeOfTurn:
        """Return the user's values in this conversation."""
        return self._of_turn("private")

    @property
    def bot(self) -> ScopeOfTurn:
        """Return the agent's own values."""
        return self._of_turn("bot")

    def get_scope_by_name(self, scope: str) -> Any:
        """Return a scope by its name, or by the name of its class.

        :raises ValueError: there is no scope of this name.
        """
        if any(scope in _names(each) for each in self._scoped()):
            return self._of_turn(scope)
        return super().get_scope_by_name(scope)

    def get_scope(self, scope_type: type[Any]) -> Any:
        """Return a scope by its class, the SDK's or this package's.

        :raises ValueError: there is no scope of this class.
        """
        if any(scope_type.__name__ in _names(each) for each in self._scoped()):
            return self.get_scope_by_name(scope_type.__name__)
        return super().get_scope(scope_type)

    def clear(self, turn_context: Any, scope: str | None = None) -> None:
        """Remove the values of a scope; of all scopes of the turn, if none is named."""
        if scope is not None:
            self.get_scope_by_name(scope).clear()
            return
        for each in self._scoped():
            with suppress(StateKeyError):  # the turn has no document of it
                ScopeOfTurn(each, self._context).clear()
        super().clear(turn_context)

    async def load(self, context: Any, storage: Any = None) -> None:
        """Read the scopes of the turn, in one batch, and the states that were added.

        :raises StateStorageError: a read failed; nothing was loaded.
        """
        self._context = context
        states = self._states
        turn = turn_of(states._workspace, context)
        if turn is not None:
            turn.is_loaded = True
        documents = []
        for scope in self._scoped():
            if scope.scope_name in _IN_EVERY_TURN:
                scope._is_used = True
            with suppress(StateKeyError):  # raised again when the agent uses that scope
                documents.append(scope._unloaded_document(context))
        await states.user._work_of(context).load(documents)
        for added in added_states(self).values():
            await added.load(context)

    async def save(self, turn_context: Any, force: bool = False) -> None:
        """Write the changes now. The application's own call, at the turn's end, only lets the
        middleware save.

        :raises StateError: see `UnitOfWork.save`.
        """
        states = self._states
        await super().save(turn_context, force)
        turn = turn_of(states._workspace, turn_context)
        if turn is not None:
            turn.is_saved = True
        if turn is None or force or not turn.is_ending:
            await states.user._work_of(turn_context).save(force=force)

    def _of_turn(self, name: str) -> ScopeOfTurn:
        if self._context is None:
            raise StateKeyError("This TurnState is not loaded: await state.load(context) first.")
        found = next(each for each in self._scoped() if name in _names(each))
        return ScopeOfTurn(found, self._context)

    def _scoped(self) -> Iterator[StateScope]:
        """Return the scopes of which a turn has one document."""
        return (scope for scope in self._states if not scope.row.is_by_id)


def _names(scope: StateScope) -> tuple[str, ...]:
    return scope.scope_name, *_CLASSES.get(scope.row.name, ())


_CLASSES: Final = {
    "user": ("UserState",),
    "conversation": ("ConversationState",),
    "private": ("PrivateConversationState",),
    "bot": ("BotScopeState", "BotState"),
    "workflow": ("WorkflowState",),
}
