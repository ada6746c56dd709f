"""Replay: a turn that lost a race runs again, on fresh state and on the context as it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ..errors import StateConflictError
from ..host.protocol import Context, Host
from ..unit_of_work.replay_write import Overtaken
from ..unit_of_work.write_loop import Pause, back_off

T = TypeVar("T")

MAX_ATTEMPTS: Final = 20

_ATTEMPT: Final = "botstate_ext.attempt"


def turn_is_replay(turn_context: Context) -> bool:
    """Return True if this turn runs again, because another turn changed the state that it had read
    (``StateMiddleware(on_conflict="replay")``)."""
    attempt: int = turn_context.turn_state.get(_ATTEMPT, 1)
    return attempt > 1


async def replayed(
    host: Host,
    context: Context,
    turn: Callable[[], Awaitable[T]],
    *,
    pause: Pause = back_off,
) -> T:
    """Run a turn again until no other turn has overtaken it. Return its result.

    :raises StateConflictError: others were faster each time.
    """
    restore = host.snapshot(context)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            return await turn()
        except Overtaken as overtaken:
            lost = overtaken
        restore()
        context.turn_state[_ATTEMPT] = attempt + 1
        await pause(attempt)
    raise StateConflictError(
        f"this turn ran {MAX_ATTEMPTS} times, and others were faster each time.",
        key=lost.key,
        attempts=MAX_ATTEMPTS,
    ) from lost
