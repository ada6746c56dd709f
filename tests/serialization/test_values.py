"""What values come back as, what cannot be stored, and what is said of what cannot be read."""

from __future__ import annotations

import enum
import json
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Generic, NamedTuple, Optional, TypedDict, TypeVar
from uuid import UUID

import attrs
import jsonpickle
import msgspec
import pytest
from botbuilder.core import MemoryStorage as UpstreamMemoryStorage
from botbuilder.core import TurnContext
from botbuilder.core import UserState as UpstreamUserState
from botbuilder.dialogs import DialogInstance, DialogState
from botbuilder.schema import Activity, ChannelAccount

from botstate_ext import StateDecodeError, StateEncodeError, StateMiddleware, StateScopes
from botstate_ext.serialization import json_text
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import CountingStorage
from tests.backends import body, plant, storage  # noqa: F401 - a fixture
from tests.turns import Bot, context, save_all

KEY = "test/users/user"
T = TypeVar("T")


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Topping:
    name: str
    grams: float = 10.0


@dataclass
class Pizza:
    size: Size
    toppings: list[Topping] = field(default_factory=list)
    ordered: datetime | None = None
    by_name: dict[str, Topping] = field(default_factory=dict)


@attrs.define
class Address:
    street: str
    codes: set[int] = attrs.field(factory=set)


class Hours(TypedDict, total=False):
    opens: int
    closes: int


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Row(NamedTuple):
    name: str
    number: int


@dataclass
class Box(Generic[T]):
    item: T


class Profile:
    """A plain class like the sample's."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self._private = 1

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]  # it can change


class VipProfile(Profile):
    pass


class Needy:
    """It cannot be made without an argument."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Needy) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]  # it can change


class Slotted:
    __slots__ = ("__secret", "name")

    def __init__(self, name: str = "", secret: int = 0) -> None:
        self.name = name
        self.__secret = secret

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slotted) and self.parts() == other.parts()

    __hash__ = None  # type: ignore[assignment]  # it can change

    def parts(self) -> tuple[str, int]:
        return self.name, self.__secret


@dataclass
class Visit:
    profile: Profile
    others: list[Profile] = field(default_factory=list)


class Stamped:
    """`at` is plain; the rest needs the allow-list."""

    def __init__(self, at: datetime | None = None, size: Size | None = None) -> None:
        self.at, self.size = at, size


NOON = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)


async def round_trip(value: Any, type_: Any = None, **options: Any) -> Any:
    """The value as the next turn gets it, after a restart of the bot."""
    memory = MemoryStorage()
    states = StateScopes(memory, **options)
    turn = context()
    await states.user.create_property("value", type_).set(turn, value)
    await states.user.save_changes(turn)
    states = StateScopes(memory, **options)
    counting = CountingStorage(memory)
    states, turn = StateScopes(counting, **options), context()
    read = await states.user.create_property("value", type_).get(turn)
    await states.user.save_changes(turn)
    assert counting.operations["put"] == 0, "reading is no change"
    return read


