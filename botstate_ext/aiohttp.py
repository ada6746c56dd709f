"""For bots that run on aiohttp, as the SDK's samples do."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from aiohttp import web

from .states.state_scopes import StateScopes
from .sweeper import Sweeper

__all__ = ["setup"]

_log_turns: Final = logging.getLogger("botstate_ext")
_log: Final = logging.getLogger("botstate_ext.expiry")


def setup(
    app: web.Application, states: StateScopes, *, sweep_every: timedelta | None = None
) -> None:
    """Close the storage of ``states`` when the app is cleaned up.

    ``sweep_every``: sweep from start-up to clean-up, about so often; see `StateScopes.sweep`.
    Without it nothing runs the handlers of what expires, unless you sweep in another way
    (``python -m botstate_ext sweep``): if there are handlers, a warning at start-up says so.

    A warning at start-up says if no `StateMiddleware` was made for ``states``.

    :raises TypeError: ``states`` is not a `StateScopes`.
    :raises ValueError: ``sweep_every`` is zero or negative.
    """
    if not isinstance(states, StateScopes):
        given = (
            f"the class {states.__name__}" if isinstance(states, type) else type(states).__name__
        )
        raise TypeError(f"setup() takes a StateScopes, not {given}.")
    sweeper = None if sweep_every is None else Sweeper(states, sweep_every)

    async def sweep(_: web.Application) -> AsyncIterator[None]:
        if not states._workspace.has_middleware:
            _log_turns.warning(_NO_MIDDLEWARE)
        if sweeper is None:
            if _has_expiry_handlers(states):
                _log.warning(_NOT_SWEPT)
            yield
        else:
            async with sweeper:
                yield

    async def close(_: web.Application) -> None:
        await states.aclose()

    app.cleanup_ctx.append(sweep)
    app.on_cleanup.append(close)  # these run after the contexts have been left


def _has_expiry_handlers(states: StateScopes) -> bool:
    policies = [scope._policies for scope in states]
    return any(each.handlers or each.handlers_of_all for each in policies)


_NO_MIDDLEWARE: Final = (
    "No StateMiddleware was made for the states that this app closes, so no turn saves them: "
    "adapter.use(StateMiddleware(states)). Ignore this in an app without turns."
)
_NOT_SWEPT: Final = (
    "There are handlers for what expires, and this app does not sweep, so it never calls them: "
    "give botstate_ext.aiohttp.setup a sweep_every, or run "
    "`python -m botstate_ext sweep --app ...`."
)
