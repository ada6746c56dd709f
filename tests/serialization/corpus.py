"""Values that a bot may store, by family, each with the type that it would be declared with."""

# ruff: noqa: E501 - rows of values
# mypy: disable-error-code="call-arg, arg-type, dict-item, var-annotated, misc, no-untyped-def"

from __future__ import annotations

import abc
import datetime as dt
import enum
import math
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
from botbuilder.schema import ActivityTypes, ChannelAccount
from botframework.connector import Channels

T = TypeVar("T")
OSLO = ZoneInfo("Europe/Oslo")
EST = dt.timezone(dt.timedelta(hours=-5), "EST")
UTC = dt.timezone.utc


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


class Word(str, enum.Enum):
    YES = "yes"


class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2


class Mark(enum.Enum):
    ONE = 1
    TWO = 2


class Text(str):
    pass


class Number(int):
    pass


class Names(list[Any]):
    pass


class Table(dict[str, Any]):
    pass


class Point(NamedTuple):
    x: int
    label: str = ""


@dataclass
class Inner:
    name: str = ""
    size: float = 1.0


@dataclass
class MoreInner(Inner):
    extra: int = 0


@dataclass(frozen=True)
class Frozen:
    number: int


@dataclass(slots=True)
class Slotted:
    number: int
    items: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FrozenSlotted:
    number: int


@attrs.define
class Attrs:
    number: int = 0


@attrs.define
class WithToken:
    name: str
    _token: str = ""


@attrs.define(slots=False)
class AttrsWithDict:
    number: int = 0


@attrs.define
class Converting:
    number: int = attrs.field(default=0, converter=lambda value: int(value) * 2)


@attrs.define
class Unannotated:
    thing = attrs.field(default=None)
    number: int = attrs.field(default=attrs.Factory(lambda self: 1, takes_self=True))


class Struct(msgspec.Struct):
    number: int = 0
    name: str = ""


