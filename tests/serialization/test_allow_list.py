from __future__ import annotations

import importlib
import subprocess
import sys
from collections import OrderedDict
from types import ModuleType

import pytest
from botbuilder.dialogs import DialogState
from botbuilder.schema import Activity, ErrorResponseException

from botstate_ext import StateDecodeError
from botstate_ext.serialization.allow_list import AllowList, allow_list, name_of
from botstate_ext.serialization.jsonpickle import restore
from botstate_ext.serialization.sdk_types import SDK_TYPES
from tests.serialization import models
from tests.serialization.models import Colour, Outer, Plain, Words

ENTRIES = [(module, name) for module, names in SDK_TYPES.items() for name in sorted(names)]


@pytest.mark.parametrize("module", sorted(SDK_TYPES))
def test_every_entry_is_a_class_of_that_very_module(module: str) -> None:
    if module.startswith("botbuilder.ai."):
        pytest.importorskip(module, reason="botbuilder-ai is not installed")
    for name in SDK_TYPES[module]:
        cls = AllowList().find(f"{module}.{name}")
        assert isinstance(cls, type)
        assert (cls.__module__, cls.__qualname__) == (module, name)
        assert AllowList().allows(cls)


@pytest.mark.parametrize(
    "module",
    [
        "botbuilder.schema._models_py3",
        "botbuilder.schema._connector_client_enums",
        "botbuilder.schema._sign_in_enums",
        "botbuilder.schema.teams._models_py3",
        "botbuilder.schema.teams.additional_properties",
    ],
)
def test_all_data_of_the_schema_is_listed(module: str) -> None:
    classes = {
        name
        for name, cls in vars(importlib.import_module(module)).items()
        if isinstance(cls, type) and cls.__module__ == module
    }
    data = {name for name in classes if not name.endswith("Exception")}
    assert SDK_TYPES[module] == data


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "posix.system",
        "subprocess.Popen",
        "functools.partial",
        "builtins.eval",
        "builtins.object",
        "builtins.type",
        "botbuilder.schema",
        "botbuilder.schema.Activity",
        "botbuilder.schema._models_py3.Activity.deserialize",
        "botbuilder.schema._models_py3.Activity.__init__.__globals__",
        "botbuilder.schema._models_py3.ErrorResponseException",
        "botbuilder.schema._models_py3.",
        "botbuilder.core.bot_framework_adapter.os.system",
        "botbuilder.core.foo.subprocess.Popen",
        "botbuilder.dialogs.dialog_state.DialogInstance",
        "botbuilder.dialogs.dialog_state.List",
        "tests.serialization.models",
        "tests.serialization.models.Plain.__init__",
        "tests.serialization.models.Words",
        "tests.serialization.models.Any",
        "Plain",
        "",
        ".",
        "collections",
        "__builtin__.eval",
    ],
)
def test_nothing_else_is_found(name: str) -> None:
    allowed = AllowList([Plain])
    before = set(sys.modules)
    assert not allowed.knows(name)
    assert allowed.find(name) is None
    assert set(sys.modules) == before


def test_types_are_allowed_exactly() -> None:
    class Sub(Plain):
        pass

    allowed = AllowList([Plain, Outer.Inner])
    assert allowed.allows(Plain)
    assert allowed.allows(Outer.Inner)
    assert not allowed.allows(Sub)
    assert not allowed.allows(Outer)
    assert allowed.find("tests.serialization.models.Outer.Inner") is Outer.Inner
    assert allowed.find("tests.serialization.models.Outer") is None


def test_a_class_that_claims_the_name_of_another_is_not_it() -> None:
    impostor = type("Activity", (), {"__module__": Activity.__module__})
    assert name_of(impostor) == name_of(Activity)
    assert not AllowList().allows(impostor)
    assert AllowList().allows(Activity)


def test_of_two_with_one_name_the_later_counts() -> None:
    newer = type("Plain", (), {"__module__": Plain.__module__})
    allowed = AllowList([Plain, newer])
    assert allowed.allows(newer)
    assert not allowed.allows(Plain)


def test_the_sdk_and_python_are_allowed_from_the_start() -> None:
    allowed = AllowList()
    assert allowed.allows(DialogState)
    assert allowed.allows(OrderedDict)
    assert not allowed.allows(ErrorResponseException)
    assert allowed.find("__builtin__.set") is set
    assert allowed.find("builtins.set") is set


def test_an_alias_finds_a_class_under_its_old_name() -> None:
    allowed = AllowList(aliases={"__main__.Plain": Plain, "old.place.Colour": Colour})
    assert allowed.find("__main__.Plain") is Plain
    assert allowed.find("old.place.Colour") is Colour
    assert allowed.allows(Plain)
    assert allowed.name_of(Plain) == "tests.serialization.models.Plain"
    assert allowed.find(allowed.name_of(Plain)) is Plain


def test_extending_leaves_the_original() -> None:
    original = AllowList([Plain], {"old.Colour": Colour})
    extended = original.extended(Words)
    assert extended.allows(Plain)
    assert extended.allows(Words)
    assert extended.find("old.Colour") is Colour
    assert not original.allows(Words)


