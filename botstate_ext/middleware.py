"""StateMiddleware: the turn. Load, logic, save."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeAlias

from botbuilder.core import Middleware, TurnContext

from .merge import OnConflict
from .states import StateScopes

OnError: TypeAlias = Literal["discard", "save"]

_ON_CONFLICT: Final = ("merge", "raise", "last_writer_wins")
_ON_ERROR: Final = ("discard", "save")


class StateMiddleware(Middleware):
    """Loads state when the turn starts and saves it when it ends.

    ``on_conflict``: what happens when a document changed in storage while the turn ran.
    ``"merge"``: property by property, see ``create_property``. ``"raise"``: `StateConflictError`.
    ``"last_writer_wins"``: this turn's properties win. A document that was deleted meanwhile and
    that this turn changed raises in every mode.

    ``on_error``: what happens to the changes of a turn whose bot raised. ``"discard"``: nothing is
    saved, except what ``update()`` or ``save_changes`` had committed. ``"save"``: they are saved.
    """

    def __init__(
        self,
        states: StateScopes,
        *,
        on_conflict: OnConflict = "merge",
        on_error: OnError = "discard",
    ) -> None:
        if not isinstance(states, StateScopes):
            raise TypeError(f"StateMiddleware takes a StateScopes, not {type(states).__name__}.")
        self._states = states
        self._on_conflict = _one_of("on_conflict", on_conflict, _ON_CONFLICT)
        self._on_error = _one_of("on_error", on_error, _ON_ERROR)

    async def on_turn(self, context: TurnContext, logic: Callable[[], Awaitable[Any]]) -> Any:
        """Run the rest of the turn between one load and one save."""
        states = self._states
        if states.has_work(context):
            return await logic()  # used twice on one adapter: the outer one loads and saves
        states.begin(context, self._on_conflict)
        try:
            await states.load(context)
            try:
                result = await logic()
            except Exception:
                if self._on_error == "save":
                    await states.save(context)
                raise
            await states.save(context)
            return result
        finally:
            states.end(context)


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}.")
    return value
