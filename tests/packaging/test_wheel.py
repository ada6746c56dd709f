"""What is in the wheel, and what it asks for."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from email import message_from_string
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from .conftest import REPOSITORY
from .lowest import lower_bounds


def by_name(lines: Iterable[str], extra: str = "") -> dict[str, Requirement]:
    """The requirements of one extra, or those of no extra."""
    requirements = [Requirement(line) for line in lines]
    return {
        requirement.name: requirement
        for requirement in requirements
        if (requirement.marker is None and not extra)
        or (requirement.marker is not None and f'extra == "{extra}"' in str(requirement.marker))
    }


@pytest.fixture(scope="module")
def requires(unpacked: Path) -> list[str]:
    (file,) = unpacked.glob("*.dist-info/METADATA")
    return message_from_string(file.read_text()).get_all("Requires-Dist", [])


def upstream_requires(name: str) -> dict[str, Requirement]:
    return by_name(metadata.requires(name) or [])


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names}
    version = metadata.version("botstate-ext")
    assert folders == {"botstate_ext", f"botstate_ext-{version}.dist-info"}
    assert "botstate_ext/py.typed" in names
    assert "botstate_ext/__init__.py" in names
    for file in (REPOSITORY / "botstate_ext" / "console").glob("*/*.*"):
        assert file.suffix == ".pyc" or f"{file.relative_to(REPOSITORY)}" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_runtime_needs_these_packages_and_no_more(requires: list[str]) -> None:
    assert set(by_name(requires)) == {
        "aiohttp",
        "botbuilder-core",
        "iregexp-check",
        "jsonpath-rfc9535",
        "msgspec",
        "regex",
    }


def test_aiohttp_is_declared_since_botbuilder_core_does_not(requires: list[str]) -> None:
    assert "aiohttp" not in upstream_requires("botbuilder-core")
    assert "aiohttp" in by_name(requires)


def test_six_comes_with_botbuilder_azure_which_forgets_it(requires: list[str]) -> None:
    assert "six" not in upstream_requires("botbuilder-azure")
    assert "six" not in upstream_requires("azure-storage-queue")
    assert "six" in by_name(requires, "botbuilder-azure")
    assert "six" in by_name(requires, "azure"), "its driver at 12.7.0 forgets it too"


def test_blob_works_with_the_driver_that_botbuilder_azure_pins(requires: list[str]) -> None:
    pinned = upstream_requires("botbuilder-azure")["azure-storage-blob"]
    assert str(pinned.specifier) == "==12.7.0"
    accepted = by_name(requires, "azure")["azure-storage-blob"].specifier
    assert "12.7.0" in accepted
    assert "12.99.0" in accepted
    assert "13.0.0" not in accepted
    assert "azure-storage-blob" not in by_name(requires)


def test_what_is_published_has_no_relative_link(unpacked: Path) -> None:
    (file,) = unpacked.glob("*.dist-info/METADATA")
    head, _, readme = file.read_text(encoding="utf-8").partition("\n\n")
    links = re.findall(r"\]\(([^)]+)\)", readme)
    assert len(links) > 20
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    urls = dict(re.findall(r"^Project-URL: (\w+), (\S+)$", head, re.MULTILINE))
    assert {"Homepage", "Documentation", "Repository", "Issues", "Changelog"} <= urls.keys()
    assert all(link.startswith(urls["Repository"]) for link in links if "botstate-ext/blob" in link)


def test_each_lower_bound_is_a_constraint() -> None:
    bounds = lower_bounds((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert bounds["msgspec"] == "msgspec==0.21"
    assert bounds["botbuilder-core"] == "botbuilder-core==4.17.*"
    assert bounds["psycopg"] == "psycopg==3.2.1"
    assert "regex" not in bounds
