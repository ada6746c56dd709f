"""AgentTurn: what is known of a turn while the SDK's application runs it."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from ..host.agents.privates import goes_on_after_sign_in
from ..turn.held_replies import drop_held_replies, leave_outer_replies
from ..turn.locks.reentrancy import leave_outer_turn
from ..unit_of_work.replay_work import leave_outer_work

if TYPE_CHECKING:
    from ..unit_of_work.workspace import Workspace

_current: Final[ContextVar[AgentTurn | None]] = ContextVar("botstate_ext.agent_turn", default=None)


class AgentTurn:
    """Notes how the SDK's application came through a turn.

    The application handles errors itself, so that a failed turn looks to the middleware like one
    that went well.

    - ``app``: the application that ran the turn; None if none did.
    - ``is_loaded``: the application made its `TurnState`. ``is_ending``: the handlers have ended,
      and what is saved now is saved at the turn's end. ``is_saved``: it saved its `TurnState`.
    - ``is_proactive``: ``AGENT_APP.proactive`` runs the turn, and raises its error to the caller.
    - ``error``: the exception that was handled; None if the turn went well, as far as is known.
    """

    def __init__(self, workspace: Workspace, context: Any, *, saves_errors: bool) -> None:
        self.context = context
        self._workspace, self._saves_errors = workspace, saves_errors
        self._outer = _current.get()
        if self._outer is not None and goes_on_after_sign_in(asyncio.current_task()):
            # The turn that started the task does not wait for it: this one waits for that turn,
            # and is not a part of it.
            leave_outer_turn()
            leave_outer_replies()
            leave_outer_work()
            self._outer = None
        self.begin()

    def begin(self) -> None:
        """Begin the turn, or run it again."""
        self.app: Any = None
        self.error: BaseException | None = None
        self.is_loaded = self.is_ending = self.is_saved = self.is_proactive = False
        self.context.turn_state[_key(self._workspace)] = self
        _current.set(self)

    def end(self) -> None:
        """Leave the turn. The turn around it, if the SDK made this one for the same activity
        (``long_running_messages``), went as this one did."""
        outer = self._outer
        if outer is not None and outer.context.activity is self.context.activity:
            outer.app, outer.error = outer.app or self.app, outer.error or self.error
        _current.set(outer)

    def fail(self, error: BaseException) -> None:
        """Note an error that the application, or the caller of a proactive turn, will handle.

        The turn's changes and its held replies are dropped: an error handler sees what is stored,
        and its own words are sent at once. With ``on_error="save"`` both are kept.
        """
        self.error = error
        if not self._saves_errors:
            drop_held_replies()
            self._workspace.end(self.context, has_failed=True)

    @property
    def was_skipped(self) -> bool:
        """Return True if the application did not run the turn: the user has to sign in first."""
        return self.is_loaded and not self.is_saved and self.error is None


def turn_of(workspace: Workspace, context: Any) -> AgentTurn | None:
    """Return what is known of this turn; None if no middleware runs it."""
    found: AgentTurn | None = context.turn_state.get(_key(workspace))
    # A task that goes on after a sign-in is given the entries of the turn before.
    return found if found is not None and found.context.turn_state is context.turn_state else None


def current_context() -> Any:
    """Return the context of the turn that the running code is a part of; None outside a turn."""
    turn = _current.get()
    return None if turn is None else turn.context


def _key(workspace: Workspace) -> str:
    return f"botstate_ext.agents.{id(workspace):x}"
