from __future__ import annotations

import datetime as dt
import json
import sys
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import jsonpickle
import msgspec
import pytest
from hypothesis import example, given, settings

from botstate_ext.errors import StateDecodeError
from botstate_ext.serialization.allow_list import AllowList
from botstate_ext.serialization.json_text import is_plain
from botstate_ext.serialization.jsonpickle import expand_references, flatten, to_plain
from tests.examples import examples
from tests.serialization import models, strategies

NORWAY = ZoneInfo("Europe/Oslo")
UTC = dt.timezone.utc


def written_by_jsonpickle(value: Any) -> Any:
    return expand_references(json.loads(jsonpickle.encode({"value": value})))["value"]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ([1, (2, {3})], [1, [2, [3]]]),
        ({"a": {"b": None}}, {"a": {"b": None}}),
        (frozenset({1}), [1]),
        (b"\x00\xff", "AP8="),
        (complex, None),
        (dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2024-01-02T03:04:05.000006Z"),
        (dt.datetime(2024, 7, 1, tzinfo=NORWAY), "2024-07-01T00:00:00+02:00"),
        (dt.datetime.fromisoformat("2024-01-02"), "2024-01-02T00:00:00"),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (dt.time(1, 2), "01:02:00"),
        (dt.timedelta(days=1, seconds=2.5), "P1DT2.5S"),
        (Decimal("1.50"), "1.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (OrderedDict([("a", 1), (2, (3,))]), {"a": 1, "2": [3]}),
        (Counter("abb"), {"a": 1, "b": 2}),
        (deque([1, (2,)], 5), [1, [2]]),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (defaultdict(lambda: 1, a=2), {"a": 2}),
        (models.Colour.RED, 1),
        (models.Colour.PAIR, [1, 2]),
        (models.Size.SMALL, "small"),
        (models.Plain(a=[models.Plain()], _b=1), {"a": [{}], "_b": 1}),
        (models.Order("x", [(1,)]), {"name": "x", "items": [[1]]}),
        (models.Slotted(1, 2), {"a": 1, "b": 2}),
        (models.Frozen(1), {"a": 1, "b": None}),
        (models.FrozenSlotted(1, 2), [1, 2]),
        (models.Attrs(1, 2), {"a": 1, "b": 2}),
        (models.WithState([1]), {"kept": [1]}),
        (models.Point(1, [2]), [1, [2]]),
        (models.PlainTuple([1, 2]), [1, 2]),
        (models.Words([1, models.Words()]), [1, []]),
        (models.Bag({1}), [1]),
        (models.Headers(a=1), {"a": 1}),
        (models.Ordered(a=1), {"a": 1}),
        (models.Lists(list, a=[1]), {"a": [1]}),
        (models.Name("Ann"), "Ann"),
        (1 + 2j, None),
        (UTC, None),
        (OrderedDict({(1, 2): 3}), None),
        (int, None),
    ],
    ids=strategies.id_of,
)
def test_what_becomes_of_what(value: Any, plain: Any) -> None:
    stored = written_by_jsonpickle(value)
    before = set(sys.modules)
    if plain is None:
        with pytest.raises(StateDecodeError):
            to_plain(stored)
    else:
        assert to_plain(stored) == plain
        assert type(to_plain(stored)) is type(plain)
    assert set(sys.modules) == before


def test_our_own_form_of_tuples_is_read_too() -> None:
    allowed = AllowList(models.TYPES)
    assert to_plain(flatten(models.Point(1, [2]), allowed)) == [1, [2]]
    assert to_plain(flatten(models.PlainTuple([1, 2]), allowed)) == [1, 2]


def test_msgspec_makes_the_type_of_it() -> None:
    class Profile(msgspec.Struct):
        name: str
        colour: models.Size
        seen: dt.datetime
        wait: dt.timedelta
        price: Decimal
        id: uuid.UUID
        tags: set[str]
        picture: bytes
        home: tuple[int, int]
        orders: list[models.Order]

    held: dict[str, Any] = {
        "name": "Ann", "colour": models.Size.SMALL, "seen": dt.datetime(2024, 1, 2, tzinfo=UTC),
        "wait": dt.timedelta(hours=1), "price": Decimal("1.5"), "id": uuid.UUID(int=1),
        "tags": {"a"}, "picture": b"\x00", "home": (1, 2), "orders": [models.Order("x")],
    }  # fmt: skip
    plain = to_plain(written_by_jsonpickle(models.Plain(**held)))
    assert msgspec.json.decode(json.dumps(plain), type=Profile) == Profile(**held)