@pytest.mark.parametrize("not_a_class", ["Plain", Plain(), list[int], None])
def test_only_classes_are_taken(not_a_class: object) -> None:
    with pytest.raises(TypeError, match="take classes"):
        AllowList([not_a_class])  # type: ignore[list-item]  # what the test is about
    with pytest.raises(TypeError, match="take classes"):
        AllowList(aliases={"x": not_a_class})  # type: ignore[dict-item]  # what the test is about


def test_a_package_that_is_not_installed_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "botbuilder.ai.qna.models.query_result"
    monkeypatch.setitem(sys.modules, name, None)
    allowed = AllowList()
    assert allowed.knows(f"{name}.QueryResult")
    assert allowed.find(f"{name}.QueryResult") is None


def test_its_repr_names_the_classes_of_the_app() -> None:
    assert repr(AllowList([Plain])) == "AllowList(tests.serialization.models.Plain)"


def test_importing_it_imports_neither_dialogs_nor_azure() -> None:
    program = (
        "import sys, botstate_ext.serialization.allow_list, botstate_ext.serialization.jsonpickle\n"
        "heavy = ('botbuilder.dialogs', 'azure.storage', 'botbuilder.azure', 'zoneinfo')\n"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "[]", "")


def module_of(source: str) -> ModuleType:
    """Return a module of an app with this source."""
    module = ModuleType("app_models")
    exec(source, vars(module))  # noqa: S102 - the source stands in this file
    return module


MODELS = """
from collections import namedtuple
from os import system
from subprocess import Popen
from dataclasses import dataclass
import os, subprocess
run = os.system
Aliased = subprocess.Popen
numbers = list[int]

class Proxy:
    @property
    def __class__(self):
        raise RuntimeError("there is no request")

proxy = Proxy()

@dataclass
class Order:
    class Line:
        class Note: ...

Point = namedtuple("Point", "x y")

class Shell(Popen): ...

def make():
    class Local: ...
    return Local
"""


def test_a_module_gives_the_classes_that_it_defines_and_nothing_else() -> None:
    allowed = allow_list([module_of(MODELS), Plain])
    own = {"Order", "Order.Line", "Order.Line.Note", "Point", "Proxy", "Shell"}
    found = {name for name in own if allowed.find(f"app_models.{name}") is not None}
    assert found == own
    assert allowed.allows(Plain)
    assert repr(allowed).count(",") == len(own), "and no other class"
    for name in (
        "system",
        "run",
        "os",
        "Popen",
        "Aliased",
        "subprocess.Popen",
        "os.system",
        "make",
    ):
        assert allowed.find(f"app_models.{name}") is None, name
    for name in ("os.system", "subprocess.Popen", "app_models", "app_models.Order.__init__"):
        assert allowed.find(name) is None, name


def test_a_class_that_a_module_gains_later_is_not_found() -> None:
    module = module_of("class Order: ...")
    allowed = allow_list([module])
    exec("class Later: ...", vars(module))  # noqa: S102 - as above
    assert allowed.find("app_models.Order") is vars(module)["Order"]
    assert allowed.find("app_models.Later") is None


def test_a_module_is_no_prefix() -> None:
    allowed = allow_list([models])
    assert allowed.allows(Plain)
    assert allowed.find("tests.serialization.test_allow_list.Plain") is None
    assert allowed.find("tests.serialization.older.Plain") is None


@pytest.mark.parametrize("source", ["", "from collections import OrderedDict", "x = 1"])
def test_a_module_that_defines_no_class_is_refused(source: str) -> None:
    with pytest.raises(TypeError, match="app_models defines no class"):
        allow_list([module_of(source)])


def test_a_module_alone_says_that_several_are_taken() -> None:
    with pytest.raises(TypeError, match=r"types=\[models\]"):
        allow_list(models)  # type: ignore[arg-type]  # the mistake


def refusal(value: object) -> str:
    with pytest.raises(StateDecodeError) as caught:
        restore(value, AllowList([Plain]))
    return caught.value.reason


def test_a_stored_class_that_is_missing_is_named_with_the_line_to_paste() -> None:
    assert refusal([{"py/object": "app.models.Order", "a": {"py/object": name_of(Plain)}}]) == (
        "it names 'app.models.Order', which is not allowed. If it is a class of yours, pass "
        'types=[Order] to StateScopes; if it moved, types={"old.module.Name": NewClass}.'
    )


def test_all_stored_classes_that_are_missing_are_named_at_once() -> None:
    lines = [{"py/object": "app.models.Line"}, {"py/type": "app.Order.Kind"}]
    assert refusal({"py/object": "app.models.Order", "lines": lines * 2}) == (
        "it names 'app.models.Order', 'app.models.Line', 'app.Order.Kind', which are not allowed. "
        "If they are classes of yours, pass types=[Order, Line, Kind] to StateScopes; if they "
        'moved, types={"old.module.Name": NewClass}.'
    )


def test_the_names_of_a_hostile_value_make_no_endless_message() -> None:
    names = [f"app.Class{number}" for number in range(1000)] + ["x" * 10_000, "a.b c\n]);evil()"]
    reason = refusal([{"py/object": name} for name in names])
    assert "and 982 more" in reason
    assert len(reason) < 1000
    for name in names[-2:]:
        reason = refusal({"py/object": name})
        assert len(reason) < 1000
        assert "\n" not in reason
        assert "types=[...]" in reason
