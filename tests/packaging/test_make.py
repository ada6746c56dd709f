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
