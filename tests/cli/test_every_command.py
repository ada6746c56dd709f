"""What holds for each command: JSON, progress, a line in the help and on the page, exit codes."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from botstate_ext.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = sorted(main.commands.items())
# It reads one document.
SHORT = {"show"}

every = pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])


def test_alone_it_says_what_it_can_do() -> None:
    alone = [sys.executable, "-m", "botstate_ext"]
    told = subprocess.run(alone, capture_output=True, text=True, check=True).stdout
    for name, command in COMMANDS:
        assert re.search(rf"^  {name} +\S", told, re.MULTILINE), name
        assert command.get_short_help_str()
    assert "The exit code is 0" in told


@every
def test_it_prints_json_when_asked(name: str, command: click.Command) -> None:
    assert "--json" in [option for each in command.params for option in each.opts]


@every
def test_a_long_one_shows_progress(name: str, command: click.Command) -> None:
    assert command.callback is not None
    module = inspect.getsource(sys.modules[inspect.unwrap(command.callback).__module__])
    assert ("with progress()" in module) or name in SHORT


@every
def test_the_page_explains_it(name: str, command: click.Command) -> None:
    assert re.search(rf"^\| `{name}[` ]", PAGE, re.MULTILINE)


@every
def test_a_wrong_command_line_is_exit_code_2(name: str, command: click.Command) -> None:
    with pytest.raises(SystemExit) as left:
        main([name, "--no-such-option"], prog_name="botstate_ext")
    assert left.value.code == 2


def test_the_page_lists_the_exit_codes() -> None:
    assert re.findall(r"^\| (\d) \| ", PAGE, re.MULTILINE) == ["0", "1", "2"]