class FrozenStruct(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    at: dt.datetime | None = None


class RenamedStruct(msgspec.Struct, rename="camel", omit_defaults=True):
    some_number: int = 0


class TaxedStruct(msgspec.Struct):
    price: float

    def __post_init__(self) -> None:
        self.price *= 1.2


class Plain:
    def __init__(self, name: Any = None) -> None:
        self.name = name


class Needy:
    def __init__(self, name: Any) -> None:
        self.name = name


class PlainSlots:
    __slots__ = ("__secret", "name")

    def __init__(self, name: Any = None, secret: Any = None) -> None:
        self.name = name
        self.__secret = secret


class Asked:
    """As the SDK's prompt-for-user-input sample has it."""

    def __init__(self, last: Colour = Colour.RED, address: Inner | None = None) -> None:
        self.last, self.address = last, address


class Pickled:
    def __init__(self, items: Any = None) -> None:
        self.items = items

    def __getstate__(self) -> Any:
        return {"kept": self.items}

    def __setstate__(self, state: Any) -> None:
        self.items = state["kept"]


class PlainGeneric(Generic[T]):
    def __init__(self, item: T) -> None:
        self.item = item


@dataclass
class Box(Generic[T]):
    item: T


class Hours(TypedDict, total=False):
    opens: int
    note: Any


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> float: ...


@dataclass
class Circle(Shape):
    radius: float = 1.0

    def area(self) -> float:
        return self.radius


@dataclass
class Drawing:
    shapes: list[Shape] = field(default_factory=list)


@dataclass
class Taxed:
    price: float
    visits: int = 0

    def __post_init__(self) -> None:
        self.price *= 1.2


@attrs.define
class AttrsTaxed:
    price: float

    def __attrs_post_init__(self) -> None:
        self.price *= 1.2


@dataclass
class Idiom:
    """An annotation that its default does not keep."""

    name: str = None  # type: ignore[assignment]
    items: list[str] = None  # type: ignore[assignment]


# Holders: each with a member that is annotated with Any


@dataclass
class InDataclass:
    it: Any = None


@attrs.define
class InAttrs:
    it: Any = None


class InStruct(msgspec.Struct):
    it: Any = None


class InPlain:
    def __init__(self, it: Any = None) -> None:
        self.it = it


class InModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    it: Any = None


@dataclass
class InBareDict:
    it: dict = field(default_factory=dict)  # type: ignore[type-arg]


# pydantic


class Model(pydantic.BaseModel):
    number: int = 0


class MoreModel(Model):
    extra: str = ""


class Secrets(pydantic.BaseModel):
    password: pydantic.SecretStr
    key: pydantic.SecretBytes = pydantic.SecretBytes(b"")


class Private(pydantic.BaseModel):
    name: str = ""
    _count: int = pydantic.PrivateAttr(default=0)


class Excluded(pydantic.BaseModel):
    name: str = ""
    token: str = pydantic.Field("", exclude=True)


class Aliased(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)
    first: int = pydantic.Field(0, alias="firstOne")
    second: int = pydantic.Field(0, serialization_alias="secondOne")
    third: int = pydantic.Field(0, validation_alias=pydantic.AliasChoices("c", "third_one"))


class Lossy(pydantic.BaseModel):
    name: str = ""

    @pydantic.field_serializer("name")
    def _short(self, name: str) -> str:
        return name[:1]


class Doubling(pydantic.BaseModel):
    number: int = 0

    @pydantic.field_validator("number")
    @classmethod
    def _double(cls, number: int) -> int:
        return number * 2


class Counting(pydantic.BaseModel):
    number: int = 0

    def model_post_init(self, context: Any) -> None:
        self.number += 1


class Extra(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    number: int = 0


class Typed(pydantic.BaseModel):
    maybe: float | None = None
    at: dt.datetime | None = None
    items: list[Model] = pydantic.Field(default_factory=list)
    tags: set[str] = pydantic.Field(default_factory=set)
    raw: bytes = b""
    by_number: dict[int, str] = pydantic.Field(default_factory=dict)
    positive: int = pydantic.Field(1, gt=0)
    span: dt.timedelta = dt.timedelta(0)
    price: Decimal = Decimal(0)


@dataclass
class Fields:
    """One field of each kind, so that each can hold what its annotation does not say."""

    at: dt.datetime | None = None
    day: dt.date | None = None
    clock: dt.time | None = None
    span: dt.timedelta | None = None
    price: Decimal | None = None
    rate: float | None = None
    count: int | None = None
    text: str | None = None
    raw: bytes | None = None
    items: list[Inner] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    by_name: dict[str, Inner] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    by_number: dict[int, str] = field(default_factory=dict)
    either: dict[int | str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    pair: tuple[int, ...] = ()
    thing: Inner | None = None
    mark: Mark | None = None
    rights: Rights = Rights.READ
    plain: Plain | None = None
    model: Model | None = None
    struct: Struct | None = None


APP_TYPES: list[type] = [
    cls
    for cls in list(globals().values())
    if isinstance(cls, type) and cls.__module__ == __name__ and not hasattr(cls, "__total__")
]


def _with(value: Any, **attributes: Any) -> Any:
    for name, attribute in attributes.items():
        object.__setattr__(value, name, attribute)
    return value


def _defaultdict(**items: Any) -> Any:
    return defaultdict(list, items)


MOMENTS: list[Any] = [
    dt.datetime(2024, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001 - naive ones are stored too
    dt.datetime(2024, 1, 2, tzinfo=UTC),
    dt.datetime(2024, 7, 2, tzinfo=OSLO),
    dt.datetime(2024, 10, 27, 2, 30, tzinfo=OSLO, fold=1),
    dt.datetime(2024, 1, 2, tzinfo=EST),
    dt.datetime(2024, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    dt.datetime(1, 1, 1, tzinfo=UTC),
    dt.datetime.max,  # noqa: DTZ901 - as above
]
CLOCKS: list[Any] = [
    dt.time(9), dt.time(9, tzinfo=OSLO), dt.time(9, tzinfo=UTC), dt.time(2, 30, fold=1),
    dt.time(9, 0, 0, 1, tzinfo=dt.timezone(dt.timedelta(minutes=-30))),
]  # fmt: skip
BASIC: list[Any] = [
    None, True, False, 0, -1, 2**63, 2**90, -(2**70), 0.0, -0.0, 1.5, 1e300, math.inf, -math.inf,
    math.nan, "", "text", "\ud800", "py/object", "\x00", "2024-01-01", b"", b"\x00\xff",
    complex(1, -2), Decimal("1.10"), Decimal("-Infinity"), Decimal("1E+5"), uuid.UUID(int=7),
    dt.date(2024, 2, 29), dt.date.min, dt.timedelta(days=-1, microseconds=7), dt.timedelta.max,
    UTC, OSLO, *MOMENTS, *CLOCKS,
]  # fmt: skip
COLLECTIONS: list[Any] = [
    [], [1, "a", None], (), (1, (2,)), [(1, 2)], {1, 2}, set(), frozenset({"a"}), {(1, 2), (3,)},
    {}, {"a": {"b": []}}, {7: 1}, {7: 1, "7": 2}, {None: 1, True: 2, 1.5: 3}, {(1, 2): "pair"},
    {"py/object": "os.system"}, {Text("key"): 1}, {Colour.RED: 1}, {b"raw": 1},
    defaultdict(list, a=[1]), defaultdict(int), Counter("aab"), Counter({1: 2}),
    OrderedDict([("b", 1), ("a", 2)]), OrderedDict({1: 2}), deque([1, 2]), deque([1, 2], maxlen=3),
    Names([1, 2]), Table(a=1), _with(Names([1]), note=2), Text("text"), Number(5),
]  # fmt: skip
OBJECTS: list[Any] = [
    Colour.RED, Colour.PAIR, Level.LOW, Word.YES, Rights.READ, Rights.READ | Rights.WRITE, Colour,
    Point(1, "a"), Inner("a"), MoreInner("a", 2.0, 3), Frozen(1), Slotted(1, [2]), FrozenSlotted(1),
    Attrs(1), WithToken("a", "b"), AttrsWithDict(2), _with(AttrsWithDict(2), more=1), Unannotated(),
    Struct(1, "a"), FrozenStruct(number=1, at=MOMENTS[2]), RenamedStruct(3), RenamedStruct(),
    TaxedStruct(1.0), Plain("a"), Needy("a"), PlainSlots("a", 1), Pickled([1]), Asked(),
    Asked(Colour.PAIR, Inner("x")), PlainGeneric(1), PlainGeneric[int](1), Box(1), Box[int](2),
    Box(Inner()), Circle(2.0), Drawing([Circle(1.0)]), Taxed(1.0), AttrsTaxed(1.0), Converting(1),
    Idiom(), Idiom("a", ["b"]), _with(Inner("a"), added=1), Plain(Inner("nested")), Plain(MOMENTS[2]),
    Model(number=1), MoreModel(number=1, extra="x"), Secrets(password="p", key=b"k"),
    _with(Private(name="a"), __pydantic_private__={"_count": 5}), Excluded(name="a", token="t"),
    Aliased(first=1, second=2, c=3), Lossy(name="Ann"), Doubling(number=2), Counting(number=2),
    Extra(number=1, more="x"), Typed(maybe=math.inf), Typed(at=MOMENTS[2]), Typed(at=MOMENTS[4]),
    Typed(items=[MoreModel(extra="x")]), Typed(tags={"a"}, raw=b"\xff", by_number={1: "a"}),
    Typed.model_construct(positive=-1), Typed(span=dt.timedelta(microseconds=1), price=Decimal("1.10")),
    ChannelAccount(id="1", name="Ann").__class__(id="2"), ActivityTypes.message, Channels.ms_teams,
]  # fmt: skip
FIELDS: list[Any] = [
    *(Fields(at=moment) for moment in MOMENTS),
    *(Fields(clock=clock) for clock in CLOCKS),
    Fields(day=dt.date(2024, 1, 1)), Fields(day=MOMENTS[0]), Fields(span=dt.timedelta(1, 2, 3)),
    Fields(span=dt.timedelta.max), Fields(price=Decimal("1.0")), Fields(price=Decimal("NaN")),
    Fields(rate=1), Fields(rate=2**60 + 1), Fields(rate=True), Fields(rate=math.inf),
    Fields(rate=math.nan), Fields(rate=-0.0), Fields(count=2**90), Fields(count=True),
    Fields(count=Number(3)), Fields(count=Level.LOW), Fields(text=Text("a")), Fields(text=Word.YES),
    Fields(text="\ud800"), Fields(raw=b"\xff"), Fields(items=[Inner("a"), MoreInner("b")]),
    Fields(items=(Inner("a"),)), Fields(items=deque([Inner("a")])), Fields(names=Names(["a"])),
    Fields(by_name={"a": MoreInner()}), Fields(by_name=defaultdict(Inner)), Fields(counts=Counter("aab")),
    Fields(by_name=OrderedDict(b=Inner(), a=Inner())), Fields(counts={1: 2}), Fields(counts={"1": 2}),
    Fields(counts={"py/id": 1}), Fields(counts=defaultdict(int, a=1)), Fields(by_number={1: "a"}),
    Fields(by_number={"1": "a"}), Fields(by_number={True: "a"}), Fields(either={7: "a", "7": "b"}),
    Fields(either={7: "a"}), Fields(tags={"b", "a"}), Fields(tags=frozenset({"a"})), Fields(pair=(1, 2)),
    Fields(pair=[1, 2]), Fields(pair=Point(1, "a")), Fields(thing=MoreInner("a")), Fields(mark=Mark.TWO),
    Fields(rights=Rights.READ | Rights.WRITE), Fields(plain=Plain(MOMENTS[1])), Fields(plain=Plain([1])),
    Fields(plain=Plain({1})), Fields(plain=Plain(Inner("a"))), Fields(model=Model(number=2)),
    Fields(model=MoreModel(extra="x")), Fields(struct=Struct(1)), _with(Fields(), added=[1]),
    Fields(plain=_with(Plain(1), added={2})), Fields(thing=_with(Inner(), added=b"x")),
]  # fmt: skip
TYPED: list[tuple[Any, Any]] = [
    (dict[int | str, str], {7: "a", "7": "b"}), (dict[str, int], {1: 2}), (dict[int, str], {1: "a"}),
    (list[Inner], [Inner(), MoreInner()]), (list[Shape], [Circle(2.0)]), (tuple[int, str], (1, "a")),
    (set[str], {"a"}), (set[Frozen], {Frozen(1)}), (frozenset[int], frozenset({1})),
    (dict[str, Any], {"a": (1, {2})}), (list[Any], [b"x", dt.date(2024, 1, 1)]), (Hours, {"opens": 1}),
    (Hours, {"opens": 1, "more": 2}), (Hours, {"note": {1, 2}}), (Inner | None, Inner()), (int | str, "1"),
    (list[Model], [Model(), MoreModel(extra="x")]), (dict[str, Model], {"a": Model(number=3)}),
    (Box[int], Box(1)), (Box[Inner], Box(Inner())), (PlainGeneric[int], PlainGeneric(3)),
    (list[Plain], [Plain(1), Plain(MOMENTS[3])]), (Point, Point(1)), (float, 1), (float, math.nan),
    (dict[str, float | None], {"a": math.inf, "b": None}), (dict[uuid.UUID, int], {uuid.UUID(int=1): 1}),
    (dict[dt.date, int], {dt.date(2024, 1, 1): 1}), (dict[Colour, int], {Colour.RED: 1}),
    (dict[Word, int], {Word.YES: 1}), (list[float], [1.5, 2.0]), (tuple[Inner, ...], (Inner(),)),
]  # fmt: skip


def cases() -> Iterator[tuple[str, Any, Any]]:
    """Yield the family, the type to declare and the value of each case."""
    for value in [*BASIC, *COLLECTIONS]:
        yield "builtins", Any, value
        yield "in a dataclass", InDataclass, InDataclass(value)
        yield "in a plain class", InPlain, InPlain(value)
    for value in [*MOMENTS, *CLOCKS, *COLLECTIONS, *OBJECTS]:
        yield "in attrs", InAttrs, InAttrs(value)
        yield "in a Struct", InStruct, InStruct(value)
        yield "in a model", InModel, InModel.model_construct(it=value)
    for value in COLLECTIONS:
        yield "in a bare dict", InBareDict, InBareDict({"a": value})
    for value in OBJECTS:
        yield "objects", type(value), value
        yield "objects in a list", list[type(value)], [value]
        yield "objects under Any", InDataclass, InDataclass([value])
    for value in FIELDS:
        yield "fields", Fields, value
    for type_, value in TYPED:
        yield "types", type_, value
