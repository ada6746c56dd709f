"""The console as its users see it, in headless Chromium."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from botstate_ext import StateMiddleware, StateScopes
from tests.patience import LIMIT
from tests.turns import Bot, message

from .browser import opened, serious_problems
from .running_console import Site, new_states, remember, running
from .test_hostile import ATTACKS, SCRIPT

pytestmark = pytest.mark.browser

KEY = "msteams/users/ann"
HOSTILE = "test/users/%3Cscript%3Ealert(1)%3C%2Fscript%3E"
PAGES = (
    "/",
    "/documents?scope=user",
    "/documents?scope=user&path=$..*",
    f"/document?key={KEY}",
    f"/document?key={HOSTILE}",
    f"/document?key={KEY}&path=$.cart",
    "/document?key=nothing",
    "/query?channel=msteams&user=ann&text=$.user",
    "/query?channel=msteams&user=ann&kind=template&text=Hi+{@user.name}",
    "/users?channel=msteams&user=ann",
    "/live",
)


async def filled(states: StateScopes) -> Bot:
    """Store documents by turns of a bot, and return the bot."""
    cart = states.user.create_property("cart", dict, expires_after=timedelta(hours=1))
    bot = Bot(StateMiddleware(states))

    async def shop(turn: Any) -> None:
        await cart.set(turn, {"items": [{"pizza": "margherita", "n": 2}], "at": "2026-05-06T07:08"})
        await states.user.set_tags(turn, {"plan": "pro"})

    async def attack(turn: Any) -> None:
        for number, text in enumerate(ATTACKS):
            await states.user.set_state(turn, text if text.isprintable() else f"p{number}", [text])

    for _ in range(3):
        await bot.turn(shop, message(user="ann", channel="msteams"))
    await bot.turn(attack, message(user=SCRIPT))
    await remember(states, name="Ann", card="1234", **{"cart$quarantine.1a2b3c4d": {"value": 1}})
    return bot


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    states = new_states()
    async with running(states, read_only=False, mask=("card",)) as site:
        await filled(states)
        yield site


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
async def test_everyone_can_use_each_page(site: Site, width: int, scheme: Any) -> None:
    """On a desk and on a phone, in light and in the dark; without another site."""
    async with opened(site.url, width=width, color_scheme=scheme) as (page, trouble):
        for path in PAGES if width > 1000 else PAGES[::2]:
            await page.goto(site.url + path)
            await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert await serious_problems(page) == [], path
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is wider than the screen"
            dark = await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
            back = await page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, back[4:-1].split(", "))) < 200) is dark
        assert [each for each in trouble if "404" not in each] == []


async def test_the_live_page_shows_saves_while_the_bot_runs(site: Site) -> None:
    bot = Bot(StateMiddleware(site.states))

    async def count(turn: Any) -> None:
        await site.states.conversation.set_state(turn, f"<b>{turn.activity.text}", 1)

    async with opened(site.url) as (page, trouble):
        await page.goto(site.url + "/live")
        await page.get_by_text("Live", exact=True).last.wait_for()
        for number in range(3):
            await bot.turn(count, message(f"n{number}"))
        await page.locator(".saves .new").nth(2).wait_for()
        first = page.locator(".saves li").first
        assert "<b>n2" in await first.inner_text()
        assert await first.locator("b").count() == 0
        await page.get_by_role("button", name="Pause").click()
        await bot.turn(count, message("unseen"))
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_text("Live", exact=True).last.wait_for()
        await bot.turn(count, message("seen"))
        await page.get_by_text("<b>seen").wait_for()
        await first.locator("a").click()
        await page.wait_for_url("**/document?key=*")
        assert await page.get_by_role("heading", level=1).inner_text() == "conv"
        await page.goto(site.url + "/live")
        await page.locator(".live.on").wait_for()
        # An open page does not keep the app from ending.
        await asyncio.wait_for(site.runner.cleanup(), LIMIT.total_seconds())
        assert [each for each in trouble if "ERR_" not in each] == []


async def test_an_edit_and_one_that_loses_its_race(site: Site) -> None:
    async with opened(site.url) as (page, trouble):
        await page.goto(f"{site.url}/document?key={KEY}")
        card = page.locator("article", has=page.get_by_role("heading", name="name", exact=True))
        await card.get_by_text("Edit", exact=True).click()
        await card.get_by_role("textbox").fill('"Beth"')
        await card.get_by_role("button", name="Save").click()
        await page.get_by_text('"Beth"').first.wait_for()
        assert await page.locator("del").first.inner_text() == '"Ann"'

        await card.get_by_text("Edit", exact=True).click()
        await card.get_by_role("textbox").fill('"Mine"')
        await remember(site.states, name="Carl")
        await card.get_by_role("button", name="Save").click()
        await page.get_by_role("alert").wait_for()
        assert "was not stored" in await page.get_by_role("alert").inner_text()
        assert await page.get_by_label("What you sent").input_value() == '"Mine"'
        assert await card.locator(".only").inner_text() == '"Carl"'
        assert await serious_problems(page) == []
        assert [each for each in trouble if "409" not in each] == []


async def test_a_hostile_document_runs_nothing(site: Site) -> None:
    async with opened(site.url) as (page, trouble):
        for path in (f"/document?key={HOSTILE}", "/documents?scope=user&path=$..*", "/live", "/"):
            await page.goto(site.url + path)
            await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert await page.locator("main script, main img, main [onload]").count() == 0
            assert not await page.evaluate("/[\\u202e\\u200b]/.test(document.body.innerText)")
        assert trouble == []
        # If markup got through all the same: no script in it would run, nor be made.
        markup = "try { document.body.innerHTML = '<b>'; false } catch { true }"
        assert await page.evaluate(f"eval({markup!r})") is True


async def test_by_keyboard_alone(site: Site) -> None:
    async with opened(site.url) as (page, _):
        await page.goto(f"{site.url}/document?key={KEY}")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to content"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        for _step in range(20):
            await page.keyboard.press("Tab")
            at = "document.activeElement"
            if await page.evaluate(f"{at}.tagName == 'SUMMARY' && {at}.innerText.includes('list')"):
                break
        before = await page.evaluate("document.activeElement.parentElement.open")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.parentElement.open") is not before


async def test_erasing_a_user_without_scripts(site: Site) -> None:
    async with opened(site.url, java_script_enabled=False) as (page, trouble):
        await page.goto(f"{site.url}/users?channel=msteams&user=ann")
        await page.get_by_role("button", name="Look").click()
        await page.get_by_role("heading", name="1 document of ann").wait_for()
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Export as JSON").click()
        assert (await download.value).suggested_filename == "user.json"
        await page.get_by_label("Type the user").fill("ann")
        await page.get_by_role("button", name="Erase").click()
        await page.get_by_role("heading", name="1 document was removed").wait_for()
        assert await site.states.read_document(KEY) is None
        assert trouble == []


async def test_logging_in_and_out() -> None:
    token = "a token that nobody guesses"
    async with running(new_states(), token=token) as site, opened(site.url) as (page, trouble):
        await page.goto(f"{site.url}/documents?scope=shared")
        assert await serious_problems(page) == []
        await page.get_by_label("Token").fill(token)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/documents?scope=shared")
        await page.get_by_role("button", name="Log out").click()
        await page.get_by_label("Token").wait_for()
        assert [each for each in trouble if "401" not in each] == []