TYPED: list[tuple[Any, Any]] = [
    (Pizza, Pizza(Size.LARGE, [Topping("basil", 2.5)], NOON, {"x": Topping("y")})),
    (Address, Address("Main", {1, 2})),
    (Hours, {"opens": 9}),
    (Point, Point(1, 2)),
    (Row, Row("a", 1)),
    (Size, Size.SMALL),
    (Level, Level.LOW),
    (Box[int], Box(1)),
    (Box[Topping], Box(Topping("x"))),
    (Optional[Topping], Topping("x")),  # noqa: UP045 - this spelling too
    (Topping | None, None),
    (list[Topping], [Topping("x")]),
    (dict[int, Topping], {1: Topping("x")}),
    (dict[str, Pizza | None], {"a": None, "b": Pizza(Size.SMALL)}),
    (tuple[int, str], (1, "a")),
    (set[str], {"a"}),
    (frozenset[int], frozenset({1})),
    (datetime, NOON),
    (timedelta, timedelta(days=2, seconds=1.5)),
    (Decimal, Decimal("1.10")),
    (UUID, UUID(int=7)),
    (date, date(2030, 1, 1)),
    (bytes, b"\x00\xff"),
    (int, 2**90),
    (int, 0),
    (str, ""),
    (str, "\ud83d"),
    (list[str], ["é", "\u2028", "\x00"]),
    (bool, False),
    (int | str, "1"),
    (Profile, Profile("Ann")),
    (list[Profile], [Profile("Ann"), Profile()]),
    (VipProfile, VipProfile("Ann")),
    (Needy, Needy("Ann")),
    (Slotted, Slotted("Ann", 42)),
    (Visit, Visit(Profile("Ann"), [Profile("Bob")])),
    (float, math.inf),
    (Topping, Topping("x", -math.inf)),
    (dict[int, float | None], {1: math.inf, 2: None}),
]


@pytest.mark.parametrize(("type_", "value"), TYPED, ids=lambda v: repr(v)[:40])
async def test_a_typed_value_comes_back_as_itself(type_: Any, value: Any) -> None:
    read = await round_trip(value, type_)
    assert read == value
    assert type(read) is type(value)


UNTYPED: list[Any] = [
    {"a": [1, 2.5, True, None, "x"], "": {}},
    [],
    "text",
    0,
    2**90,
    "\ud83d lone",
    {"\ud83d": 1},
    math.inf,
    {"nested": [None, -math.inf]},
    (1, (2, [3])),
    {1, 2},
    {"set": frozenset({"a"})},
    NOON,
    date(2030, 1, 1),
    timedelta(seconds=90),
    Decimal("0.10"),
    UUID(int=3),
    b"bytes",
    OrderedDict(b=1, a=2),
    Counter("aab"),
    deque([1, 2], maxlen=3),
    {"deep": [{"at": NOON}]},
    # Keys that JSON has no form for, or that look like a tag, are stored as values.
    {7: 1, "7": 2, None: 3, ("a", 1): 4},
    {"py/object": "app.Name"},
]


@pytest.mark.parametrize("value", UNTYPED, ids=lambda v: repr(v)[:40])
async def test_an_untyped_value_comes_back_as_itself(value: Any) -> None:
    read = await round_trip(value)
    assert read == value
    assert type(read) is type(value)


async def test_nan_comes_back_typed_and_untyped() -> None:
    assert math.isnan(await round_trip(math.nan))
    assert math.isnan(await round_trip(math.nan, float))
    assert math.isnan((await round_trip(Topping("x", math.nan), Topping)).grams)
    read = await round_trip([math.nan, None], list[float | None])
    assert math.isnan(read[0])
    assert read[1] is None


async def test_classes_of_the_app_are_allowed_by_name() -> None:
    value = {"size": Size.LARGE, "profile": Profile("Ann"), "list": [Needy("Bob")]}
    assert await round_trip(value, types=[Size, Profile, Needy]) == value


async def test_the_sdks_own_classes_are_allowed() -> None:
    instance = DialogInstance()
    instance.id, instance.state = "main", {"values": {"at": NOON, "size": Size.SMALL}}
    read = await round_trip(DialogState([instance]), types=[Size])
    assert type(read) is DialogState
    assert read.dialog_stack[0].state == instance.state
    account = await round_trip(ChannelAccount(id="1", name="Ann"))
    assert (type(account), account.name) == (ChannelAccount, "Ann")
    activity = await round_trip(Activity(type="message", timestamp=NOON, text="hi"))
    assert (activity.text, activity.timestamp) == ("hi", NOON)


async def test_a_plain_classs_attributes_may_need_the_allow_list() -> None:
    read = await round_trip(Stamped(NOON, Size.LARGE), Stamped, types=[Size])
    assert (read.at, read.size) == (NOON, Size.LARGE)


# The class that get is given


