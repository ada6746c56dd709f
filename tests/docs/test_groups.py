"""The README and the site group the pages in the same way, and each names every page."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}


def of_site() -> dict[str, set[str]]:
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    trees = re.findall(r":caption: ([^\n]+)\n:maxdepth: 1\n\n(.*?)```", text, re.DOTALL)
    return {caption: set(pages.split()) for caption, pages in trees}


def of_readme() -> dict[str, set[str]]:
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## The pages")[2]
    groups = re.findall(r"\*\*([^*]+)\*\*: (.*?)(?:\n\n|$)", text, re.DOTALL)
    return {caption: set(re.findall(r"\(docs/([\w-]+)\.md\)", links)) for caption, links in groups}


def test_each_page_is_in_one_group_of_the_site() -> None:
    assert sorted(page for pages in of_site().values() for page in pages) == sorted(PAGES)


def test_the_readme_groups_the_pages_as_the_site_does() -> None:
    site = of_site()
    site["Reference"].discard("signatures")  # made for the site; a Git host cannot show it
    assert of_readme() == site


def test_the_readme_says_on_one_screen_what_it_is_for() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    first = "\n".join(lines[:25])
    assert first.count("docs/pictures/") >= 1
    assert "StateScopes" in "\n".join(lines[:40])
