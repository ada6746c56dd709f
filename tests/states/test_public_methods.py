"""StateScopes and its scopes have the methods that the reference lists, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from botbuilder.core import BotState

from botstate_ext.scopes.scope import StateScope
from botstate_ext.storage import MemoryStorage
from tests.turns import StateScopes

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_reference_lists_exactly_the_public_methods() -> None:
    listed = re.findall(r"^\| `states\.(\w+)", REFERENCE.read_text(), re.MULTILINE)
    assert sorted(listed) == [name for name in dir(StateScopes) if not name.startswith("_")]


def test_the_reference_lists_exactly_the_methods_of_a_scope() -> None:
    listed = set(re.findall(r"^\| `scope\.(\w+)", REFERENCE.read_text(), re.MULTILINE))
    methods = {name for name, it in vars(StateScope).items() if callable(it) and name[0] != "_"}
    assert methods == listed | (methods & set(dir(BotState)))
    assert listed <= methods


def test_the_attributes_of_an_object_are_its_scopes() -> None:
    states = StateScopes(MemoryStorage())
    public = {name for name in vars(states) if not name.startswith("_")}
    assert public == {scope.scope_name for scope in states}