@pytest.mark.parametrize("cls", [Profile, Slotted, Address, ChannelAccount, DialogState])
async def test_a_class_given_as_default_is_the_type(cls: Any) -> None:
    memory = MemoryStorage()
    if cls is Address:
        cls = attrs.make_class("Place", {"street": attrs.field(type=str, default="")})
    for _ in range(2):
        states = StateScopes(memory)
        value, turn = states.user.create_property("value"), context()
        read = await value.get(turn, cls)
        assert type(read) is cls
        await states.user.save_changes(turn)


FORMS = {
    "tags": f'{{"py/object":"{__name__}.Profile","name":"Ann","_private":1}}'.encode(),
    "plain": b'{"name":"Ann","_private":1}',
}


@pytest.mark.parametrize(
    ("of_all", "of_one", "hinted", "declared"),
    [
        (None, None, "tags", "plain"),
        (True, None, "tags", "tags"),
        (False, None, "plain", "plain"),
        (None, True, "tags", "tags"),
        (None, False, "plain", "plain"),
        (True, False, "plain", "plain"),
        (False, True, "tags", "tags"),
    ],
)
async def test_who_chooses_whether_tags_are_written(
    of_all: bool | None, of_one: bool | None, hinted: str, declared: str
) -> None:
    """A class that only a default names has tags, a declared one none, unless the app says."""
    memory = MemoryStorage()
    states, turn = StateScopes(memory, write_type_tags=of_all), context()
    options: dict[str, Any] = {} if of_one is None else {"write_type_tags": of_one}
    for name, type_ in (("hinted", None), ("declared", Profile)):
        value = states.user.create_property(name, type_, **options)
        (await value.get(turn, Profile)).name = "Ann"
    await states.user.save_changes(turn)
    stored = json_text.split(await body(memory, KEY) or b"")
    assert (stored["hinted"], stored["declared"]) == (FORMS[hinted], FORMS[declared])


@pytest.mark.parametrize("default", [0, "", False, 0.0])
async def test_falsy_defaults_are_defaults(default: Any) -> None:
    states, turn = StateScopes(MemoryStorage()), context()
    read = await states.user.create_property("value").get(turn, default)
    assert read == default
    assert type(read) is type(default)


@pytest.mark.parametrize("default", [[], {}])
async def test_an_empty_collection_as_default_is_a_copy_that_is_saved(default: Any) -> None:
    states, turn = StateScopes(MemoryStorage()), context()
    value = states.user.create_property("value")
    read = await value.get(turn, default)
    assert read == default
    assert read is not default
    assert await value.get(turn) is read
    await states.user.save_changes(turn)
    assert await value.get(context()) == default


@pytest.mark.parametrize("call", [lambda: 5, lambda: _later(5)], ids=["plain", "async"])
async def test_a_factory_may_be_async(call: Callable[[], Any]) -> None:
    states, turn = StateScopes(MemoryStorage()), context()
    value = states.user.create_property("value")
    assert await value.get(turn, call) == 5
    await states.user.save_changes(turn)
    assert await value.get(context()) == 5


async def _later(value: int) -> int:
    return value


async def test_none_is_a_value() -> None:
    states, turn = StateScopes(MemoryStorage()), context()
    value = states.user.create_property("value", int)
    await value.set(turn, None)
    assert await value.get(turn, 5) is None
    await states.user.save_changes(turn)
    assert await value.get(context(), 5) is None
    await value.delete(turn)
    await states.user.save_changes(turn)
    assert await value.get(context(), 5) == 5


# What cannot be stored


class Unknown:
    def __repr__(self) -> str:
        return "a secret"


def _cycle() -> list[Any]:
    items: list[Any] = ["secret"]
    items.append(items)
    return items


def _deep(levels: int) -> list[Any]:
    value: list[Any] = ["secret"]
    for _ in range(levels):
        value = [value]
    return value


@dataclass
class ExtraTopping(Topping):
    extra: str = "secret"


