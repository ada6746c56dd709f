"""StateMiddleware: the turn on the Agents SDK. Wait, load, run the agent, save."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from ..documents.merge import OnConflict
from ..host.agents.privates import collect_stream, handle_error, shows_exceptions
from ..host.agents.sdk import MessageFactory, TurnContext
from ..states.turn_session import TurnSession
from ..turn import middleware
from ..turn.deduplication import Delivery
from ..turn.locks import TurnLock
from ..turn.middleware import OnError, Replies
from .agent_turn import AgentTurn, turn_of
from .states import StateScopes

_log: Final = logging.getLogger("botstate_ext")
_APOLOGY: Final = "Sorry, something went wrong."


class StateMiddleware(middleware.StateMiddleware):
    """Loads state when the turn starts and saves it when it ends.

    The options are those of `botstate_ext.StateMiddleware`. On the Agents SDK:

    - A turn whose error ``@AGENT_APP.error`` handled, or whose handler ``AGENT_APP.proactive`` ran
      and saw fail, is a turn of a bot that raised: see ``on_error``.
    - Errors of the load, of the save and of sending held replies are given to
      ``@AGENT_APP.error``, and those of a proactive turn to the caller.
    - An activity that waits for a sign-in is not handled yet: ``deduplicate`` lets the SDK run it
      again when the user has signed in.
    - If the adapter has the SDK's own ``on_turn_error``, which sends the text of an exception to
      the user, it is replaced by one that logs the exception and sends a neutral text.
    """

    def __init__(
        self,
        states: StateScopes,
        *,
        on_conflict: OnConflict = "merge",
        on_error: OnError = "discard",
        replies: Replies = "immediate",
        serialize_turns: bool | TurnLock = True,
        deduplicate: timedelta | None = None,
        end_conversation: bool = False,
        erase_on_removal: bool = False,
    ) -> None:
        super().__init__(
            states,
            on_conflict=on_conflict,
            on_error=on_error,
            replies=replies,
            serialize_turns=serialize_turns,
            deduplicate=deduplicate,
            end_conversation=end_conversation,
            erase_on_removal=erase_on_removal,
        )
        if not isinstance(states, StateScopes):
            raise TypeError(
                "This StateMiddleware takes the StateScopes of botstate_ext.agents, not that of "
                "botstate_ext."
            )
        self._agent_states = states

    async def on_turn(  # type: ignore[override]  # this SDK gives the next step the context
        self, context: TurnContext, logic: Callable[[TurnContext], Awaitable[Any]] | None = None
    ) -> None:
        """Run the rest of the turn between one load and one save."""
        if logic is None or not isinstance(self, StateMiddleware):
            raise TypeError(middleware.GIVEN_THE_CLASS)
        _quieten(context.adapter)
        if TurnSession.is_open(self._states, context):
            self._warn_once()
            await logic(context)
            return
        turn = AgentTurn(self._states._workspace, context, saves_errors=self._on_error == "save")
        try:
            await self._run(turn, logic)
        finally:
            turn.end()

    async def _run(self, turn: AgentTurn, logic: Callable[[TurnContext], Awaitable[Any]]) -> None:
        raised: list[Exception] = []

        async def run() -> None:
            turn.begin()
            if self._on_conflict == "replay":
                collect_stream(turn.context)  # what was streamed could not be taken back
            try:
                await logic(turn.context)
            except Exception as error:
                raised.append(error)
                raise
            if turn.error is not None:
                raise _HandledError

        try:
            with suppress(_HandledError):
                await super().on_turn(turn.context, run)
        except Exception as error:
            if any(error is each for each in raised):
                raise
            await self._pass_on(turn, error)

    async def _pass_on(self, turn: AgentTurn, error: Exception) -> None:
        """Give an error of this package to the application, as if a handler of it had raised."""
        app = turn.app or self._agent_states._only_app()
        if app is None:
            raise error
        if turn.is_proactive:
            turn.error = error  # the caller gets it
            return
        await handle_error(app, turn.context, error)
        turn.error = error

    async def _finish(self, session: TurnSession, context: Any, delivery: Delivery | None) -> None:
        turn = turn_of(self._states._workspace, context)
        if turn is not None and turn.was_skipped:
            await session.save()
        else:
            await super()._finish(session, context, delivery)


class _HandledError(Exception):
    """A turn failed, and the application has dealt with it."""


def _quieten(adapter: Any) -> None:
    if shows_exceptions(getattr(adapter, "on_turn_error", None)):
        adapter.on_turn_error = _apologize


async def _apologize(context: TurnContext, error: Exception) -> None:
    _log.error("A turn failed, and nothing of the app handled its error.", exc_info=error)
    await context.send_activity(MessageFactory.text(_APOLOGY))
