"""Every Python block of the README and of docs/ is run: a page is one program, from top to bottom.

A block in an HTML comment that begins with ``<!-- run`` belongs to the program and is not shown: it
sets up or checks what the page talks about. On a page that says ``<!-- rows are run -->``, so does
the code in the last cell of a table's rows. `await` works at the top level.
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
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(
    r"^```python\n(?P<shown>.*?)^```$|^<!-- run\n(?P<hidden>.*?)^-->$", re.MULTILINE | re.DOTALL
)
ROW = re.compile(r"^\|[^\n]*\| `(?P<row>[^`\n]+)` \|$", re.MULTILINE)
ROWS_ARE_RUN = "<!-- rows are run -->"
NEEDS_BLOB = "AZURE_STORAGE_CONNECTION_STRING"


def blocks(page: Path) -> list[tuple[int, str]]:
    """The page's code, each block with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    found = {each.start(): each["shown"] or each["hidden"] for each in BLOCK.finditer(text)}
    if ROWS_ARE_RUN in text:
        found.update({row.start(): row["row"] for row in ROW.finditer(text)})
    return [(text.count("\n", 0, start) + 1, found[start]) for start in sorted(found)]


def programs() -> list[Any]:
    found = [(page, blocks(page)) for page in PAGES]
    return [
        pytest.param(
            page,
            id=page.name,
            marks=[pytest.mark.blob] if any(NEEDS_BLOB in code for _, code in parts) else [],
        )
        for page, parts in found
        if parts
    ]


@pytest.mark.parametrize("page", programs())
async def test_the_page_runs(
    page: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any(NEEDS_BLOB in code for _, code in blocks(page)):
        monkeypatch.setenv(NEEDS_BLOB, request.getfixturevalue("azurite"))
    module = types.ModuleType(f"page_{page.stem.replace('-', '_').lower()}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for line, code in blocks(page):
        tree = ast.parse("\n" * line + code, str(page))
        compiled = compile(tree, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        # In a thread, which has no running loop: a page may call `asyncio.run`.
        result = await asyncio.to_thread(eval, compiled, vars(module))  # the page's own code
        if inspect.iscoroutine(result):
            await result


def test_the_blocks_are_found() -> None:
    assert blocks(ROOT / "README.md"), "the README shows code"
