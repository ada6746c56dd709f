"""The public names of this host: none of the other host's is forgotten."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

import botstate_ext
from botstate_ext import agents
from botstate_ext.agents import scopes
from botstate_ext.scopes import kinds, scope, state_property
from botstate_ext.states import state_scopes
from botstate_ext.turn import middleware


def names(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def options(function: Any) -> dict[str, Any]:
    return {
        name: (parameter.kind, parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
    }


PAIRS = [
    (agents.StateScopes, state_scopes.StateScopes),
    (agents.StateMiddleware, middleware.StateMiddleware),
    (scopes.AgentProperty, state_property.StateProperty),
    *((scopes.KINDS[name], kinds.KINDS[name]) for name in kinds.KINDS),
    (scopes.OwnScope, kinds.OwnScope),
]


@pytest.mark.parametrize(("ours", "other"), PAIRS, ids=lambda cls: cls.__name__)
def test_every_name_and_option_of_the_other_host_is_here(ours: type, other: type) -> None:
    assert names(other) <= names(ours)
    taken = options(ours)
    assert {n: o for n, o in options(other).items() if n != "storage"}.items() <= taken.items()
    for name in names(other):
        method, theirs = getattr(ours, name), getattr(other, name)
        if inspect.isfunction(theirs) and name != "on_turn":  # this SDK's next step is another
            assert options(theirs).keys() <= options(method).keys(), name


def test_the_table_of_scopes_is_the_same() -> None:
    assert list(scopes.KINDS) == list(kinds.KINDS)
    assert issubclass(scopes.UserState, scope.StateScope)


@pytest.mark.parametrize("cls", [getattr(agents, name) for name in agents.__all__])
def test_every_public_name_says_what_it_promises(cls: Any) -> None:
    assert inspect.getdoc(cls)
    for name, member in vars(cls).items() if inspect.isclass(cls) else ():
        function = member.fget if isinstance(member, property) else member
        if inspect.isfunction(function) and not name.startswith("_"):
            assert inspect.getdoc(function), name


def test_what_works_on_either_host_is_imported_from_the_package() -> None:
    for name in set(botstate_ext.__all__) - {
        "BotScopeState", "ConversationState", "PrivateConversationState", "SharedState",
        "StateMiddleware", "StateScopes", "UserState", "WorkflowState",
    }:  # fmt: skip
        assert getattr(botstate_ext, name) is not None


def test_a_name_of_the_other_host_says_where_this_ones_is() -> None:
    with pytest.raises(ImportError, match=r"import from botstate_ext\.agents"):
        _ = botstate_ext.StateScopes


def test_nothing_of_the_other_sdk_is_imported() -> None:
    code = (
        "import sys, botstate_ext.agents, botstate_ext.aiohttp\n"
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('botbuilder', 'botframework', 'msrest', 'jsonpickle')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
