"""Builds Python's own value types from the parts that jsonpickle stores, and takes them apart.

Each value is built from checked parts, by the ordinary constructor of its type. Stored data never
chooses which function is called.
"""

from __future__ import annotations

import base64
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final

from ...errors import StateDecodeError, StateEncodeError
from .tags import malformed, shown

REDUCED: Final[Mapping[str, type]] = {
    "builtins.dict": dict,
    "builtins.frozenset": frozenset,
    "collections.Counter": Counter,
    "collections.OrderedDict": OrderedDict,
    "collections.deque": deque,
    "datetime.timedelta": timedelta,
    "datetime.timezone": timezone,
    "decimal.Decimal": Decimal,
}
"""The types of Python that ``py/reduce`` may name."""

FACTORIES: Final[Mapping[str, type]] = {
    f"builtins.{cls.__name__}": cls for cls in (dict, float, int, list, set, str)
}
"""What a defaultdict may be given to make what is missing."""

REBUILD: Final = "msgspec._utils.rebuild"
"""How msgspec pickles a Struct whose fields are given by name: with its class and its fields."""

ZONE_INFO: Final = "zoneinfo.ZoneInfo._unpickle"

_Zone = Callable[[Sequence[Any], Any], tzinfo]
# No dots: the lookup of a zone may open packages of tzdata, and a key must not steer it elsewhere.
_ZONE_KEY: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


def build_reduced(
    name: str, args: Sequence[Any], items: Iterable[Any], pairs: Iterable[tuple[Any, Any]]
) -> object:
    """Return a value of one of the ``REDUCED`` types.

    :raises StateDecodeError: the type cannot be made of these parts.
    """
    try:
        if name == "collections.deque":
            return deque(items, *args[1:])
        if name in ("builtins.dict", "collections.OrderedDict"):
            # Written of a dictionary whose keys are not all text.
            return REDUCED[name](pairs)
        return REDUCED[name](*args)
    except (TypeError, ValueError, ArithmeticError):
        raise StateDecodeError(f"what it holds is not a {name}.") from None


def build_clock(name: str, payload: Any, zone: object) -> datetime | date | time:
    """Return a datetime, date or time from its base64 bytes in pickle's layout.

    :raises StateDecodeError: there is no such moment.
    """
    try:
        raw = base64.b64decode(payload, validate=True)
        if zone is not None and not isinstance(zone, tzinfo):
            raise malformed("__reduce__")
        if name == "datetime.date" and len(raw) == 4 and zone is None:
            return date(raw[0] << 8 | raw[1], raw[2], raw[3])
        if name == "datetime.time" and len(raw) == 6:
            return time(
                raw[0] & 0x7F, raw[1], raw[2], int.from_bytes(raw[3:], "big"), zone,
                fold=raw[0] >> 7,
            )  # fmt: skip
        if name == "datetime.datetime" and len(raw) == 10:
            return datetime(
                raw[0] << 8 | raw[1], raw[2] & 0x7F, raw[3], raw[4], raw[5], raw[6],
                int.from_bytes(raw[7:], "big"), zone, fold=raw[2] >> 7,
            )  # fmt: skip
    except (TypeError, ValueError):
        raise StateDecodeError(f"what it holds is not a {name}.") from None
    raise malformed("__reduce__")


def build_zone(name: str, args: Sequence[Any], state: Any) -> tzinfo:
    """Return the time zone for the name of its class or of its unpickling function.

    isodate's zones (the SDK gives them to every activity's timestamp) and pytz's come back as fixed
    zones of the standard library: the same moment, the same offset.

    :raises StateDecodeError: the arguments or the state do not make a zone.
    """
    try:
        return _ZONES[name](args, state)
    except (TypeError, ValueError, ArithmeticError, LookupError, OSError):
        raise StateDecodeError(f"what it holds is not a time zone of {shown(name)}.") from None


def _utc(args: Sequence[Any], state: Any) -> tzinfo:
    return timezone.utc


def _named(args: Sequence[Any], state: Any) -> tzinfo:
    key = args[0]
    if type(key) is not str or len(key) > 100 or not _ZONE_KEY.fullmatch(key):
        raise ValueError("not a zone's name")
    # Imported where it is needed: few documents name a zone.
    from zoneinfo import ZoneInfo

    return ZoneInfo(key)


def _isodate_fixed(args: Sequence[Any], state: Any) -> tzinfo:
    return timezone(state["_FixedOffset__offset"], state["_FixedOffset__name"])


def _pytz_zone(args: Sequence[Any], state: Any) -> tzinfo:
    return timezone(timedelta(seconds=args[1]), args[3])


ZONE_TYPES: Final[Mapping[str, _Zone]] = {
    "isodate.tzinfo.FixedOffset": _isodate_fixed,
    "isodate.tzinfo.Utc": _utc,
}
ZONE_FUNCTIONS: Final[Mapping[str, _Zone]] = {
    "isodate.tzinfo._Utc": _utc,
    "pytz._UTC": _utc,
    "pytz._p": _pytz_zone,
    ZONE_INFO: _named,
}
_ZONES: Final[Mapping[str, _Zone]] = {**ZONE_TYPES, **ZONE_FUNCTIONS}


def portable_zone(zone: tzinfo, moment: datetime | None) -> tzinfo:
    """Return the zone to write.

    isodate's and pydantic's zones become the standard library's: not every reader has their
    packages.
    """
    name = f"{type(zone).__module__}.{type(zone).__qualname__}"
    if name not in ZONE_TYPES and name != "pydantic_core._pydantic_core.TzInfo":
        return zone
    offset = zone.utcoffset(moment)
    if not offset:
        return timezone.utc
    return timezone(offset, zone.tzname(moment) or "")


def zone_key(zone: tzinfo) -> str:
    """Return the name of a zone of the standard library's zoneinfo.

    :raises StateEncodeError: the zone has no name, or is of another library.
    """
    cls = type(zone)
    key = getattr(zone, "key", None)
    if cls.__module__ == "zoneinfo" and cls.__qualname__ == "ZoneInfo" and isinstance(key, str):
        return key
    raise StateEncodeError(
        f"it holds a time zone of {cls.__module__}.{cls.__qualname__}; "
        "store datetimes with datetime.timezone or a zoneinfo.ZoneInfo that has a key."
    )
