"""setup: joins the SDK's application to the state of its turns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ..host.agents.privates import error_handlers, proactive_of, turn_state_of
from ..host.agents.sdk import AgentApplication
from .agent_turn import AgentTurn, turn_of
from .states import StateScopes
from .turn_state import TurnState

_Handler = Callable[[Any, Any], Awaitable[None]]


def setup(app: Any, states: StateScopes) -> None:
    """Let the middleware know how the application came through each turn.

    Call it once, when the application is made. It adds an error handler before the app's own, and
    watches the turns of ``app.proactive``.

    :raises TypeError: these are no ``AgentApplication`` and no `StateScopes`.
    :raises ValueError: the application does not make its turn state with ``states.turn_state``, or
        has been set up already.
    """
    if not isinstance(app, AgentApplication) or not isinstance(states, StateScopes):
        raise TypeError("setup() takes the AgentApplication, and then the StateScopes.")
    made = turn_state_of(app)
    if not isinstance(made, TurnState) or made._states is not states:
        raise ValueError(
            "The application keeps its state elsewhere: give AgentApplication "
            "turn_state_factory=STATES.turn_state, with the StateScopes that setup() is given."
        )
    if any(each is app for each in states._apps):
        raise ValueError("This application has been set up already.")
    states._apps.append(app)
    _AppWatch(app, states).attach()


class _AppWatch:
    """Notes on each `AgentTurn` what its application does."""

    def __init__(self, app: Any, states: StateScopes) -> None:
        self._app, self._workspace = app, states._workspace

    def attach(self) -> None:
        """Add the handlers."""
        self._app.before_turn(self._before_turn)
        self._app.after_turn(self._after_turn)
        # The first of them: what the app's handlers say is sent, and they see what is stored.
        error_handlers(self._app).insert(0, self._on_error)
        proactive = proactive_of(self._app)
        if proactive is not None:
            proactive.continue_conversation = self._watched(proactive.continue_conversation)
            proactive.create_conversation = self._watched(proactive.create_conversation)

    async def _before_turn(self, context: Any, _state: Any) -> bool:
        turn = self._turn(context)
        if turn is not None:
            turn.app = self._app
        return True

    async def _after_turn(self, context: Any, _state: Any) -> bool:
        turn = self._turn(context)
        if turn is not None:
            turn.is_ending = True
        return True

    async def _on_error(self, context: Any, error: Exception) -> None:
        turn = self._turn(context)
        if turn is not None:
            turn.fail(error)
        if len(error_handlers(self._app)) == 1:
            raise error  # as the SDK does where the app handles no errors

    def _watched(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return a method of `Proactive` that runs a handler in a turn, watched."""

        async def run(
            adapter: Any, target: Any, handler: _Handler | None = None, **options: Any
        ) -> Any:
            turns: list[AgentTurn] = []

            async def watched(context: Any, state: Any) -> None:
                turn = self._turn(context)
                if turn is None:
                    await handler(context, state)  # type: ignore[misc]  # there is one here
                    return
                turns.append(turn)
                await self._run_proactive(turn, handler, context, state)

            result = await method(adapter, target, None if handler is None else watched, **options)
            for turn in turns:
                if turn.error is not None:
                    raise turn.error
            return result

        return run

    async def _run_proactive(self, turn: AgentTurn, handler: Any, context: Any, state: Any) -> None:
        turn.is_proactive, turn.app = True, self._app
        try:
            await handler(context, state)
        except Exception as error:
            turn.fail(error)
            raise
        turn.is_ending = True

    def _turn(self, context: Any) -> AgentTurn | None:
        return turn_of(self._workspace, context)
