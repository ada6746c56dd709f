"""A headless Chromium that is installed already, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.patience import LIMIT

AXE = Path(__file__).parents[2] / ".axe" / "node_modules" / "axe-core" / "axe.min.js"

# A sandbox needs rights that root and containers lack; the rest asks for things on the network.
_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def missing(what: str) -> Any:
    """Skip the test, or fail it where the browser is required."""
    if os.environ.get("BOTSTATE_REQUIRE_BROWSER") == "1":
        pytest.fail(what)
    pytest.skip(what)


def find_browser() -> str:
    """The browser that BOTSTATE_BROWSER names, or the system's Chromium."""
    names = (os.environ.get("BOTSTATE_BROWSER"), "chromium", "chromium-browser", "google-chrome")
    for name in names:
        path = name and shutil.which(name)
        if path:
            return path
    found: str = missing("no Chromium: install the system's, or name one in BOTSTATE_BROWSER")
    return found


class Trouble(list[str]):
    """What the browser complained of: errors, refused scripts, dialogs, and other sites."""

    def watch(self, page: Any, own: str) -> None:
        page.on("console", lambda told: self._told(told))
        page.on("pageerror", lambda error: self.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.append(f"dialog: {dialog.message}"))
        page.on("request", lambda sent: self._asked(sent.url, own))

    def _told(self, told: Any) -> None:
        if told.type in ("error", "warning"):
            self.append(f"{told.type}: {told.text}")

    def _asked(self, url: str, own: str) -> None:
        if not url.startswith(own):
            self.append(f"asked another site: {url}")


@asynccontextmanager
async def opened(
    own: str, *, width: int = 1280, height: int = 800, **options: Any
) -> AsyncIterator[tuple[Any, Trouble]]:
    """A page of a new browser. ``own``: the start of the addresses that it may ask for."""
    browser_path = find_browser()
    try:
        from playwright.async_api import async_playwright
    except ModuleNotFoundError:
        missing('no playwright: pip install "botstate-ext[dev]"')
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_path, args=_OPTIONS)
        try:
            context = await browser.new_context(
                viewport={"width": width, "height": height}, **options
            )
            context.set_default_timeout(LIMIT.total_seconds() * 1000)
            page = await context.new_page()
            trouble = Trouble()
            trouble.watch(page, own)
            yield page, trouble
        finally:
            await browser.close()


async def serious_problems(page: Any) -> list[str]:
    """What axe finds that keeps someone from using the page."""
    if not AXE.exists():
        missing("no axe-core: `make .axe/4.14.1` installs it")
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {[node['html'][:90] for node in each['nodes'][:3]]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
