"""The make commands that the README names are the Makefile's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from .conftest import REPOSITORY

# At the start of a line or of code, with or without a variable before it.
COMMAND = re.compile(r"(?:^|`)(?:[A-Z_]+=\S+ )*make ([a-z-]+)", re.MULTILINE)
TARGETS = sorted(set(COMMAND.findall((REPOSITORY / "README.md").read_text())))


def test_the_readme_names_the_two_commands() -> None:
    assert {"run", "test"} <= set(TARGETS)


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
@pytest.mark.parametrize("target", TARGETS)
def test_a_command_of_the_readme_exists(target: str) -> None:
    # Not the settings of the make that may have started these tests.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    planned = subprocess.run(
        ["make", "--dry-run", target],
        cwd=REPOSITORY,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert planned.returncode == 0, planned.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
@pytest.mark.parametrize("target", ["run", "test"])
def test_a_first_run_says_that_it_installs(target: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    planned = subprocess.run(
        ["make", "--dry-run", "--always-make", target],
        cwd=REPOSITORY,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = planned.stdout.splitlines()
    says = next(i for i, line in enumerate(lines) if "Installing" in line)
    assert says < next(i for i, line in enumerate(lines) if "pip install" in line)


@pytest.mark.parametrize("name", ["Makefile", "README.md", "CONTRIBUTING.md"])
def test_npm_runs_in_its_folder(name: str) -> None:
    """With ``--prefix`` it ignores the machine's settings, such as a proxy's certificate."""
    assert "npm install --prefix" not in (REPOSITORY / name).read_text()
