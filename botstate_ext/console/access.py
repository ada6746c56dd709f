"""Access: decides which requests may see the console's pages, and which may change something.

Without a token only a browser on this machine may: the peer is a loopback address, no proxy passed
the request on, and the Host header names this machine, so that another site's name that was pointed
at it (DNS rebinding) is refused. With a token, a signed cookie says that the token was given.

A request that changes something must come from a page of the console: it carries a token of its
form, and the browser says that it comes from the same origin.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import timedelta
from hashlib import sha256
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from ..clock import Clock

COOKIE: Final = "botstate_console"
LOGIN_LASTS: Final = timedelta(hours=12)
MIN_TOKEN: Final = 16
"""Characters. With fewer, a token could be guessed."""

LOOPBACK_ONLY: Final = (
    "Without a token the console answers only a browser on the machine of the bot, at localhost or "
    "127.0.0.1. Give setup() a token to open it from elsewhere, or behind a proxy."
)
OLD_FORM: Final = (
    "This form is too old, or it was not sent from a page of the console: open the page again."
)

_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


class Access:
    """Decides who may use the console.

    ``token``: None: browsers on this machine only.

    :raises ValueError: the token has under 16 characters.
    """

    def __init__(self, token: str | None, prefix: str, clock: Clock) -> None:
        if token is not None and len(token) < MIN_TOKEN:
            raise ValueError(
                f"The console's token needs {MIN_TOKEN} characters or more, so that nobody guesses "
                "it: secrets.token_urlsafe() makes one."
            )
        self.needs_token = token is not None
        self._prefix, self._clock = prefix, clock
        self._token = _digest(token or secrets.token_hex())
        # Of the token, so that all processes behind one address take each other's cookies.
        self._key = hmac.new(self._token, b"botstate_ext console", sha256).digest()

    def is_this_machine(self, request: web.Request) -> bool:
        """Return True if a browser on this machine sent the request, to a name of this machine."""
        peer = request.transport and request.transport.get_extra_info("peername")
        if not isinstance(peer, tuple) or not _is_loopback(peer[0]):
            return False
        if any(name in request.headers for name in _FORWARDED):
            return False
        host = urlsplit(f"//{request.headers.get('Host', '')}").hostname
        return host == "localhost" or (host is not None and _is_loopback(host))

    def is_logged_in(self, request: web.Request) -> bool:
        """Return True if the request has a cookie that `log_in` gave, not too long ago."""
        ends, _, signature = request.cookies.get(COOKIE, "").partition(".")
        if not _same(signature, self._signature("login", ends)):
            return False
        return int(ends) > self._clock().timestamp()  # it is signed, so it is a number

    def is_token(self, given: str) -> bool:
        """Return True if this is the token. Takes the same time however much of it is right."""
        return hmac.compare_digest(_digest(given), self._token)

    def log_in(self, request: web.Request, response: web.StreamResponse) -> None:
        """Give the browser the cookie."""
        ends = str(int((self._clock() + LOGIN_LASTS).timestamp()))
        response.set_cookie(
            COOKIE,
            f"{ends}.{self._signature('login', ends)}",
            max_age=int(LOGIN_LASTS.total_seconds()),
            path=self._prefix,
            httponly=True,
            secure=request.secure or request.headers.get("X-Forwarded-Proto") == "https",
            # Not "Strict": a link to a document, in a chat or a ticket, would ask for the token
            # again. Nothing is changed by a GET, and forms carry a token of their own.
            samesite="Lax",
        )

    def log_out(self, response: web.StreamResponse) -> None:
        """Take the cookie away."""
        response.del_cookie(COOKIE, path=self._prefix)

    def form_token(self, request: web.Request) -> str:
        """Return the token of this browser's forms."""
        return self._signature("form", request.cookies.get(COOKIE, ""))

    def signature(self, *parts: str) -> str:
        """Return a signature of these texts, to be checked by `is_signed` when they come back."""
        return self._signature("parts", *parts)

    def is_signed(self, signature: str, *parts: str) -> bool:
        """Return True if `signature` returned this for these texts."""
        return _same(signature, self.signature(*parts))

    def is_own_form(self, request: web.Request, form_token: str) -> bool:
        """Return True if a form of the console was sent from the console's own origin."""
        if not _same(form_token, self.form_token(request)):
            return False
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None:
            return site == "same-origin"
        origin = request.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc == request.headers.get("Host")

    def _signature(self, purpose: str, *parts: str) -> str:
        # Lengths keep ("ab", "c") and ("a", "bc") apart.
        text = "".join(f"{len(part)}:{part}" for part in (purpose, *parts))
        return hmac.new(self._key, text.encode("utf-8", "surrogatepass"), sha256).hexdigest()


def _same(one: str, other: str) -> bool:
    """Compare in a time that does not tell where they differ."""
    return hmac.compare_digest(_digest(one), _digest(other))


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