def test_a_class_that_does_not_exist_is_not_missed() -> None:
    stored = {"py/object": "gone.for.Good", "name": "Ann", "kind": {"py/reduce": [
        {"py/type": "gone.Kind"}, {"py/tuple": ["vip"]}]}}  # fmt: skip
    assert to_plain(stored) == {"name": "Ann", "kind": "vip"}


@pytest.mark.parametrize(
    "stored",
    [
        {"py/function": "os.system"},
        {"py/type": "builtins.int"},
        {"py/repr": "os/os.system('x')"},
        {"py/mod": "os/os"},
        {"py/iterator": [1]},
        {"py/id": 1},
        {"py/bytes": "=00"},
        {"py/nonsense": 1},
        {"py/tuple": 1},
        {"py/tuple": [], "more": 1},
        {"py/object": 1},
        {"py/object": "a.B", "py/reduce": []},
        {"py/object": "a.B", "py/seq": 1},
        {"py/object": "a.B", "py/seq": [1], "name": "x"},
        {"py/object": "a.B", "__dict__": {"a": 1}},
        {"py/object": "a.B", "py/newargs": {"py/tuple": [1, 2]}},
        {"py/object": "uuid.UUID", "hex": "x"},
        {"py/object": "uuid.UUID", "hex": 5},
        {"py/b64": "*"},
        {"py/b64": 1},
        {"py/b85": '"'},
        {"py/reduce": []},
        {"py/reduce": 1},
        {"py/reduce": [{"py/type": "a.B"}]},
        {"py/reduce": [{"py/type": "a.B"}, [1]]},
        {"py/reduce": ["py/newobj", {"py/tuple": [{"py/type": "a.B"}]}]},
        {"py/reduce": [{"py/type": "a.B"}, {"py/tuple": [1, 2]}]},
        {"py/reduce": [{"py/type": "a.B"}, {"py/tuple": [1]}, {"a": 1}]},
        {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["true"]}]},
        {"py/reduce": [{"py/type": "datetime.timedelta"}, {"py/tuple": ["a"]}]},
        {"py/reduce": [{"py/type": "datetime.timedelta"}, {"py/tuple": [1e99]}]},
        {"py/reduce": [{"py/type": "decimal.Decimal"}, {"py/tuple": ["x"]}]},
        {"py/object": "datetime.date", "__reduce__": [{"py/type": "datetime.date"}, ["AAAAAA=="]]},
        {"py/object": "datetime.date", "__reduce__": [{"py/type": "datetime.time"}, ["B+gBAg=="]]},
        {"py/object": "datetime.date", "__reduce__": [{"py/type": "datetime.date"}, []]},
        {"py/object": "datetime.date", "__reduce__": 1},
        {"py/object": "datetime.date"},
    ],
    ids=json.dumps,
)
def test_what_is_not_data_is_refused(stored: Any) -> None:
    before = set(sys.modules)
    with pytest.raises(StateDecodeError):
        to_plain([stored])
    assert set(sys.modules) == before


def test_depth_is_limited() -> None:
    stored: Any = 1
    for _ in range(5000):
        stored = {"py/object": "a.B", "a": stored}
    with pytest.raises(StateDecodeError, match="too deeply"):
        to_plain(stored)


@given(strategies.TAGGED_JSON)
@example({"py/object": "some.Class", "py/state": []})
@settings(max_examples=examples(300), deadline=None)
def test_any_json_is_made_plain_or_refused(value: Any) -> None:
    before = set(sys.modules)
    try:
        plain = to_plain(value)
    except StateDecodeError:
        plain = None
    assert is_plain(_finite(plain))
    # The standard library looks for a time zone in packages of data.
    added = {name.partition(".")[0] for name in set(sys.modules) - before}
    assert added <= {"zoneinfo", "tzdata"}


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return str(value) if isinstance(value, float) else value
