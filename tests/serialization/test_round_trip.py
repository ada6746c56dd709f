"""flatten and restore against the real jsonpickle, each reading what the other wrote."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import jsonpickle
import pytest
from botbuilder.schema import Activity, ActivityTypes, ChannelAccount
from hypothesis import given, settings

from botstate_ext.errors import StateDecodeError, StateEncodeError
from botstate_ext.serialization.allow_list import AllowList
from botstate_ext.serialization.comparison import difference
from botstate_ext.serialization.json_text import is_plain
from botstate_ext.serialization.jsonpickle import expand_references, flatten, parts, restore
from tests.examples import examples
from tests.serialization import strategies
from tests.serialization.models import (
    TYPES,
    Attrs,
    Bag,
    Celsius,
    Colour,
    Frozen,
    FrozenSlotted,
    Headers,
    Level,
    Lists,
    Name,
    Order,
    Ordered,
    Outer,
    Plain,
    PlainTuple,
    Point,
    PrivateSlots,
    Rights,
    Singleton,
    Size,
    Slotted,
    WithState,
    Words,
)

ALLOWED = AllowList(TYPES)

SAMPLES: list[Any] = [
    None, True, 3, 2**70, 1.5, "text", "\ud800", "py/object",
    [1, [2, {"a": None}]], {}, {"a": {"b": ()}},
    (1, (2,)), {1, 2}, {"b", "a"}, frozenset({3, 1}), b"\x00\xff", complex(1, -2),
    dt.datetime.fromisoformat("2024-02-29T23:59:59.999999"),
    dt.datetime(2024, 1, 2, tzinfo=dt.timezone.utc),
    dt.datetime(2024, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=-5), "EST")),
    dt.datetime(2024, 7, 2, tzinfo=ZoneInfo("Europe/Oslo")),
    dt.date(1, 1, 1), dt.time(23, 59, 59, 1), dt.time(1, tzinfo=dt.timezone.utc),
    dt.timedelta(days=-1, microseconds=7), dt.timezone.utc, ZoneInfo("America/New_York"),
    Decimal("1.50"), Decimal("Infinity"), uuid.UUID(int=7),
    OrderedDict([("b", 1), (2, 3)]), Counter("abb"), deque([1, [2]]), deque([1, 2], 5),
    defaultdict(list, a=[1]), defaultdict(None, a=1), defaultdict(float),
    Colour.RED, Colour.PAIR, Size.SMALL, Level.LOW, Rights.READ, Rights.READ | Rights.WRITE,
    Colour, int,
    Plain(), Plain(a=[Plain(b=(1,))], _c={"d": Colour.RED}), Outer.Inner(a=1),
    Order("a", [Order("b")]), Frozen(1, Frozen(2)), Slotted(1, [2]), FrozenSlotted(1, {"a": 2}),
    Attrs(1, Attrs(2)), Point(1, Point(2, [3])), PlainTuple([1, [2]]), Words([1, Words([2])]),
    Bag({1}), Headers(a=1, b=Headers()), Ordered(b=1, a=2), Lists(list, a=[1]), Name("Ann"),
    WithState([1]), PrivateSlots([1], None),
    {"user": ChannelAccount(id="1", name="Ann"), "type": ActivityTypes.message},
    Activity(type=ActivityTypes.message, timestamp=dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)),
]  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same class: ``1 == 1.0`` and ``(1,) == PlainTuple((1,))``."""
    return type(one) is type(other) and bool(one == other)


def upstream_decodes(flat: Any) -> Any:
    return jsonpickle.decode(json.dumps(flat))  # noqa: S301 - what upstream does is the question


