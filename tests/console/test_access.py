"""Who may open the console, and who may change something with it."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from botstate_ext import console
from botstate_ext.console.access import Access
from botstate_ext.testing import ManualClock

from .running_console import form_token, new_states, remember, running

NOON = datetime(2026, 5, 6, 12, tzinfo=timezone.utc)
TOKEN = "a token that nobody guesses"
PAGES = ("/", "/documents", "/document?key=a/users/b", "/query", "/users", "/live", "/events")


async def test_a_browser_on_this_machine_needs_no_token() -> None:
    async with running(new_states()) as site:
        assert (await site.visitor.get()).status == 200
        for host in ("localhost", "localhost:3978", "127.0.0.1:1", "[::1]:3978", "LOCALHOST"):
            assert (await site.visitor.get(headers={"Host": host})).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3978", "localhost.evil.example", "10.0.0.1", "", "a@b"]
)
async def test_a_name_that_was_pointed_at_this_machine_is_refused(host: str) -> None:
    """DNS rebinding: the browser believes that the page is of the other site."""
    async with running(new_states()) as site:
        for page in (*PAGES, "/static/console.css", "/nothing"):
            assert (await site.visitor.get(page, headers={"Host": host})).status in (400, 403)


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
async def test_without_a_token_nothing_is_answered_through_a_proxy(name: str) -> None:
    async with running(new_states()) as site:
        answer = await site.visitor.get(headers={name: "127.0.0.1"})
        assert (answer.status, "Give setup() a token" in answer.text) == (403, True)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (("127.0.0.1", 1), True),
        (("127.8.8.8", 1), True),
        (("::1", 1, 0, 0), True),
        (("::ffff:127.0.0.1", 1, 0, 0), True),
        (("10.0.0.7", 1), False),
        (("::ffff:10.0.0.7", 1, 0, 0), False),
        (("2001:db8::1", 1, 0, 0), False),
        ("", False),  # a Unix socket: whoever is behind it
        (None, False),
    ],
)
def test_a_peer_is_on_this_machine(peer: Any, expected: bool) -> None:
    class Transport:
        def get_extra_info(self, name: str) -> Any:
            return peer

    class Request:
        transport = Transport()
        headers = {"Host": "localhost"}  # noqa: RUF012 - of one test

    guard = Access(None, "/state", ManualClock(NOON))
    assert guard.is_this_machine(Request()) is expected  # type: ignore[arg-type]


async def test_with_a_token_nothing_is_shown_before_it_is_given() -> None:
    states = new_states()
    await remember(states, name="Ann")
    async with running(states, token=TOKEN) as site:
        for page in (*PAGES, "/nothing", "/document?key=msteams/users/ann"):
            answer = await site.visitor.get(page)
            assert answer.status == 401
            assert "Ann" not in answer.text
            assert "msteams" not in answer.text.replace("msteams/users/ann", "")
        for page in ("/document", "/users", "/logout"):
            assert (await site.visitor.post(page, csrf="no")).status == 401


async def test_the_token_opens_the_page_that_was_wanted() -> None:
    async with running(new_states(), token=TOKEN) as site:
        page = await site.visitor.get("/documents", scope="bot")
        form = {"csrf": form_token(page.text), "wanted": "/state/documents?scope=bot"}
        wrong = await site.visitor.post("/login", token=TOKEN + "x", **form)
        assert (wrong.status, "not the token" in wrong.text) == (401, True)
        assert "Set-Cookie" not in wrong.headers
        right = await site.visitor.post("/login", token=TOKEN, **form)
        assert (right.status, right.headers["Location"]) == (303, "/state/documents?scope=bot")
        cookie = right.headers["Set-Cookie"]
        assert {"HttpOnly", "Path=/state", "SameSite=Lax"} <= set(cookie.split("; "))
        assert TOKEN not in cookie
        assert (await site.visitor.get("/documents", scope="bot")).status == 200
        assert (await site.visitor.post("/logout")).status == 303
        assert (await site.visitor.get()).status == 401


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/other", "/state/\\@evil", "/state/\r\nA: b"],
)
async def test_a_login_leads_to_no_other_site(wanted: str) -> None:
    async with running(new_states(), token=TOKEN) as site:
        csrf = form_token((await site.visitor.get()).text)
        answer = await site.visitor.post("/login", csrf=csrf, wanted=wanted, token=TOKEN)
        assert answer.headers["Location"] == "/state/"


async def test_a_login_ends_and_cannot_be_forged() -> None:
    clock = ManualClock(NOON)
    async with running(new_states(clock), token=TOKEN) as site:
        csrf = form_token((await site.visitor.get()).text)
        await site.visitor.post("/login", csrf=csrf, token=TOKEN)
        assert (await site.visitor.get()).status == 200
        clock.advance(timedelta(hours=12))
        assert (await site.visitor.get()).status == 401
        site.visitor.session.cookie_jar.clear()
        for cookie in ("9999999999.", "9999999999.abc", "x", "9999999999.\xff", "." * 4000):
            headers = {"Cookie": f"botstate_console={cookie}"}
            assert (await site.visitor.get(headers=headers)).status == 401


async def test_a_cookie_is_good_in_another_process_with_the_same_token() -> None:
    clock = ManualClock(NOON)
    one, other, stranger = (Access(t, "/state", clock) for t in (TOKEN, TOKEN, TOKEN + "!"))
    response = web.Response()

    class Request:
        secure = True
        headers: dict[str, str] = {}  # noqa: RUF012 - of one test
        cookies: dict[str, str] = {}  # noqa: RUF012

    one.log_in(Request(), response)  # type: ignore[arg-type]
    cookie = response.cookies["botstate_console"]
    assert cookie["secure"]
    Request.cookies["botstate_console"] = cookie.value
    assert other.is_logged_in(Request())  # type: ignore[arg-type]
    assert not stranger.is_logged_in(Request())  # type: ignore[arg-type]


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `hmac.compare_digest`, and of digests, so that not even the length is told."""
    compared: list[tuple[Any, Any]] = []
    original = hmac.compare_digest

    def compare(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return original(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    guard = Access(TOKEN, "/state", ManualClock(NOON))
    answers = [guard.is_token(given) for given in (TOKEN, "x", "\ud800")]
    assert answers == [True, False, False]
    assert [len(one) == len(other) == 32 for one, other in compared] == [True] * 3


FORMS = ("/document", "/users", "/logout", "/login")


@pytest.mark.parametrize("page", FORMS)
async def test_a_form_of_another_site_is_refused(page: str) -> None:
    states = new_states()
    await remember(states, name="Ann")
    async with running(states, read_only=False) as site:
        for csrf in ("", "0" * 64, "é"):
            assert (await site.visitor.post(page, csrf=csrf)).status == 403
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},  # another port of this machine
            {"Sec-Fetch-Site": "none"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
        ):
            assert (await site.visitor.post(page, headers=headers)).status == 403
        own = {"Origin": f"http://127.0.0.1:{site.port}"}
        assert (await site.visitor.post(page, headers=own)).status != 403


async def test_the_token_of_a_form_is_of_one_login() -> None:
    async with running(new_states(), token=TOKEN) as site:
        before = form_token((await site.visitor.get()).text)
        await site.visitor.post("/login", csrf=before, token=TOKEN)
        assert (await site.visitor.post("/users", csrf=before)).status == 403


async def test_every_answer_forbids_scripts_frames_and_keeping() -> None:
    async with running(new_states(), read_only=False) as site:
        for page in (*PAGES[:-1], "/nothing", "/static/nothing"):
            headers = (await site.visitor.get(page)).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert "require-trusted-types-for 'script'" in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
        assert (await site.visitor.post("/users", csrf="")).headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "name", ["..%2fconsole.py", "..%2f..%2ferrors.py", "%2e%2e/console.py", "console.css%00", ""]
)
async def test_only_the_files_of_the_pages_are_served(name: str) -> None:
    async with running(new_states()) as site:
        url = URL(f"/state/static/{name}", encoded=True)
        async with site.visitor.session.get(url) as response:
            assert response.status == 404


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"token": "short"}, ValueError, "token_urlsafe"),
        ({"path": "state"}, ValueError, "begins with"),
        ({"path": "/"}, ValueError, "end with"),
        ({"mask": "email"}, TypeError, "several names"),
        ({"mask": (1,)}, TypeError, "strings"),
    ],
)
def test_mistakes_in_setup(options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        console.setup(web.Application(), new_states(), **options)


def test_setup_takes_states() -> None:
    with pytest.raises(TypeError, match="StateScopes"):
        console.setup(web.Application(), object())  # type: ignore[arg-type]


async def test_it_is_mounted_where_it_is_asked_to_be() -> None:
    async with running(new_states(), "/admin/bot") as site:
        assert (await site.visitor.get("")).status == 200  # led to the page with the slash
        page = await site.visitor.get()
        assert 'href="/admin/bot/documents"' in page.text
        assert '"/state' not in page.text
