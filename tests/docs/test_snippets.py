"""Run every Python block of the README and of docs/.

A page of docs/ is one program: its blocks, one after another. In the README each block is a program
of its own. `await` works at the top level, as it does in notebooks.

A block in an HTML comment that begins with ``<!-- check`` is not shown. It checks the result of the
blocks above it, and nothing that is shown may need it: each page also runs without its checks. On a
page that says ``<!-- rows are run -->``, the code in the last cell of a table's rows is run too.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
README_TEXT = README.read_text(encoding="utf-8")
# tests/agents/test_page.py runs the one that needs the Agents SDK.
PAGES = sorted(p for p in (ROOT / "docs").glob("*.md") if p.name != "agents.md")
BLOCK = re.compile(
    r"^```python\n(?P<shown>.*?)^```$|^<!-- check\n(?P<hidden>.*?)^-->$", re.MULTILINE | re.DOTALL
)
ROW = re.compile(r"^\|[^\n]*\| `(?P<row>[^`\n]+)` \|$", re.MULTILINE)
ROWS_ARE_RUN = "<!-- rows are run -->"
COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
NEEDS_BLOB = "AZURE_STORAGE_CONNECTION_STRING"

Blocks = list[tuple[int, str]]


def blocks(page: Path, *, with_checks: bool = True) -> Blocks:
    """Return the page's code, each block with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    found = {
        each.start(): each["shown"] or each["hidden"]
        for each in BLOCK.finditer(text)
        if each["shown"] or with_checks
    }
    if ROWS_ARE_RUN in text:
        found.update({row.start(): row["row"] for row in ROW.finditer(text)})
    return [(text.count("\n", 0, start) + 1, found[start]) for start in sorted(found)]


def program(page: Path, parts: Blocks, name: str) -> Any:
    needs_blob = any(NEEDS_BLOB in code for _, code in parts)
    return pytest.param(page, parts, id=name, marks=[pytest.mark.blob] if needs_blob else [])


def pages(*, with_checks: bool) -> list[Any]:
    found = [(page, blocks(page, with_checks=with_checks)) for page in PAGES]
    # A page without checks is run once.
    return [
        program(page, parts, page.name)
        for page, parts in found
        if parts and (with_checks or parts != blocks(page))
    ]


async def run(
    page: Path, parts: Blocks, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any(NEEDS_BLOB in code for _, code in parts):
        monkeypatch.setenv(NEEDS_BLOB, request.getfixturevalue("azurite"))
    monkeypatch.chdir(request.getfixturevalue("tmp_path"))  # a page may make files
    module = types.ModuleType(f"page_{page.stem.replace('-', '_').lower()}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for line, code in parts:
        tree = ast.parse("\n" * line + code, str(page))
        compiled = compile(tree, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        # In a thread, which has no running loop: a page may call `asyncio.run`.
        result = await asyncio.to_thread(eval, compiled, vars(module))  # the page's own code
        if inspect.iscoroutine(result):
            await result


@pytest.mark.parametrize(("page", "parts"), pages(with_checks=True))
async def test_a_page_does_what_it_says(
    page: Path, parts: Blocks, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(page, parts, request, monkeypatch)


@pytest.mark.parametrize(("page", "parts"), pages(with_checks=False))
async def test_what_a_page_shows_is_enough_to_run_it(
    page: Path, parts: Blocks, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(page, parts, request, monkeypatch)


@pytest.mark.parametrize(
    ("page", "parts"), [program(README, [part], f"line {part[0]}") for part in blocks(README)]
)
async def test_a_program_of_the_readme_runs_alone(
    page: Path,
    parts: Blocks,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await run(page, parts, request, monkeypatch)
    printed = capsys.readouterr().out.strip()
    assert not printed or f"It prints `{printed}`." in README_TEXT


def test_the_blocks_are_found() -> None:
    assert len(blocks(README)) >= 2
    assert len(pages(with_checks=False)) > 5


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_no_comment_hides_code_in_another_way(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for comment in COMMENT.findall(text):
        assert comment.startswith(" check\n") or comment == " rows are run ", comment


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_only_adopting_says_how_to_install_by_name(page: Path) -> None:
    """The package is on no index: an install by its name alone finds nothing."""
    by_name = re.findall(r'pip install "?botstate-ext[^`\n]*', page.read_text(encoding="utf-8"))
    if page.name == "adopting.md":
        assert len([line for line in by_name if "git+ADDRESS" not in line]) == 1
    else:
        assert by_name == []
