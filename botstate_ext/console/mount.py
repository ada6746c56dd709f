"""Mounts the console in a bot's own aiohttp app."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiohttp import web

from ..states.state_scopes import StateScopes
from .masking import Mask

if TYPE_CHECKING:
    from .console import Console


def setup(
    app: web.Application,
    states: StateScopes,
    path: str = "/state",
    *,
    token: str | None = None,
    read_only: bool = True,
    mask: Iterable[str] = (),
) -> None:
    """Mount pages that show the state of a bot, under ``path`` of its app.

    Example: ``console.setup(app, states)``, then open ``http://localhost:3978/state/``

    ``token``: what a visitor has to enter. None: the pages open only in a browser on the machine of
    the bot, and not through a proxy.

    ``read_only``: False lets visitors edit documents and erase users.

    ``mask``: names of properties whose values the console never shows: in no tree, query, form,
    export or list of changes. Members of these names are hidden too, at any depth.

    :raises ImportError: Jinja2 is not installed: ``pip install "botstate-ext[console]"``.
    :raises TypeError: ``states`` is no `StateScopes`, or ``mask`` is one string.
    :raises ValueError: the path does not begin with "/", or ends with one; or the token has under
        16 characters.
    """
    if not isinstance(states, StateScopes):
        raise TypeError(f"setup() takes a StateScopes, not {type(states).__name__}.")
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError(f'The path begins with "/" and does not end with one, unlike {path!r}.')
    console = _console(states, path, token, read_only=read_only, mask=Mask(mask))
    from .pages import routes
    from .pages.live import LiveReaders

    readers = LiveReaders(console)
    pages = web.Application(middlewares=[console.guard])
    pages.add_routes([*routes(console), *readers.routes()])
    app.add_subapp(path, pages)
    # Else the app would wait a minute for open pages to be closed.
    app.on_shutdown.append(readers.close)
    states._workspace.save_handlers.watch(console.recorder.watch)
    states.on_turn(console.recorder.turned)


def _console(
    states: StateScopes, path: str, token: str | None, *, read_only: bool, mask: Mask
) -> Console:
    try:
        from .console import Console
    except ModuleNotFoundError as error:
        if error.name not in ("jinja2", "markupsafe"):
            raise
        raise ImportError(
            'The console needs Jinja2: pip install "botstate-ext[console]".', name=error.name
        ) from error
    return Console(states, path=path, token=token, read_only=read_only, mask=mask)
