"""docs/agents.md is run, as the other pages are where the Bot Framework SDK is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from botstate_ext import agents
from tests.docs.test_snippets import blocks, run

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "agents.md"
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


def test_the_page_and_the_makefile_install_what_an_agent_needs() -> None:
    """Without botbuilder-core, and aiohttp, which the SDK's hosting brings."""
    declared = (ROOT / "pyproject.toml").read_text()
    core = declared.partition("\ndependencies = [\n")[2].partition("\n]")[0]
    extra = declared.partition("\nagents = [")[2].partition("]\n")[0]
    needed = [
        each
        for each in re.findall(r'"([^"]+)"', re.sub(r"(?m)^ *#.*$", "", core) + extra)
        if not each.startswith(("botbuilder-core", "aiohttp"))
    ]
    assert len(needed) == 6
    block = PAGE.read_text().partition("pip install --no-deps")[2].partition("```")[0]
    assert re.findall(r'"([^"]+)"', block) == needed
    makefile = (ROOT / "Makefile").read_text()
    installs = makefile.partition("$(SUCCESSOR)/.installed:")[2].partition("@touch")[0]
    assert [each for each in needed if each not in re.split(r"[\s']+", installs)] == []
