"""A stored document never executes, imports or overwrites anything but what the list allows."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import jsonpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botstate_ext.errors import StateDecodeError
from botstate_ext.serialization.allow_list import AllowList
from botstate_ext.serialization.json_text import is_plain
from botstate_ext.serialization.jsonpickle import expand_references, flatten, restore, to_plain
from tests.examples import examples
from tests.serialization import models, strategies

ALLOWED = AllowList(models.TYPES)
MODELS = "tests.serialization.models"
# A module of the standard library that nothing here imports.
UNUSED = "antigravity"


# What the standard library opens to look for a time zone: data.
ZONE_PACKAGES = {"zoneinfo", "tzdata"}


def _packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def reduce(function: str, *args: Any, tag: str = "py/type") -> dict[str, Any]:
    return {"py/reduce": [{tag: function}, {"py/tuple": list(args)}]}


EXECUTING = [
    reduce("os.system", "MARK", tag="py/function"),
    reduce("os.system", "MARK"),
    reduce("subprocess.Popen", "MARK"),
    reduce("subprocess.check_output", {"py/tuple": ["sh", "-c", "MARK"]}, tag="py/function"),
    reduce("builtins.eval", "MARK", tag="py/function"),
    reduce("builtins.exec", "MARK"),
    reduce("botbuilder.core.bot_framework_adapter.os.system", "MARK"),
    reduce("botbuilder.schema._models_py3.Activity.__init__.__globals__", "MARK"),
    reduce(f"{MODELS}.Plain", "MARK"),
    reduce("botbuilder.schema._models_py3.Activity", "MARK"),
    reduce("builtins.getattr", {"py/type": f"{MODELS}.Plain"}, "__init__", tag="py/function"),
    reduce("builtins.getattr", {"py/type": f"{MODELS}.Colour"}, "__init__", tag="py/function"),
    reduce("builtins.getattr", {"py/mod": "os/os"}, "system", tag="py/function"),
    reduce("functools.partial", {"py/function": "os.system"}, "MARK"),
    reduce("importlib.import_module", UNUSED, tag="py/function"),
    reduce(f"{UNUSED}.anything", "MARK"),
    reduce("copyreg.__newobj__", {"py/type": "subprocess.Popen"}, "MARK", tag="py/function"),
    {"py/reduce": ["py/newobj", {"py/tuple": [{"py/type": "subprocess.Popen"}, "MARK"]}]},
    {"py/reduce": [{"py/type": "datetime.timedelta"}, {"py/tuple": [1]}, {"__class__": "MARK"}]},
    {"py/reduce": [reduce("os.system", "MARK"), {"py/tuple": []}]},
    {"py/object": "subprocess.Popen", "py/newargs": {"py/tuple": ["MARK"]}},
    {"py/object": "subprocess.Popen", "py/initargs": {"py/tuple": ["MARK"]}},
    {"py/object": f"{UNUSED}.Anything"},
    {"py/object": "builtins.object", "py/reduce": [{"py/function": "os.system"}, ["MARK"]]},
    {"py/object": f"{MODELS}.Plain", "py/initargs": {"py/tuple": ["MARK"]}},
    {"py/function": "os.system"},
    {"py/type": "subprocess.Popen"},
    {"py/type": f"{UNUSED}.Anything"},
    {"py/repr": "os/os.system('MARK')"},
    {"py/mod": f"{UNUSED}/{UNUSED}"},
    {"py/property": {"py/function": "os.system"}},
    {"py/ref": "/a"},
    {"py/iterator": [1]},
]

NESTINGS: dict[str, Any] = {
    "alone": lambda attack: attack,
    "list": lambda attack: [1, [attack]],
    "dict": lambda attack: {"a": {"b": attack}},
    "tuple": lambda attack: {"py/tuple": [attack]},
    "set": lambda attack: {"py/set": [attack]},
    "attribute": lambda attack: {"py/object": f"{MODELS}.Plain", "a": attack},
    "state": lambda attack: {"py/object": f"{MODELS}.WithState", "py/state": {"kept": attack}},
    "newargs": lambda attack: {
        "py/object": f"{MODELS}.Point", "py/newargs": {"py/tuple": [attack, 1]}},
    "newargsex": lambda attack: {
        "py/object": f"{MODELS}.Plain", "py/newargsex": [{"py/tuple": []}, {"a": attack}]},
    "seq": lambda attack: {"py/object": f"{MODELS}.Words", "py/seq": [attack]},
    "dict attributes": lambda attack: {"py/object": f"{MODELS}.Headers", "__dict__": {"a": attack}},
    "factory": lambda attack: {"py/object": "collections.defaultdict", "default_factory": attack},
    "own factory": lambda attack: {"py/object": f"{MODELS}.Lists", "default_factory": attack},
    "reduce argument": lambda attack: reduce(f"{MODELS}.Colour", attack),
    "reduce state": lambda attack: {"py/reduce": [
        {"py/type": "isodate.tzinfo.FixedOffset"}, {"py/tuple": []}, {"a": attack}]},
    "reduce items": lambda attack: {"py/reduce": [
        {"py/type": "collections.deque"}, {"py/tuple": []}, None, {"py/tuple": [attack]}]},
    "zone": lambda attack: {"py/object": "datetime.datetime", "__reduce__": [
        {"py/type": "datetime.datetime"}, ["B+gBAgMEBQpYcA==", attack]]},
}  # fmt: skip


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("attack", EXECUTING, ids=lambda attack: json.dumps(attack)[:60])
def test_it_executes_and_imports_nothing(attack: Any, nesting: str, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    text = json.dumps(NESTINGS[nesting](attack)).replace("MARK", f"touch {marker}")
    before = set(sys.modules)
    with pytest.raises(StateDecodeError):
        restore(json.loads(text), ALLOWED)
    # Where a type is declared, names are passed by, and what is not data is refused.
    with contextlib.suppress(StateDecodeError):
        assert is_plain(to_plain(json.loads(text)))
    assert set(sys.modules) == before
    assert not marker.exists()


def test_jsonpickle_itself_executes_such_a_document(tmp_path: Path) -> None:
    # Were this ever to fail, the tests above would prove nothing.
    marker = tmp_path / "executed"
    text = json.dumps(reduce("os.system", f"touch {marker}", tag="py/function"))
    jsonpickle.decode(text)  # noqa: S301 - that is the point
    assert marker.exists()


def test_names_are_checked_before_anything_is_made() -> None:
    made: list[Any] = []

    class Witness:
        def __setstate__(self, state: Any) -> None:
            made.append(state)

    allowed = AllowList([Witness])
    witness = {"py/object": allowed.name_of(Witness), "py/state": {"a": 1}}
    with pytest.raises(StateDecodeError, match=r"os\.system"):
        restore([witness, {"py/function": "os.system"}], allowed)
    assert made == []
    restore([witness], allowed)
    assert made == [{"a": 1}]


def test_a_refused_name_is_shown_short_and_values_are_not() -> None:
    with pytest.raises(StateDecodeError) as caught:
        restore({"a": "secret", "b": {"py/object": "x" * 5000, "c": "secret"}}, ALLOWED)
    assert "xxx..." in str(caught.value)
    assert len(str(caught.value)) < 500
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "stored",
    [
        {"py/object": f"{MODELS}.Plain", "__class__": {"py/type": f"{MODELS}.Headers"}},
        {"py/object": f"{MODELS}.Plain", "__dict__": {"a": 1}},
        {"py/object": f"{MODELS}.Plain", "__init__": 1},
        {"py/object": f"{MODELS}.Plain", "__reduce__": [{"py/type": f"{MODELS}.Plain"}, []]},
        {"py/object": f"{MODELS}.Plain", "__setstate__": 1},
        {"py/object": f"{MODELS}.Plain", "__secret": 1},
        {"py/object": f"{MODELS}.PrivateSlots", "__class__": {"py/type": f"{MODELS}.Plain"}},
        {"py/object": f"{MODELS}.Headers", "__dict__": {"__class__": {"py/type": f"{MODELS}.Bag"}}},
        {"py/object": f"{MODELS}.Headers", "__dict__": [1]},
        {"py/object": f"{MODELS}.Plain", "py/state": {"__class__": {"py/type": f"{MODELS}.Words"}}},
        {"py/object": f"{MODELS}.Plain", "py/state": {"py/tuple": [None, {"__class__": 1}]}},
        {"py/object": f"{MODELS}.Plain", "py/state": [1]},
        {"py/object": f"{MODELS}.Slotted", "unknown": 1},
        {"py/object": f"{MODELS}.Plain", "py/seq": [1]},
        {"py/object": f"{MODELS}.Bag", "py/seq": [[]]},
        {"py/object": f"{MODELS}.Colour", "_value_": 3},
        {"py/object": f"{MODELS}.Colour"},
        {"py/object": f"{MODELS}.Point"},
        {"py/object": f"{MODELS}.Point", "py/newargs": {"py/tuple": [1]}},
        {"py/object": f"{MODELS}.Point", "py/newargs": 1},
        {"py/object": f"{MODELS}.Point", "py/newargsex": [{"py/tuple": [1, 2]}]},
        {"py/object": f"{MODELS}.Point", "py/newargsex": [{"py/tuple": [1, 2]}, [1]]},
        {"py/object": f"{MODELS}.Attrs", "py/newargs": {"py/tuple": [[]], "a": 1}},
        {"py/object": f"{MODELS}.WithState", "py/state": {}},
        {"py/object": "builtins.dict", "a": 1},
        {"py/object": "builtins.list", "py/seq": [1]},
        {"py/object": "builtins.int", "py/newargs": {"py/tuple": ["5"]}},
        {"py/object": "builtins.bytes", "py/newargs": {"py/tuple": [1000]}},
        {"py/object": "builtins.complex", "py/newargs": {"py/tuple": ["1"]}},
        {"py/object": "collections.OrderedDict", "a": 1},
        {"py/object": "collections.deque", "py/seq": [1]},
        {"py/object": "datetime.timedelta"},
        {"py/object": "datetime.timezone"},
        {"py/object": "decimal.Decimal"},
        {"py/object": "uuid.UUID", "hex": "z"},
        {"py/object": "isodate.tzinfo.FixedOffset"},
        reduce(f"{MODELS}.Colour", 99),
        reduce(f"{MODELS}.Colour", []),
        reduce(f"{MODELS}.Colour", 1, 2),
        reduce("builtins.list", [1]),
        reduce("builtins.int", "5"),
        reduce("builtins.frozenset", [[]]),
        reduce("builtins.frozenset", 5),
        reduce("collections.Counter", 5),
        reduce("collections.deque", [], "x"),
        reduce("collections.deque", [], 1, 2),
        reduce("datetime.timezone", 5),
        reduce("datetime.timedelta", 10**400),
        reduce("zoneinfo.ZoneInfo._unpickle", "../../etc/passwd", 1, tag="py/function"),
        reduce("zoneinfo.ZoneInfo._unpickle", "/etc/passwd", 1, tag="py/function"),
        reduce("zoneinfo.ZoneInfo._unpickle", "Europe", 1, tag="py/function"),
        reduce("zoneinfo.ZoneInfo._unpickle", "No/Such", 1, tag="py/function"),
        reduce("zoneinfo.ZoneInfo._unpickle", tag="py/function"),
        reduce("pytz._p", "a", 10**9, 0, "b", tag="py/function"),
        reduce("pytz._p", "a", 10**99, 0, "b", tag="py/function"),
        reduce("pytz._p", "a", 1, 0, 5, tag="py/function"),
        reduce("isodate.tzinfo.FixedOffset"),
        {"py/reduce": [{"py/type": "collections.OrderedDict"}, {"py/tuple": []}, None, None, [1]]},
        {"py/reduce": [{"py/type": "collections.OrderedDict"}, {"py/tuple": []}, None, None, 1]},
        {"py/set": [[]]},
        {"py/set": {"a": 1}},
        {"py/tuple": [1], "a": 1},
        {"py/tuple": [1], "py/set": [1]},
        {"py/type": 1},
        {"py/function": None},
        {"py/object": ["a"]},
        {"py/object": {}},
        {"py/b64": "\u00e9"},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_what_jsonpickle_does_not_write_is_refused(stored: Any) -> None:
    before = set(sys.modules)
    with pytest.raises(StateDecodeError):
        restore({"a": [stored]}, ALLOWED)
    assert _packages(set(sys.modules) - before) <= ZONE_PACKAGES


def test_keys_that_jsonpickle_could_decode_stay_text() -> None:
    key = 'json://{"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["true"]}]}'
    assert restore({key: 1}, ALLOWED) == {key: 1}
    assert flatten({key: 1}, ALLOWED) == {key: 1}
    assert vars(restore({"py/object": f"{MODELS}.Plain", key: 1}, ALLOWED)) == {key: 1}


def test_a_reference_that_was_not_expanded_is_refused() -> None:
    with pytest.raises(StateDecodeError, match="py/id"):
        restore({"a": {"py/id": 1}}, ALLOWED)


def test_depth_is_limited() -> None:
    for wrap in (
        lambda value: [value],
        lambda value: {"py/tuple": [value]},
        lambda value: {"py/object": f"{MODELS}.Plain", "a": value},
        lambda value: reduce("collections.deque", value),
    ):
        stored: Any = 1
        for _ in range(20_000):
            stored = wrap(stored)
        with pytest.raises(StateDecodeError, match="too deeply"):
            restore(stored, ALLOWED)
        while isinstance(stored, (list, dict)):  # freeing it at once would recurse
            stored = next(iter(stored if isinstance(stored, list) else stored.values()))


def test_errors_of_the_apps_own_code_are_errors_of_reading() -> None:
    class Strict:
        def __setstate__(self, state: Any) -> None:
            raise OSError("its own trouble")

    allowed = AllowList([Strict])
    with pytest.raises(StateDecodeError, match="__setstate__") as caught:
        restore({"py/object": allowed.name_of(Strict), "py/state": {}}, allowed)
    assert isinstance(caught.value.__cause__, OSError)


@given(strategies.TAGGED_JSON)
@settings(max_examples=examples(500), deadline=None)
def test_any_json_is_restored_or_refused(value: Any) -> None:
    restore({"py/object": "botbuilder.schema._models_py3.Activity"}, ALLOWED)
    before = set(sys.modules)
    try:
        restored = restore(expand_references({"value": value})["value"], ALLOWED)
    except StateDecodeError:
        pass
    else:
        assert _classes(restored) <= _expected_classes()
    assert _packages(set(sys.modules) - before) <= ZONE_PACKAGES


@given(st.lists(strategies.TAGGED_JSON))
@settings(max_examples=examples(100), deadline=None)
def test_with_an_empty_list_no_class_of_an_app_is_made(values: list[Any]) -> None:
    try:
        restored = restore(values, AllowList())
    except StateDecodeError:
        return
    assert not [cls for cls in _classes(restored) if cls.__module__ == MODELS]


def _expected_classes() -> set[type]:
    return {*models.TYPES} | {cls for cls in map(ALLOWED.find, _known_names()) if cls is not None}


def _known_names() -> list[str]:
    from botstate_ext.serialization.allow_list import STANDARD_TYPES

    return [
        *STANDARD_TYPES, "builtins.NoneType", "botbuilder.schema._models_py3.Activity",
    ]  # fmt: skip


def _classes(value: Any) -> set[type]:
    found = {type(value)} - {type(None), type}
    found -= {cls for cls in found if cls.__module__ in ("zoneinfo", "enum")}
    if isinstance(value, dict):
        for item in value.items():
            found |= _classes(item[0]) | _classes(item[1])
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            found |= _classes(item)
    if hasattr(value, "__dict__") and not isinstance(value, type):
        for item in vars(value).values():
            found |= _classes(item)
    return found
