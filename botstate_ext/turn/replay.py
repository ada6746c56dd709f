"""Replay: a turn that lost a race runs again, on fresh state and on the context as it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any, Final, TypeVar

from botbuilder.core import TurnContext

from ..errors import StateConflictError
from ..unit_of_work.replay_write import Overtaken
from ..unit_of_work.write_loop import Pause, back_off

T = TypeVar("T")

MAX_ATTEMPTS: Final = 20

_ATTEMPT: Final = "botstate_ext.attempt"


def turn_is_replay(turn_context: TurnContext) -> bool:
    """True when this turn runs for the second time or more, because what it read was changed by
    someone else meanwhile (``StateMiddleware(on_conflict="replay")``)."""
    attempt: int = turn_context.turn_state.get(_ATTEMPT, 1)
    return attempt > 1


async def replayed(
    context: TurnContext, turn: Callable[[], Awaitable[T]], *, pause: Pause = back_off
) -> T:
    """Run a turn until it is not overtaken, and return what it returns.

    :raises StateConflictError: others were faster each time.
    """
    before = Snapshot(context)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            return await turn()
        except Overtaken as overtaken:
            lost = overtaken
        before.restore()
        context.turn_state[_ATTEMPT] = attempt + 1
        await pause(attempt)
    raise StateConflictError(
        f"this turn ran {MAX_ATTEMPTS} times, and others were faster each time.",
        key=lost.key,
        attempts=MAX_ATTEMPTS,
    ) from lost


class Snapshot:
    """A TurnContext as it is now: its attributes, what its lists and dictionaries hold (services,
    handlers, turn_state), and a deep copy of the activity. Other objects are not copied."""

    def __init__(self, context: TurnContext) -> None:
        self._context = context
        self._attributes = dict(vars(context))
        self._contents = {
            name: held.copy()
            for name, held in self._attributes.items()
            if isinstance(held, (dict, list))
        }
        self._activity = deepcopy(context.activity)

    def restore(self) -> None:
        """Put all of it back, into the same objects: others hold them too."""
        attributes = vars(self._context)
        attributes.clear()
        attributes.update(self._attributes)
        for name, contents in self._contents.items():
            _refill(attributes[name], contents)
        _refill(vars(self._context.activity), vars(deepcopy(self._activity)))


def _refill(held: Any, contents: Any) -> None:
    held.clear()
    if isinstance(held, dict):
        held.update(contents)
    else:
        held.extend(contents)
