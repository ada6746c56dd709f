"""pydantic models as values, where pydantic is installed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from botstate_ext import StateDecodeError, StateEncodeError, StateScopes
from botstate_ext.storage import MemoryStorage
from tests.backends import body, plant
from tests.serialization.test_values import KEY, all_text_of, round_trip
from tests.turns import context

pydantic: Any = pytest.importorskip("pydantic")


class Line(pydantic.BaseModel):
    sku: str
    count: int = 1


class Order(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)

    lines: list[Line] = pydantic.Field(default_factory=list)
    by_email: dict[str, int] = pydantic.Field(default_factory=dict)
    total: float = pydantic.Field(0.0, alias="totalPrice")


class GiftOrder(Order):
    wrap: str = "secret"


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    even: int = 0

    @pydantic.field_validator("even")
    @classmethod
    def _is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"{value} is odd")
        return value


@dataclass
class Basket:
    order: Order
    more: list[Order] = field(default_factory=list)


ORDER = Order(lines=[Line(sku="a", count=2)], by_email={"a@b.example": 1}, total=9.5)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Order, ORDER),
        (Order | None, ORDER),
        (list[Order], [ORDER, Order()]),
        (dict[str, Order], {"x": ORDER}),
        (Basket, Basket(ORDER, [Order()])),
        (GiftOrder, GiftOrder(wrap="red")),
    ],
)
async def test_a_model_comes_back_as_itself(type_: Any, value: Any) -> None:
    read = await round_trip(value, type_)
    assert read == value
    assert type(read) is type(value)


async def test_a_model_given_as_default_is_the_type() -> None:
    memory = MemoryStorage()
    for expected in (0, 1):
        states, turn = StateScopes(memory, write_type_tags=False), context()
        order = await states.user.create_property("order").get(turn, Order)
        assert len(order.lines) == expected
        order.lines.append(Line(sku="x"))
        await states.user.save_changes(turn)
    stored = await body(memory, KEY)
    assert stored is not None
    assert b'"totalPrice":0.0' in stored


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (Order, b'{"by_email":{"secret@b.example":"secret"}}'),
        (Order, b'{"lines":[{"sku":"x","count":"secret"}]}'),
        (Order, b'"secret"'),
        (Strict, b'{"secret":1}'),
        (Strict, b'{"even":777}'),
        (Basket, b'{"order":{"totalPrice":"secret"}}'),
        (list[Order], b'[{"lines":"secret"}]'),
    ],
)
async def test_a_model_that_does_not_fit_is_said_without_showing_it(
    type_: Any, text: bytes
) -> None:
    memory = MemoryStorage()
    planted = await plant(memory, KEY, b'{"bad":' + text + b"}")
    states, turn = StateScopes(memory), context()
    with pytest.raises(StateDecodeError, match="pydantic refused it") as raised:
        await states.user.create_property("bad", type_).get(turn)
    assert raised.value.property_name == "bad"
    shown = all_text_of(raised.value)
    assert "secret" not in shown
    assert "777" not in shown
    assert await body(memory, KEY) == planted


async def test_what_a_model_cannot_write_or_would_lose_is_refused() -> None:
    states, turn = StateScopes(MemoryStorage()), context()
    order = states.user.create_property("order", Order)
    broken = Order.model_construct(total=object())
    values: list[Any] = [GiftOrder(), broken, {"lines": 1}, Basket(ORDER)]
    for value in values:
        await order.set(turn, value)
        with pytest.raises(StateEncodeError) as raised:
            await states.user.save_changes(turn)
        assert raised.value.property_name == "order"
        assert "secret" not in all_text_of(raised.value)


async def test_a_frozen_model_cannot_be_changed_in_place() -> None:
    class Fixed(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(frozen=True)
        number: int = 0

    states, turn = StateScopes(MemoryStorage()), context()
    fixed: Any = states.user.create_property("fixed", Fixed)
    line: Any = states.user.create_property("line", Line)
    with pytest.raises(TypeError, match="cannot be changed in place"):
        await fixed.update(turn, lambda value: None, default=Fixed)
    await line.update(turn, lambda value: setattr(value, "count", 2), default=Line(sku="x"))
    assert await line.get(turn) == Line(sku="x", count=2)
