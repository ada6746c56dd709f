"""Console: holds the states and the settings of all pages, and renders them."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..clock import Clock
from ..errors import StateError, StateStorageError
from ..scopes.scope import StateScope
from . import display
from .access import LOOPBACK_ONLY, OLD_FORM, Access
from .masking import Mask
from .recorder import Recorder

if TYPE_CHECKING:
    from ..states.state_scopes import StateScopes

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

BROKEN: Final = "This page could not be made ({}). The bot's log says where."

_TEMPLATES: Final = Path(__file__).parent / "templates"

_log: Final = logging.getLogger("botstate_ext.console")


class Console:
    """Holds the states and the settings of all pages, and lets in who may see them."""

    def __init__(
        self,
        states: StateScopes,
        *,
        path: str,
        token: str | None,
        read_only: bool,
        mask: Mask,
    ) -> None:
        self.states, self.prefix, self.read_only, self.mask = states, path, read_only, mask
        self.clock: Clock = states._workspace.clock
        self.access = Access(token, path, self.clock)
        self.recorder = Recorder(self.clock, mask)
        self._templates = _environment(self)

    def url(self, page: str = "", **query: object) -> str:
        """Return the address of a page. Leaves out what is None or empty in the query."""
        given = {name: str(value) for name, value in query.items() if value not in (None, "")}
        end = f"?{urlencode(given, errors='replace')}" if given else ""
        return f"{self.prefix}/{page}{end}"

    def scope(self, name: str) -> StateScope | None:
        """Return the scope of this name; None if there is none."""
        return next((scope for scope in self.states if scope.scope_name == name), None)

    def page(
        self, request: web.Request, template: str, *, status: int = 200, **values: Any
    ) -> web.Response:
        """Return a page made of a template."""
        text = self._templates.get_template(template).render(
            here=request.path.removeprefix(self.prefix).strip("/"),
            csrf=self.access.form_token(request),
            **values,
        )
        return web.Response(text=text, content_type="text/html", status=status)

    def problem(self, request: web.Request, status: int, text: str) -> web.Response:
        """Return a page that says what is wrong."""
        return self.page(request, "problem.html", status=status, text=text)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who may see the page, turn errors into pages, and add the headers."""
        response = await self._answer(request, handler)
        if not response.prepared:
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            refused = await self._refused(request)
            return await handler(request) if refused is None else refused
        except web.HTTPException as error:
            if error.status < 400:
                return error
            return self.problem(request, error.status, error.text or error.reason)
        except StateError as error:
            status = 503 if isinstance(error, StateStorageError) else 400
            return self.problem(request, status, str(error))
        except Exception as error:  # noqa: BLE001 - logged; the bot goes on
            # Not the text of the error, which may show a value.
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("A page of the console raised %s.\n%s", type(error).__name__, where)
            text = (
                f"This page could not be made ({type(error).__name__}). The bot's log says where."
            )
            return self.problem(request, 500, text)

    async def _refused(self, request: web.Request) -> web.StreamResponse | None:
        """Return the answer to a request that may not be handled; None if it may."""
        access, is_public = self.access, request.path.startswith(f"{self.prefix}/static/")
        if not access.needs_token:
            if not access.is_this_machine(request):
                return web.Response(text=LOOPBACK_ONLY, status=403)
        elif not (is_public or access.is_logged_in(request) or request.path == self.url("login")):
            wanted = request.raw_path
            return self.page(request, "login.html", status=401, wanted=wanted, failed=False)
        if request.method in ("GET", "HEAD"):
            return None
        form = await request.post()
        if not access.is_own_form(request, str(form.get("csrf", ""))):
            return self.problem(request, 403, OLD_FORM)
        return None


def _environment(console: Console) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=display.finalized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        ago=display.relative(console.clock),
        clock_time=display.clock_time,
        field=display.field,
        lines=display.lines,
        ms=display.milliseconds,
        shortened=display.shortened,
        size=display.size,
        stamp=display.stamp,
    )
    environment.globals.update(
        url=console.url,
        read_only=console.read_only,
        needs_token=console.access.needs_token,
        masks=bool(console.mask),
    )
    return environment