UNSTORABLE: list[tuple[Any, Any]] = [
    (None, Unknown()),
    (None, {"a": [Unknown()]}),
    (None, lambda: "secret"),
    (None, object()),
    (None, Profile("secret")),
    (None, Size.SMALL),
    (None, _cycle()),
    (None, _deep(10_000)),
    (None, {object(): "secret"}),
    (int, "secret"),
    (Topping, {"name": 1}),
    (Topping, Profile("secret")),
    (Topping, ExtraTopping("secret")),
    (Pizza, Pizza(Size.SMALL, [ExtraTopping("secret")])),
    (Profile, VipProfile("secret")),
    (Profile, Profile(Unknown())),  # type: ignore[arg-type]  # as an app may
    (Hours, {"opens": 1, "lunch": 12}),
    (list[Topping], _cycle()),
    (Box[int], Box("secret")),
]


@pytest.mark.parametrize(("type_", "value"), UNSTORABLE, ids=lambda v: type(v).__name__)
async def test_what_cannot_be_stored_is_said_before_anything_is_written(
    type_: Any, value: Any
) -> None:
    counting = CountingStorage(MemoryStorage())
    states = StateScopes(counting)
    bad = states.user.create_property("bad", type_)
    turn = context()
    await states.conversation.create_property("good").set(turn, 1)
    await bad.set(turn, value)

    with pytest.raises(StateEncodeError) as raised:
        await save_all(states, turn)
    assert (raised.value.scope, raised.value.key) == ("user", KEY)
    assert raised.value.property_name == "bad"
    assert "'bad'" in str(raised.value)
    assert "secret" not in all_text_of(raised.value)
    assert counting.operations["put"] == 0


@pytest.mark.parametrize("name", ["$state", "e_tag", "py/id"])
async def test_a_reserved_name_in_the_live_mapping_is_refused_before_anything_is_written(
    name: str,
) -> None:
    counting = CountingStorage(MemoryStorage())
    states, turn = StateScopes(counting), context()
    await states.conversation.create_property("good").set(turn, 1)
    await states.user.load(turn)
    mapping = states.user.get(turn)
    assert mapping is not None
    mapping[name] = {}
    with pytest.raises(StateEncodeError, match="reserved"):
        await save_all(states, turn)
    assert counting.operations["put"] == 0


@pytest.mark.parametrize("cls", [OrderedDict, Counter, deque, type("Bag", (dict,), {})])
def test_a_class_that_holds_more_than_attributes_is_no_type(cls: Any) -> None:
    with pytest.raises(TypeError, match="cannot be the type of a property"):
        StateScopes(MemoryStorage()).user.create_property("value", cls)


# What does not fit


class Angry:
    """Its setter shows what it is given."""

    def __init__(self) -> None:
        self._age = 0

    @property
    def age(self) -> int:
        return self._age

    @age.setter
    def age(self, value: int) -> None:
        raise ValueError(f"never {value}")


@dataclass
class Checked:
    name: str

    def __post_init__(self) -> None:
        if self.name == "secret":
            raise ValueError(f"{self.name} is no name")
        if self.name == "secret key":
            raise KeyError(self.name)


