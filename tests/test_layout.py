"""The shape of the package: one direction of imports, documented names, files one can read.

The tests follow it: the tests of a package are in the folder of its name.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import botstate_ext
from botstate_ext import errors

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "botstate_ext"
PUBLIC = ("botstate_ext", "botstate_ext.storage", "botstate_ext.testing")
# Public as well, and the home of what they export.
ON_THEIR_OWN = (
    "botstate_ext.aiohttp",
    "botstate_ext.console",
    "botstate_ext.opentelemetry",
    "botstate_ext.storage.backend",
    "botstate_ext.sweeper",
)

# What each package may import, besides the standard library and its dependencies. A package that is
# not named here may not exist.
EDGES: dict[str, set[str]] = {}


def _floor(*names: str, may_import: set[str]) -> None:
    EDGES.update({name: set(may_import) for name in names})


_BASE = {"errors", "clock"}
_PLAIN = _BASE | {"serialization", "keys", "jsonpath"}
_floor("errors", "clock", may_import=set())
_floor("serialization", "keys", "jsonpath", may_import={"errors"})
_floor("templates", may_import={"errors", "jsonpath", "keys"})
_floor("documents", may_import=_PLAIN)
_floor("host", may_import={"errors"})
_floor("storage", may_import=_BASE | {"serialization", "host"})
_WORK = _PLAIN | {"documents", "storage", "host"}
_floor("unit_of_work", "listing", may_import=_WORK)
_floor("scopes", "privacy", may_import=_WORK | {"unit_of_work", "listing"})
_SCOPES = _WORK | {"unit_of_work", "listing", "scopes"}
_floor("maintenance", may_import=_SCOPES)
_floor("states", may_import=_SCOPES | {"maintenance", "privacy", "templates"})
_floor("sweeper", may_import=_BASE | {"maintenance"})
_STATES = _SCOPES | {"maintenance", "privacy", "templates", "states"}
_floor("turn", may_import=_STATES)
_floor("testing", may_import=_STATES | {"turn"})
_floor("opentelemetry", may_import=_STATES)
_floor("agents", may_import=_STATES | {"turn"})
# The console shows everything, so it may ask everything below; nothing may ask it.
_floor("console", may_import=_STATES)
_floor("cli", "aiohttp", may_import=_STATES | {"sweeper", "turn"})

# Only here is the SDK imported that a bot runs on.
SDK = {"botbuilder", "botframework", "msrest", "microsoft_agents"}

# They decide and reckon; they neither wait nor ask anything outside.
PURE = ("errors", "clock", "serialization", "keys", "jsonpath", "documents")
OUTSIDE = {"asyncio", "aiohttp", "azure", "socket", "os", "threading", "random", "botbuilder"}

LONGEST_FUNCTION = 40


@cache
def modules() -> dict[str, Path]:
    """Every module of the package, by its name within it: "storage.blob"."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path) -> Iterator[str]:
    """What a module imports when it is imported: modules of the package as "storage.blob", others
    by their whole names."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    for node in _import_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (f"/{alias.name}" for alias in node.names)
        elif node.level == 0:
            yield f"/{node.module}"
        else:
            base = package[: len(package) - node.level + 1]
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                yield whole if whole in modules() else ".".join(base)


def _import_nodes(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Return the imports of a module: also those in its functions, which wait until they are
    called, and not those under TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from _import_nodes(node)


def unit(module: str) -> str:
    """A folder is one thing to those outside of it."""
    return module.split(".")[0]


def imported_units() -> dict[str, set[str]]:
    units: dict[str, set[str]] = {}
    for name, path in modules().items():
        if name:
            found = {unit(m) for m in imports(name, path) if not m.startswith("/")}
            units.setdefault(unit(name), set()).update(found - {unit(name), ""})
    return units


def test_a_package_imports_only_what_it_may() -> None:
    wrong = {
        f"{name} imports {other}"
        for name, needs in imported_units().items()
        if name in EDGES
        for other in needs & EDGES.keys() - EDGES[name]
    }
    assert wrong == set()


def test_no_two_modules_import_each_other() -> None:
    units = imported_units()
    left = dict(units)
    while ready := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in ready:
            del left[name]
    assert left == {}, "these import each other, round about"


@pytest.mark.parametrize("name", PURE)
def test_what_is_pure_reaches_nothing_outside(name: str) -> None:
    for module, path in modules().items():
        if unit(module) == name:
            outside = {m[1:].split(".")[0] for m in imports(module, path) if m.startswith("/")}
            assert outside.isdisjoint(OUTSIDE), module
            waits = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Await)]
            assert waits == [], module


# Where the tests are

# Folders of tests that run more than one package, and of files that tests use.
OF_THE_WHOLE = {"adoption", "docs", "fixtures", "histories", "packaging", "samples", "successor"}


def test_each_folder_of_tests_is_named_after_a_package() -> None:
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/*.py")}
    assert folders - OF_THE_WHOLE <= EDGES.keys()
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages <= folders, "these packages have no folder of tests"


def test_only_the_host_imports_the_sdk() -> None:
    found = {
        module
        for module, path in modules().items()
        if {m[1:].split(".")[0] for m in imports(module, path) if m.startswith("/")} & SDK
        and module not in ("testing.chat", "testing.plugin")  # they play the channel's part
    }
    assert found == {
        "host.agents.sdk",
        "host.bot_framework.channel",
        "host.bot_framework.host",
        "host.bot_framework.snapshot",
        "host.bot_framework.stored_classes",
    }


# Names


def public_objects() -> Iterator[tuple[str, Any]]:
    for module in map(importlib.import_module, (*PUBLIC, *ON_THEIR_OWN)):
        for name in module.__all__:
            yield f"{module.__name__}.{name}", getattr(module, name)


@pytest.mark.parametrize("module", PUBLIC)
def test_what_is_exported_is_there_and_in_order(module: str) -> None:
    loaded = importlib.import_module(module)
    exported = loaded.__all__
    assert list(exported) == sorted(set(exported))
    imported = {
        alias.asname or alias.name
        for node in ast.parse(Path(inspect.getfile(loaded)).read_text()).body
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    assert imported <= set(exported), "what is imported here is exported here"
    assert all(hasattr(loaded, name) for name in exported)


def test_every_public_class_and_method_says_what_it_promises() -> None:
    silent = []
    for name, thing in public_objects():
        if not inspect.isclass(thing) and not callable(thing):
            continue
        if not inspect.getdoc(thing):
            silent.append(name)
        if inspect.isclass(thing):
            silent += [f"{name}.{m}" for m in _silent_members(thing)]
    assert silent == []


def _silent_members(cls: type) -> Iterator[str]:
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        function = member.fget if isinstance(member, property) else member
        if inspect.isfunction(function) and not inspect.getdoc(getattr(cls, name, None)):
            yield name


def test_the_reference_lists_exactly_the_public_names() -> None:
    page = (ROOT / "docs" / "reference.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(name.rpartition(".")[2] for name, _ in public_objects())


def test_every_error_is_exported_drawn_and_raised() -> None:
    classes = {
        name
        for name, thing in vars(errors).items()
        if inspect.isclass(thing) and issubclass(thing, errors.StateError) and name[0] != "_"
    }
    assert classes == set(errors.__all__)
    assert classes <= set(botstate_ext.__all__)
    source = "\n".join(p.read_text() for p in PACKAGE.rglob("*.py") if p.name != "errors.py")
    for name in classes - {"StateError"}:
        assert f"─ {name}" in (errors.__doc__ or "")
        assert f"{name}(" in source, f"nothing raises {name}"


# Sizes


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.name)
def test_a_function_is_one_thing(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body
            start = body[1] if len(body) > 1 and ast.get_docstring(node) else body[0]
            length = (node.end_lineno or 0) - start.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{path.name}: {node.name} has {length} lines"
