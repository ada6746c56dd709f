"""``python -m botstate_ext check``, and what all commands have in common."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("click", reason='pip install -e ".[cli]"')
pytest.importorskip("rich", reason='pip install -e ".[cli]"')

import click
from click.testing import CliRunner, Result

from botstate_ext.cli import main
from tests.cli import checked_app

NAME = f"{checked_app.__name__}.Profile"


def run(*arguments: str) -> Result:
    # In a thread: a command runs an event loop of its own, and would drop the one that the
    # asynchronous tests of this process have left in the main thread, unclosed.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(CliRunner().invoke, main, arguments).result()


def test_what_the_app_would_not_read_is_listed_with_the_lines_to_paste() -> None:
    result = run("check", "--app", f"{checked_app.__name__}:UNREAD")
    assert result.exit_code == 1
    assert f"       1  NOT READ  {NAME}" in result.output
    assert "The app would not read: 1" in result.output
    assert "test/users/ann: " in result.output
    assert f"from {checked_app.__name__} import Profile\ntypes=[Profile]" in result.output
    assert "Ann" not in result.output


def test_an_app_that_reads_everything_passes() -> None:
    result = run("check", "--app", f"{checked_app.__name__}:STATES")
    assert result.exit_code == 0, result.output
    assert f"       1  read      {NAME}" in result.output
    assert "The app reads everything." in result.output


def test_the_result_as_json() -> None:
    result = run("check", "--json", "--app", f"{checked_app.__name__}:UNREAD")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["classes"] == [{"name": NAME, "count": 1, "is_read": False}]
    assert told["missing_types"] == [NAME]
    assert [(each["key"], each["name"]) for each in told["unread"]] == [
        ("test/users/ann", "profile")
    ]


def test_a_dry_run_of_migrate_fails_for_what_would_not_be_read() -> None:
    result = run("migrate", "--dry-run", "--app", f"{checked_app.__name__}:UNREAD")
    assert result.exit_code == 1
    assert "property 'profile' would not be read" in result.output


def test_an_export_with_something_missing_has_an_exit_code() -> None:
    result = run("export-user", "test", "ann", "--json", "--app", f"{checked_app.__name__}:STATES")
    assert (result.exit_code, json.loads(result.stdout)["failed"]) == (0, {})
    result = run("export-user", "test", "ann", "--json", "--app", f"{checked_app.__name__}:FAILING")
    assert result.exit_code == 1
    assert list(json.loads(result.stdout)["failed"]) == ["user.n"]


def test_without_a_command_it_says_what_it_can_do() -> None:
    result = run()
    assert result.exit_code == 0
    for name in main.commands:
        assert f"\n  {name} " in result.output


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_prints_json(name: str) -> None:
    options = [option for each in main.commands[name].params for option in each.opts]
    assert "--json" in options


def test_a_wrong_command_line_has_its_own_exit_code() -> None:
    assert run("check").exit_code == 2
    assert run("check", "--app", "nowhere:STATES").exit_code == 2
    assert run("chekc").exit_code == 2
    assert isinstance(main, click.Group)
