"""The troubleshooting page names each error, and each message that the package logs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from botstate_ext import errors

ROOT = Path(__file__).parents[2]
# As installed: the tests from the source archive run against the wheel.
PACKAGE = Path(errors.__file__).parent
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
PLACEHOLDER = re.compile(r"%[rsdgf]")


def logged() -> Iterator[tuple[str, str]]:
    """Return each logged message, with the name of its module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree, name = ast.parse(path.read_text(encoding="utf-8")), str(path.relative_to(PACKAGE))
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and _is_log(call.func):
                for message in _texts(call.args[0], tree):
                    yield name, message


def _is_log(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr in LEVELS
        and isinstance(function.value, ast.Name)
        and function.value.id.startswith("_log")
    )


def _texts(argument: ast.expr, tree: ast.Module) -> list[str]:
    """Return the texts of an argument: a literal, a constant of the module, or a variable that a
    function named after it returns."""
    if isinstance(argument, ast.Constant):
        return [str(argument.value)]
    assert isinstance(argument, ast.Name), ast.unparse(argument)
    return [
        node.value
        for owner in ast.walk(tree)
        for node in ast.walk(owner)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (
            (isinstance(owner, ast.AnnAssign) and ast.unparse(owner.target) == argument.id)
            or (
                isinstance(owner, ast.Return)
                and f"def _{argument.id}(" in ast.unparse(_function_of(owner, tree))
            )
        )
    ]


def _function_of(wanted: ast.Return, tree: ast.Module) -> ast.AST:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return next((each for each in functions if wanted in each.body), tree)


def beginning(message: str) -> str:
    """Return the first sentence of a message as the page shows it, up to its first colon."""
    shown = PLACEHOLDER.sub("...", message.replace("%s%s", "%s"))
    shown = re.sub(r"\.\.\.\.(?=\s|$)", "...|", shown)  # a placeholder at the end of a sentence
    return re.split(r"(?<!\.\.)[.;:](?: |$)|\||\n", shown)[0].removeprefix("... is ")


MESSAGES = list(logged())


def test_messages_are_found() -> None:
    assert len(MESSAGES) > 35
    assert len([module for module, _ in MESSAGES if module.endswith("workspace.py")]) == 2


@pytest.mark.parametrize(
    ("module", "message"), MESSAGES, ids=[f"{m}-{n}" for n, (m, _) in enumerate(MESSAGES)]
)
def test_the_page_explains_each_logged_message(module: str, message: str) -> None:
    assert f"| {beginning(message)}" in PAGE


@pytest.mark.parametrize("name", errors.__all__)
def test_the_page_explains_each_error(name: str) -> None:
    assert f"### {name}\n" in PAGE


def test_each_row_has_a_cause_and_a_mend() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    assert len(rows) > 80
    for row in rows:
        assert [bool(cell.strip()) for cell in row.strip("|").split(" | ")] == [True] * 3, row
