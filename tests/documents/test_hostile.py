"""Documents that someone wrote to do harm, or that are damaged: nothing runs, nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from botstate_ext import StateDecodeError
from botstate_ext.serialization import json_text
from botstate_ext.storage import as_state_storage
from tests.backends import body, make, plant, storage  # noqa: F401 - a fixture
from tests.turns import Bot, StateMiddleware, StateScopes, Storage, TurnContext, context

KEY = "test/users/user"


@dataclass
class Profile:
    name: str = ""


class Sample:
    def __init__(self, name: str | None = None) -> None:
        self.name = name


def _attacks(command: list[str], module: str) -> dict[str, Any]:
    popen = {"py/type": "subprocess.Popen"}
    call = {"py/reduce": [popen, {"py/tuple": [command]}]}
    through_sdk = "botbuilder.core.bot_framework_adapter.os.system"
    return {
        "reduce": call,
        "reduce of a function": {
            "py/reduce": [{"py/function": "subprocess.Popen"}, {"py/tuple": [command]}]
        },
        "reduce with state": {"py/reduce": [popen, {"py/tuple": [command]}, {"x": 1}, None, None]},
        "function": {"py/function": "os.system"},
        "object": {"py/object": "subprocess.Popen", "args": command},
        "object with new's arguments": {
            "py/object": "subprocess.Popen",
            "py/newargs": {"py/tuple": [command]},
        },
        "object with named arguments": {
            "py/object": "subprocess.Popen",
            "py/newargsex": [{"py/tuple": []}, {"args": command}],
        },
        "through a module of the SDK": {
            "py/reduce": [{"py/type": through_sdk}, {"py/tuple": [" ".join(command)]}]
        },
        "an attribute of an allowed class": {
            "py/reduce": [
                {"py/type": "botbuilder.schema._models_py3.Activity.__init__.__globals__"},
                {"py/tuple": []},
            ]
        },
        "getattr": {
            "py/reduce": [{"py/function": "builtins.getattr"}, {"py/tuple": [popen, "__init__"]}]
        },
        "nested": {"a": [{"b": {"py/tuple": [call]}}]},
        "in a list": [1, call],
        "in an allowed object": {
            "py/object": "botbuilder.dialogs.dialog_state.DialogState",
            "dialog_stack": [call],
        },
        "in a set": {"py/set": [call]},
        "as a key's value in state": {
            "py/object": "botbuilder.schema._models_py3.Activity",
            "py/state": {"text": call},
        },
        "repr": {"py/repr": f"{module}/{module}.run()"},
        "module": {"py/mod": f"{module}/{module}"},
        "type": {"py/type": f"{module}.Class"},
        "iterator": {"py/iterator": [call]},
        "default factory": {
            "py/object": "collections.defaultdict",
            "default_factory": {"py/function": "os.system"},
        },
        "import": {"py/object": f"{module}.Class"},
        "eval": {"py/reduce": [{"py/type": "builtins.eval"}, {"py/tuple": ["1"]}]},
    }


ATTACKS = tuple(_attacks([], "m"))


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The attacks, with a command and a module that leave a trace if they are ever run."""
    trace = tmp_path / "trace"
    module = tmp_path / "hostile_module.py"
    text = f"import pathlib; pathlib.Path({str(trace)!r}).write_text('x'); Class = run = dict"
    module.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    command = [sys.executable, str(module)]
    started: list[str] = []
    start: Any = subprocess.Popen.__init__

    def note(*args: Any, **options: Any) -> None:
        started.append(repr((args[1:], options)))
        start(*args, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", note)
    return {"attacks": _attacks(command, "hostile_module"), "trace": trace, "started": started}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", ["memory", "upstream memory"])
async def test_nothing_is_run_or_imported(
    kind: str, attack: str, trap: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    storage = make(kind, request)  # noqa: F811
    text = json.dumps({"good": 1, "bad": trap["attacks"][attack]})
    await _is_harmless(storage, text.encode(), trap)


@pytest.mark.parametrize("kind", ["blob", "upstream blob"])
async def test_nothing_is_run_or_imported_from_a_blob(
    kind: str, azurite: str, request: pytest.FixtureRequest, trap: dict[str, Any]
) -> None:
    storage = make(kind, request)  # noqa: F811
    for attack in trap["attacks"].values():
        # As an attacker may spell it: the tags' names escaped.
        text = json.dumps({"good": 1, "bad": attack}).replace("py/", "\\u0070y\\/")
        await _is_harmless(storage, text.encode(), trap)
    await as_state_storage(storage).aclose()


async def _is_harmless(storage: Storage, text: bytes, trap: dict[str, Any]) -> None:  # noqa: F811
    planted = await plant(storage, KEY, text)
    modules = {*sys.modules}
    states = StateScopes(storage, types=[Profile])
    bot = Bot(StateMiddleware(states))
    bad = states.user.create_property("bad")

    async def reads(turn: TurnContext) -> None:
        assert await states.user.create_property("good").get(turn) == 1
        with pytest.raises(StateDecodeError) as raised:
            await bad.get(turn)
        assert (raised.value.key, raised.value.property_name) == (KEY, "bad")
        try:
            mapping: dict[str, Any] = {**(states.user.get(turn) or {})}
            assert json_text.is_plain(mapping), "it is shown as plain JSON"
        except StateDecodeError as error:
            assert error.property_name == "bad"  # noqa: PT017 - either is right
        with pytest.raises(StateDecodeError):
            await bad.get(turn)

    async def reads_as_a_class(turn: TurnContext) -> None:
        # The data's class is not asked for then: its attributes are data, or it is refused.
        try:
            assert type(await bad.get(turn, Sample)) is Sample
        except StateDecodeError as error:
            assert error.property_name == "bad"  # noqa: PT017 - either is right

    await bot.turn(reads)
    await bot.turn(reads_as_a_class)
    assert "hostile_module" not in sys.modules
    assert not {m for m in {*sys.modules} - modules if m.startswith(("subprocess", "hostile"))}
    assert not trap["trace"].exists()
    # The Blob driver itself starts programs, to learn what machine this is.
    assert not [command for command in trap["started"] if "hostile" in command]
    assert await body(storage, KEY) == planted


async def test_another_property_is_changed_and_the_hostile_one_stays_as_it_was() -> None:
    storage = make("memory", None)  # type: ignore[arg-type]  # noqa: F811 - memory needs none
    bad = b'{"py/reduce": [{"py/type": "subprocess.Popen"}, {"py/tuple": [["x"]]}]}'
    await plant(storage, KEY, b'{"bad": ' + bad + b', "good": 1}')
    states, turn = StateScopes(storage), context()
    await states.user.create_property("good").set(turn, 2)
    await states.user.save_changes(turn)
    stored = await body(storage, KEY)
    assert stored is not None
    assert stored.startswith(b'{"bad":' + bad + b',"good":2,')


# Damaged documents


def _deep(levels: int) -> bytes:
    return b'{"a":' + b"[" * levels + b"]" * levels + b"}"


UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"<html>",
    "cut off": b'{"a":1,"b":"se',
    "array": b'["secret"]',
    "text": b'"secret"',
    "null": b"null",
    "two documents": b"{}{}",
    "10,000 levels": _deep(10_000),
    "a name that is not UTF-8": b'{"\xff":1}',
    "state is text": b'{"a":1,"$state":"secret"}',
    "state is an array": b'{"a":1,"$state":["secret"]}',
    "a wrong type in state": b'{"a":1,"$state":{"v":"secret"}}',
    "a time that is none": b'{"a":1,"$state":{"v":1,"created":"secret"}}',
    "a time without a zone": b'{"a":1,"$state":{"v":1,"props":{"a":'
    b'{"expires":"2030-01-01T00:00:00"}}}}',
    "a newer format": b'{"a":1,"$state":{"v":2}}',
    "a number too large": b'{"a":1,"$state":{"v":1' + b"0" * 400 + b"}}",
    "writes that are none": b'{"a":1,"$state":{"v":1,"writes":[1]}}',
    "a reference to nothing": b'{"a":{"py/id":99}}',
    "a reference to itself": b'{"a":{"b":{"py/id":2}}}',
}


@pytest.mark.parametrize("case", UNREADABLE)
async def test_a_damaged_document_is_an_error_and_stays_as_it_was(case: str) -> None:
    storage = make("memory", None)  # type: ignore[arg-type]  # noqa: F811 - memory needs none
    await _fails_clearly(storage, UNREADABLE[case])


@pytest.mark.parametrize("kind", ["blob", "upstream blob"])
async def test_damaged_blobs_are_errors_and_stay_as_they_were(
    kind: str, request: pytest.FixtureRequest
) -> None:
    storage = make(kind, request)  # noqa: F811
    for text in UNREADABLE.values():
        await _fails_clearly(storage, text)
    await as_state_storage(storage).aclose()


async def _fails_clearly(storage: Storage, text: bytes) -> None:  # noqa: F811
    planted = await plant(storage, KEY, text)
    states = StateScopes(storage)
    bot = Bot(StateMiddleware(states))
    value = states.user.create_property("a")

    async def tries(turn: TurnContext) -> None:
        attempts = [
            value.get(turn),
            value.set(turn, 1),
            value.delete(turn),
            value.update(turn, lambda v: 1, default=0),
            states.user.clear_state(turn),
            states.user.save_changes(turn, force=True),
        ]
        for attempt in attempts:
            with pytest.raises(StateDecodeError) as raised:
                await attempt
            assert (raised.value.scope, raised.value.key) == ("user", KEY)
            assert "secret" not in str(raised.value)
        # The other documents of the turn are not touched by it.
        await states.conversation.create_property("fine").set(turn, 1)

    await bot.turn(tries)
    assert await body(storage, KEY) == planted
    assert await states.conversation.create_property("fine").get(context()) == 1

    async def recovers(turn: TurnContext) -> None:
        await states.user.delete(turn)
        await value.set(turn, "anew")

    await bot.turn(recovers)
    assert await value.get(context()) == "anew"


READABLE: dict[str, bytes] = {
    "NaN": b'{"a":NaN,"good":1}',
    "infinity": b'{"a":[-Infinity,1e999],"good":1}',
    "lone surrogates": b'{"a":"\\ud83d","\\udc00":2,"good":1}',
    "not UTF-8 in a text": b'{"a":"\xff","good":1}',
    "a name twice": b'{"a":1,"a":2,"good":1}',
    "an empty name": b'{"":1,"good":1}',
    "e_tag is an object": b'{"e_tag":{"x":1},"good":1}',
    "unknown entries in state": b'{"good":1,"$state":{"v":1,"future":{"x":[1]}}}',
    "state of what is not there": b'{"good":1,"$state":{"v":1,"props":{"gone":{"version":3}}}}',
    "ended long ago": b'{"good":1,"old":2,"$state":{"v":1,"props":{"old":'
    b'{"expires":"0001-01-01T00:00:00+23:59"}}}}',
    "ends in a far zone": b'{"good":1,"$state":{"v":1,"props":{"good":'
    b'{"expires":"9999-12-31T23:59:59-23:59"}}}}',
    "a million writes": b'{"good":1,"$state":{"v":1,"writes":[' + b'"x",' * 99_999 + b'"x"]}}',
    "negative format": b'{"good":1,"$state":{"v":-1}}',
    "empty state": b'{"good":1,"$state":{}}',
    "UTF-16": '{"a":1,"good":1}'.encode("utf-16"),
    "10 MB": b'{"a":"' + b"x" * 10_000_000 + b'","good":1}',
}


@pytest.mark.parametrize("case", READABLE)
async def test_what_is_odd_leaves_the_rest_usable(case: str) -> None:
    storage = make("memory", None)  # type: ignore[arg-type]  # noqa: F811 - memory needs none
    planted = await plant(storage, KEY, READABLE[case])
    states = StateScopes(storage)
    bot, good = Bot(StateMiddleware(states)), states.user.create_property("good")

    async def reads(turn: TurnContext) -> None:
        assert await good.get(turn) == 1

    async def changes(turn: TurnContext) -> None:
        await good.set(turn, 2)

    await bot.turn(reads)
    if case != "ended long ago":  # what has ended is removed by the turn that sees it
        assert await body(storage, KEY) == planted
    await bot.turn(changes)
    assert await good.get(context()) == 2
    stored = await body(storage, KEY)
    assert stored is not None
    assert len(stored) < len(planted) + 400


# The driver hands a body to aiohttp in one piece, which aiohttp advises against.
@pytest.mark.blob
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_ten_megabytes_from_a_blob(request: pytest.FixtureRequest) -> None:
    storage = make("blob", request)  # noqa: F811
    await plant(storage, KEY, READABLE["10 MB"])
    states, turn = StateScopes(storage), context()
    assert len(await states.user.create_property("a", str).get(turn, "")) == 10_000_000
    await states.user.save_changes(turn)
    await as_state_storage(storage).aclose()


@pytest.mark.parametrize("name", ["$state", "e_tag", "py/id", "py/object"])
async def test_reserved_names_are_refused(name: str) -> None:
    states = StateScopes(make("memory", None))  # type: ignore[arg-type]  # memory needs none
    with pytest.raises(ValueError, match="reserved"):
        states.user.create_property(name)
