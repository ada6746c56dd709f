"""Classes as bots have them, at the level of a module so that jsonpickle can name them."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from enum import Enum, Flag, IntEnum
from typing import Any, NamedTuple

import attrs


class Plain:
    """Equal by class and attributes, all the way down."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(tuple(sorted(vars(self))))


class Colour(Enum):
    RED = 1
    PAIR = (1, 2)


class Size(str, Enum):
    SMALL = "small"


class Level(IntEnum):
    LOW = 1


class Rights(Flag):
    READ = 1
    WRITE = 2


@dataclass
class Order:
    name: str
    items: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Frozen:
    a: int
    b: Any = None


@dataclass(slots=True)
class Slotted:
    a: int
    b: Any = None


@dataclass(frozen=True, slots=True)
class FrozenSlotted:
    a: int
    b: Any = None


@attrs.define
class Attrs:
    a: int
    b: Any = None


class Point(NamedTuple):
    x: Any
    y: Any


class PlainTuple(tuple[Any, ...]):
    pass


class Words(list[Any]):
    pass


class Bag(set[Any]):
    pass


class Headers(dict[str, Any]):
    pass


class Ordered(OrderedDict[str, Any]):
    pass


class Lists(defaultdict[str, list[Any]]):
    pass


class Name(str):
    pass


class WithState:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __getstate__(self) -> dict[str, Any]:
        return {"kept": self.value}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.value = state["kept"]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WithState) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]  # mutable


class PrivateSlots:
    __slots__ = ("__secret", "shown")

    def __init__(self, secret: Any, shown: Any) -> None:
        self.__secret = secret
        self.shown = shown

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, PrivateSlots)
            and other.__secret == self.__secret
            and other.shown == self.shown
        )

    __hash__ = None  # type: ignore[assignment]  # mutable


class SlotsAndDict(Slotted):
    """Has a ``__dict__`` beside the slots of its base."""


class Celsius:
    """An attribute of an older version that is a property now."""

    def __init__(self) -> None:
        self._kelvin = 0.0

    @property
    def degrees(self) -> float:
        return self._kelvin - 273.15

    @degrees.setter
    def degrees(self, value: float) -> None:
        self._kelvin = value + 273.15


class Singleton:
    """Says itself how it is pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Singleton, ())


class Outer:
    class Inner(Plain):
        pass


TYPES = (
    Plain, Colour, Size, Level, Rights, Order, Frozen, Slotted, FrozenSlotted, Attrs, Point,
    PlainTuple, Words, Bag, Headers, Ordered, Lists, Name, WithState, PrivateSlots, SlotsAndDict,
    Celsius, Outer.Inner,
)  # fmt: skip
