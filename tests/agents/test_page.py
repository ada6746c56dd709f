"""docs/agents.md is run, as the other pages are where the Bot Framework SDK is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from botstate_ext import agents
from tests.docs.test_snippets import blocks, run

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"
SETTINGS = "CONNECTIONS__SERVICE_CONNECTION__SETTINGS__"


@pytest.mark.parametrize("with_checks", [True, False])
async def test_the_page(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    with_checks: bool,
) -> None:
    for name in ("CLIENTID", "CLIENTSECRET", "TENANTID"):
        monkeypatch.setenv(SETTINGS + name, "x")
    monkeypatch.chdir(tmp_path)
    await run(PAGE, blocks(PAGE, with_checks=with_checks), request, monkeypatch)


def test_the_page_lists_exactly_the_public_names() -> None:
    names = PAGE.read_text().partition("## Names")[2]
    assert re.findall(r"^\| `(\w+)` \|", names, re.MULTILINE) == sorted(agents.__all__)
