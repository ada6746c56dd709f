"""Values as bots keep them, for hypothesis; and JSON that an attacker may have written."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter, OrderedDict, deque
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.serialization.models import Colour, Frozen, Level, Plain, Point, Rights, Size


def id_of(value: object) -> str:
    """Return the value's repr without addresses: parallel processes must agree on ids of tests."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
KEYS = TEXT.filter(lambda key: not key.startswith("py/"))
NAMES = st.sampled_from(["a", "b", "name", "_private", "items"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT, st.binary(max_size=8)
)
ZONES = st.one_of(
    st.none(),
    st.just(dt.timezone.utc),
    st.just(dt.timezone(dt.timedelta(hours=-5), "EST")),
    st.just(ZoneInfo("Europe/Oslo")),
)
STANDARD = st.one_of(
    st.datetimes(timezones=ZONES),
    st.dates(),
    st.times(timezones=ZONES),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.complex_numbers(allow_nan=False),
    st.frozensets(st.integers(), max_size=3),
    st.sampled_from([Colour.RED, Colour.PAIR, Size.SMALL, Level.LOW, Rights.READ | Rights.WRITE]),
    st.dictionaries(KEYS, st.integers(), max_size=3).map(Counter),
)


def _containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(children, max_size=4),
        st.dictionaries(KEYS, children, max_size=4),
        st.lists(children, max_size=3).map(tuple),
        st.dictionaries(NAMES, children, max_size=3).map(lambda held: Plain(**held)),
        st.builds(Frozen, st.integers(), children),
        st.builds(Point, children, children),
        st.lists(st.tuples(TEXT, children), max_size=3).map(OrderedDict),
        st.lists(children, max_size=3).map(lambda items: deque(items, 3)),
        st.sets(st.one_of(st.integers(), TEXT), max_size=3),
    )


VALUES = st.recursive(SCALARS | STANDARD, _containers, max_leaves=12)
"""Values of everything that may be stored; nothing in them is shared."""


@st.composite
def shared_values(draw: st.DrawFn) -> dict[str, Any]:
    """A document in which the same objects come again and again."""
    pool = draw(st.lists(VALUES, min_size=1, max_size=4))
    pick = st.sampled_from(pool)
    for _ in range(draw(st.integers(0, 4))):
        pool.append(draw(_containers(pick)))
    return draw(st.dictionaries(NAMES, st.sampled_from(pool), min_size=1))


TAGS = st.sampled_from(
    [
        "py/object", "py/reduce", "py/tuple", "py/set", "py/type", "py/function", "py/id", "py/b64",
        "py/state", "py/seq", "py/newargs", "py/newargsex", "py/repr", "py/mod", "py/iterator",
        "py/property", "py/initargs", "py/ref", "py/bytes", "py/b85", "py/unknown", "__dict__",
        "__reduce__", "__class__", "default_factory", "hex", "json://1", "a",
    ]
)  # fmt: skip
CLASS_NAMES = st.sampled_from(
    [
        "os.system", "subprocess.Popen", "builtins.eval", "builtins.getattr", "builtins.list",
        "functools.partial", "datetime.datetime", "datetime.timedelta", "uuid.UUID",
        "tests.serialization.models.Plain", "tests.serialization.models.Colour",
        "tests.serialization.models.Frozen", "tests.serialization.models.Point",
        "tests.serialization.models.Headers", "tests.serialization.models.WithState",
        "collections.defaultdict", "collections.OrderedDict", "collections.deque",
        "decimal.Decimal", "zoneinfo.ZoneInfo._unpickle", "isodate.tzinfo.FixedOffset", "pytz._p",
        "botbuilder.schema._models_py3.Activity",
    ]
)  # fmt: skip
JSON_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 9), st.floats(), TEXT, CLASS_NAMES
)
TAGGED_JSON = st.recursive(
    JSON_SCALARS,
    lambda children: st.one_of(
        st.lists(children, max_size=4),
        st.dictionaries(TAGS | TEXT, children, max_size=3),
        st.builds(lambda name, args: {"py/reduce": [{"py/type": name}, {"py/tuple": args}]},
                  CLASS_NAMES, st.lists(children, max_size=3)),
        st.builds(lambda name, more: {"py/object": name, **more},
                  CLASS_NAMES, st.dictionaries(TAGS | TEXT, children, max_size=2)),
    ),
    max_leaves=20,
)  # fmt: skip
"""JSON that looks like jsonpickle's, most of it malformed."""