UNFIT: list[tuple[Any, bytes, str]] = [
    (int, b'"secret"', "Expected `int`, got `str`"),
    (Size, b'"secret"', "Invalid enum value"),
    (Pizza, b'{"size":"secret"}', "Invalid enum value - at `$.size`"),
    (Pizza, b'{"size":"s","toppings":[{"name":1}]}', "Expected `str`, got `int`"),
    (Topping, b'{"title":"secret"}', "missing required field `name`"),
    (Topping, b'["secret"]', "Expected `object`, got `array`"),
    (datetime, b'"secret"', "Invalid RFC3339"),
    (Decimal, b'"secret"', "decimal"),
    (Checked, b'{"name":"secret"}', "ValueError"),
    (Checked, b'{"name":"secret key"}', "KeyError"),
    (Profile, b'"secret"', "Expected `object`, got `str`"),
    (Profile, b'{"__class__":"secret"}', "__class__"),
    (Slotted, b'{"gone":"secret"}', "gone"),
    (Angry, b'{"age":"secret"}', "age"),
    (Visit, b'{"profile":"secret"}', "Expected `object`, got `str`"),
    (list[float], b'[NaN,"secret"]', "Expected `float`, got `str`"),
    (str, b'"secret \xff"', "UTF-8"),
    (None, b'"secret \xff"', "UTF-8"),
    (None, b'{"py/object":"app.Secret","name":"secret"}', "app.Secret"),
    (int, b"[" * 10_000 + b'"secret"' + b"]" * 10_000, "nested too deeply"),
]


@pytest.mark.parametrize(("type_", "text", "problem"), UNFIT)
async def test_what_does_not_fit_is_said_without_showing_it(
    type_: Any, text: bytes, problem: str
) -> None:
    memory = MemoryStorage()
    planted = await plant(memory, KEY, b'{"good":1,"bad":' + text + b"}")
    states, turn = StateScopes(memory), context()
    with pytest.raises(StateDecodeError) as raised:
        await states.user.create_property("bad", type_).get(turn)
    error = raised.value
    assert (error.scope, error.key) == ("user", KEY)
    assert problem in str(error)
    assert "secret" not in all_text_of(error).lower().replace("app.secret", "").replace(
        "types=[secret]", ""
    )
    await states.user.save_changes(turn)
    assert await body(memory, KEY) == planted
    if b"[[" not in text:  # too deep for the parser is too deep for the whole document
        assert error.property_name == "bad"
        assert await states.user.create_property("good").get(turn) == 1


def all_text_of(error: BaseException) -> str:
    """Whatever a log, a debugger or an error tracker may show of an error."""
    text, todo, seen = "", [error], set()
    while todo:
        one = todo.pop()
        if id(one) not in seen:
            seen.add(id(one))
            text += f"{one} {one!r} {one.args} {vars(one)} {getattr(one, 'doc', '')}"
            todo += [e for e in (one.__cause__, one.__context__) if e is not None]
    return text


async def test_a_property_that_does_not_fit_can_be_set_anew_or_deleted() -> None:
    memory = MemoryStorage()
    for repair in ("set", "delete"):
        await plant(memory, KEY, b'{"bad":"x","good":1}')
        states, turn = StateScopes(memory), context()
        bad = states.user.create_property("bad", int)
        await (bad.set(turn, 1) if repair == "set" else bad.delete(turn))
        await states.user.save_changes(turn)
        assert await bad.get(context(), 0) == (repair == "set")
        assert await states.user.create_property("good").get(context()) == 1


# Changes in place


CHANGES: list[tuple[Any, Any, Callable[[Any], Any]]] = [
    (None, {"a": [1]}, lambda v: v["a"].append(2)),
    (None, {"a": {"b": 1}}, lambda v: v["a"].pop("b")),
    (None, {"b": 1, "a": 2}, lambda v: v.update(a=3)),
    (None, {"a": 1}, lambda v: v.update(a=True)),
    (None, {"a": 1}, lambda v: v.update(a=1.0)),
    (None, {"a": None}, lambda v: v.update(a=math.inf)),
    (None, {"at": NOON}, lambda v: v.update(at=NOON + timedelta(1))),
    (Pizza, Pizza(Size.SMALL), lambda v: v.toppings.append(Topping("x"))),
    (Topping, Topping("x"), lambda v: setattr(v, "grams", math.inf)),
    (dict[str, float | None], {"a": None}, lambda v: v.update(a=math.inf)),
    (Profile, Profile("a"), lambda v: setattr(v, "name", "b")),
    (Profile, Profile("a"), lambda v: setattr(v, "added", 1)),
    (Slotted, Slotted("a", 1), lambda v: v.__init__("a", 2)),
    (set[str], {"a"}, lambda v: v.add("b")),
]