def through_text(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("value", SAMPLES, ids=lambda value: type(value).__name__)
def test_each_reads_what_either_wrote(value: Any) -> None:
    flat = through_text(flatten(value, ALLOWED))
    theirs = json.loads(jsonpickle.encode({"value": value}))
    assert same(restore(flat, ALLOWED), value)
    assert same(upstream_decodes(flat), value)
    assert same(restore(expand_references(theirs)["value"], ALLOWED), value)


# A subclass of dict without attributes needs no empty "__dict__"; the items of a subclass of tuple,
# written twice, would double at every level; sets are in an order of our own.
WRITTEN_OTHERWISE = (Headers, Ordered, Lists, Point, PlainTuple, set, frozenset)


@pytest.mark.parametrize(
    "value",
    [value for value in SAMPLES if type(value) not in WRITTEN_OTHERWISE],
    ids=lambda value: type(value).__name__,
)
def test_flatten_writes_what_jsonpickle_writes(value: Any) -> None:
    theirs = expand_references(json.loads(jsonpickle.encode({"value": value})))["value"]
    assert through_text(flatten(value, ALLOWED)) == theirs


@given(strategies.VALUES)
@settings(max_examples=examples(150), deadline=None)
def test_any_value_comes_back(value: Any) -> None:
    flat = through_text(flatten(value, ALLOWED))
    assert same(restore(flat, ALLOWED), value)
    assert same(upstream_decodes(flat), value)


@given(strategies.shared_values())
@settings(max_examples=examples(150), deadline=None)
def test_what_jsonpickle_wrote_of_shared_values_comes_back(document: dict[str, Any]) -> None:
    theirs = json.loads(jsonpickle.encode(document))
    expanded = expand_references(theirs, numbers_dictionaries=True)
    assert restore(expanded, ALLOWED) == document
    assert expand_references(expanded) == expanded
    ours = through_text(flatten(document, ALLOWED))
    assert b"py/id" not in json.dumps(ours).encode()
    assert restore(ours, ALLOWED) == document


def test_attributes_of_collections_come_back() -> None:
    words, headers = Words([1]), Headers(a=1)
    words.note, headers.note = [2], [3]  # type: ignore[attr-defined]  # any attribute will do
    flat = flatten([words, headers], ALLOWED)
    for back in (restore(flat, ALLOWED), upstream_decodes(flat)):
        assert back == [words, headers]
        assert [back[0].note, back[1].note] == [[2], [3]]


def test_a_class_that_exists_in_a_function_only_is_restored_by_us() -> None:
    class Local(Plain):
        pass

    allowed = AllowList([Local])
    assert same(restore(flatten(Local(a=1), allowed), allowed), Local(a=1))


def test_an_alias_reads_a_class_that_moved() -> None:
    stored = {"py/object": "__main__.Plain", "a": {"py/reduce": [
        {"py/type": "old.Colour"}, {"py/tuple": [1]}]}}  # fmt: skip
    allowed = AllowList(aliases={"__main__.Plain": Plain, "old.Colour": Colour})
    restored = restore(stored, allowed)
    assert restored == Plain(a=Colour.RED)
    assert flatten(restored, allowed)["py/object"] == "tests.serialization.models.Plain"


def test_an_attribute_that_became_a_property_goes_through_its_setter() -> None:
    stored = {"py/object": "tests.serialization.models.Celsius", "degrees": 20.0}
    assert restore(stored, ALLOWED).__dict__ == {"_kelvin": pytest.approx(293.15)}
    assert flatten(Celsius(), ALLOWED) == {
        "py/object": "tests.serialization.models.Celsius",
        "_kelvin": 0.0,
    }


def test_fold_is_kept() -> None:
    moment = dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Oslo"))
    for value in (moment, moment.timetz().replace(tzinfo=None)):
        flat = flatten(value, ALLOWED)
        assert restore(flat, ALLOWED).fold == 1
        assert upstream_decodes(flat).fold == 1


@pytest.mark.parametrize(
    "text", ["2024-01-02T03:04:05.678Z", "2024-01-02T03:04:05+02:00", "2024-01-02T03:04:05-00:30"]
)
def test_the_zones_of_the_sdk_become_the_standard_librarys(text: str) -> None:
    moment = Activity.deserialize({"type": "message", "timestamp": text}).timestamp
    assert type(moment.tzinfo).__module__ == "isodate.tzinfo"
    theirs = json.loads(jsonpickle.encode(moment))
    for flat in (theirs, flatten(moment, ALLOWED)):
        restored = restore(flat, ALLOWED)
        assert (restored, restored.utcoffset()) == (moment, moment.utcoffset())
        assert type(restored.tzinfo) is dt.timezone
    assert upstream_decodes(flatten(moment, ALLOWED)) == moment


def test_the_zones_of_pytz_are_read_as_fixed_ones() -> None:
    pytz = pytest.importorskip("pytz")
    for moment in (
        dt.datetime(2024, 7, 1, tzinfo=pytz.utc),
        pytz.timezone("Europe/Oslo").localize(dt.datetime.fromisoformat("2024-07-01T12:00")),
    ):
        restored = restore(json.loads(jsonpickle.encode(moment)), ALLOWED)
        assert (restored, restored.utcoffset()) == (moment, moment.utcoffset())
        with pytest.raises(StateEncodeError, match=r"pytz.*zoneinfo"):
            flatten(moment, ALLOWED)


def test_members_that_python_3_11_0_pickled_by_name() -> None:
    stored: Any = {"py/reduce": [{"py/function": "builtins.getattr"}, {"py/tuple": [
        {"py/type": "tests.serialization.models.Colour"}, "RED"]}]}  # fmt: skip
    assert restore(stored, ALLOWED) is Colour.RED
    stored["py/reduce"][1]["py/tuple"][1] = "__class__"
    with pytest.raises(StateDecodeError):
        restore(stored, ALLOWED)


@pytest.mark.parametrize(
    "value",
    [
        {2: "a", 1.5: "b", True: "c", None: "d", Size.SMALL: "e"},
        {(1, 2): 3, b"a": 1, Level.LOW: 1, 1: 2, "1": 3},
        {"py/object": "os.system"},
        {"text": {"py/unknown": 1}},
        {"py/b64": "AAAA"},
        OrderedDict(a={"py/id": 1}),
        {Name("py/object"): 1},
        Counter({"py/object": 1, 2: 3}),
    ],
)
def test_any_key_of_a_dictionary_comes_back_as_it_was(value: Any) -> None:
    flat = through_text(flatten(value, ALLOWED))
    assert not is_plain(value)
    for back in (restore(flat, ALLOWED), upstream_decodes(flat)):
        assert difference(value, back) is None


@pytest.mark.parametrize("value", [Headers({"py/reduce": []}), Plain(**{"py/state": {}})])
def test_data_never_becomes_a_tag(value: Any) -> None:
    with pytest.raises(StateEncodeError, match="py/"):
        flatten(value, ALLOWED)
    assert not is_plain(value)


@pytest.mark.parametrize(
    "value",
    [Headers({"__dict__": {}}), Lists(list, {"default_factory": []}), Plain(__class__=int)],
)
def test_data_never_becomes_what_jsonpickle_keeps_beside_it(value: Any) -> None:
    with pytest.raises(StateEncodeError):
        flatten(value, ALLOWED)


def test_a_class_that_is_not_allowed_is_named_with_the_way_to_mend_it() -> None:
    with pytest.raises(StateEncodeError) as caught:
        flatten({"order": [Order("pizza")]}, AllowList())
    assert str(caught.value) == (
        "Cannot store the state: tests.serialization.models.Order at $[...][0], which is not "
        "allowed: pass types=[Order] to StateScopes."
    )


def test_all_classes_that_are_not_allowed_are_named_at_once() -> None:
    with pytest.raises(StateEncodeError) as caught:
        flatten(Plain(a=[Order("pizza"), {"b": Colour.RED}], b=Order("x")), AllowList())
    models = "tests.serialization.models"
    assert str(caught.value) == (
        f"Cannot store the state: {models}.Plain at $, {models}.Order at $.b, {models}.Colour at "
        "$.a[1][...], which are not allowed: pass types=[Plain, Order, Colour] to StateScopes, or "
        "declare create_property(name, Plain)."
    )


@pytest.mark.parametrize(
    "value",
    [lambda: 0, len, open, iter([]), object(), range(3), bytearray(b"a"), json, Exception()],
)
def test_what_is_not_data_is_refused(value: Any) -> None:
    with pytest.raises(StateEncodeError):
        flatten([value], ALLOWED)


def test_what_leads_to_the_whole_program_is_refused_without_a_walk_through_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at = 0
    parts_of = parts.parts_of

    def counted(value: Any) -> Any:
        nonlocal looked_at
        looked_at += 1
        return parts_of(value)

    monkeypatch.setattr(parts, "parts_of", counted)
    for value in (json, Plain(a=json, b=1), {"a": [asyncio]}):
        with pytest.raises(StateEncodeError, match="holds a module, which cannot be stored"):
            flatten(value, ALLOWED)
    many = [type(f"Unknown{number}", (), {})() for number in range(1_000)]
    with pytest.raises(StateEncodeError, match="Unknown49"):
        flatten(many, ALLOWED)
    assert looked_at < 100


def test_a_class_with_its_own_reduce_is_refused_and_told_why() -> None:
    with pytest.raises(StateEncodeError, match=r"__reduce__.*__getstate__"):
        flatten(Singleton(), AllowList([Singleton]))


def test_an_error_of_its_own_getstate_is_one_of_storing() -> None:
    empty = WithState.__new__(WithState)
    with pytest.raises(StateEncodeError, match=r"__getstate__ of .*WithState failed") as caught:
        flatten(empty, ALLOWED)
    assert isinstance(caught.value.__cause__, AttributeError)


def test_a_factory_that_cannot_be_stored_is_refused() -> None:
    with pytest.raises(StateEncodeError, match="factory"):
        flatten(defaultdict(lambda: 3), ALLOWED)
    stored = json.loads(jsonpickle.encode(defaultdict(lambda: 3, a=1)))
    with pytest.raises(StateDecodeError, match="CloneFactory"):
        restore(stored, ALLOWED)


def test_a_cycle_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append({"a": (cycle,)})
    node = Plain()
    node.__dict__["me"] = [node]
    for value in (cycle, node):
        with pytest.raises(StateEncodeError, match="cycle"):
            flatten(value, ALLOWED)


def nested(levels: int, wrap: Any) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap",
    [lambda v: [v], lambda v: {"a": v}, lambda v: (v,), lambda v: Plain(a=v), lambda v: Point(v, 1),
     lambda v: deque([v]), lambda v: Words([v]), lambda v: Headers(a=v), WithState],
    ids=["list", "dict", "tuple", "object", "namedtuple", "deque", "words", "headers", "state"],
)  # fmt: skip
def test_depth_is_limited_and_what_is_written_can_be_read(wrap: Any) -> None:
    with pytest.raises(StateEncodeError, match="too deeply"):
        flatten(nested(5000, wrap), ALLOWED)
    levels = 0
    while True:
        try:
            flat = flatten(nested(levels + 10, wrap), ALLOWED)
        except StateEncodeError:
            break
        levels += 10
        restored = restore(flat, ALLOWED)
    assert levels >= 40
    assert flatten(restored, ALLOWED) == flatten(nested(levels, wrap), ALLOWED)


def test_the_same_set_is_the_same_text_whatever_its_order() -> None:
    one, other = {"a", "b", "c", "d"}, {"d", "c", "b", "a"}
    assert json.dumps(flatten(one, ALLOWED)) == json.dumps(flatten(other, ALLOWED))
    assert flatten({3, 1, 2}, ALLOWED) == {"py/set": [1, 2, 3]}