@pytest.mark.parametrize(("type_", "value", "change"), CHANGES)
async def test_a_change_in_place_is_saved(
    type_: Any, value: Any, change: Callable[[Any], Any]
) -> None:
    states = StateScopes(MemoryStorage())
    bot, prop = Bot(StateMiddleware(states)), states.user.create_property("value", type_)
    held: list[Any] = []

    async def sets(turn: TurnContext) -> None:
        await prop.set(turn, value)

    async def changes(turn: TurnContext) -> None:
        held.append(await prop.get(turn))
        change(held[0])

    await bot.turn(sets)
    await bot.turn(changes)
    read = await prop.get(context())
    assert repr(_parts(read)) == repr(_parts(held[0]))


def _parts(value: Any) -> Any:
    if isinstance(value, set):
        return sorted(value)
    return value.parts() if isinstance(value, Slotted) else getattr(value, "__dict__", value)


# With upstream, before and after


async def test_reading_what_upstream_wrote_writes_nothing(storage: Any) -> None:  # noqa: F811
    await plant(
        storage,
        KEY,
        b'{"plain": {"name": "\\u00e9", "n": [1, 2.0, 1E2]}, "typed": {"name": "x", "grams": 1}, '
        b'"profile": {"py/object": "app.Profile", "name": "Ann"}, "e_tag": "old", '
        b'"at": {"py/object": "datetime.datetime", "__reduce__": [{"py/type": '
        b'"datetime.datetime"}, ["B+4BAQwAAAAAAA=="]]}, "nan": NaN}',
    )
    counting = CountingStorage(StateScopes(storage).storage)
    states = StateScopes(counting)
    bot = Bot(StateMiddleware(states))
    props = {
        name: states.user.create_property(name, type_)
        for name, type_ in {"plain": None, "typed": Topping, "at": None, "nan": None}.items()
    }
    profile = states.user.create_property("profile")

    async def reads(turn: TurnContext) -> None:
        read = {name: await prop.get(turn) for name, prop in props.items()}
        assert read["plain"] == {"name": "é", "n": [1, 2.0, 100.0]}
        assert read["typed"] == Topping("x", 1.0)
        assert read["at"] == datetime(2030, 1, 1, 12)  # noqa: DTZ001 - as it was stored
        assert math.isnan(read["nan"] or 0)
        assert (await profile.get(turn, Profile)).name == "Ann"
        assert await states.user.create_property("e_tag2").get(turn) is None

    await bot.turn(reads)
    assert counting.operations["put"] == 0


async def test_after_going_back_upstream_reads_what_we_wrote() -> None:
    memory = UpstreamMemoryStorage()
    states, turn = StateScopes(memory, types=[Profile]), context()
    await states.user.create_property("plain").set(turn, {"a": [1, None]})
    await states.user.create_property("typed", Topping).set(turn, Topping("x"))
    await states.user.create_property("profile").set(turn, Profile("Ann"))
    await states.user.create_property("at").set(turn, NOON)
    await states.user.create_property("size").set(turn, (1, {2}))
    await states.user.save_changes(turn)

    item = await states.storage.get(KEY)
    assert item is not None
    # As upstream's BlobStorage reads a body: our own bytes, so there is nothing to fear in them.
    body = jsonpickle.decode(item.data.decode())  # noqa: S301 - see above
    upstream = UpstreamMemoryStorage({KEY: body})
    old, turn = UpstreamUserState(upstream), context()
    assert await old.create_property("plain").get(turn) == {"a": [1, None]}
    assert await old.create_property("typed").get(turn) == {"name": "x", "grams": 10.0}
    assert await old.create_property("profile").get(turn) == Profile("Ann")
    assert await old.create_property("at").get(turn) == NOON
    assert await old.create_property("size").get(turn) == (1, {2})
    assert "$state" in json.loads(item.data)
