"""Fields that newer code stored are carried by older code that changes the value."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

import attrs
import msgspec
import pydantic
import pytest

from botstate_ext import StateScopes
from botstate_ext.storage import MemoryStorage

KEY = "test/users/ann"


@dataclass
class Line:
    sku: str
    count: int = 1


@dataclass
class Order:
    lines: list[Line] = field(default_factory=list)
    by_name: dict[str, Line] = field(default_factory=dict)
    visits: int = 0


@dataclass(slots=True)
class SlottedOrder:
    visits: int = 0


@attrs.define
class AttrsOrder:
    visits: int = 0


class StructOrder(msgspec.Struct):
    visits: int = 0


class ModelOrder(pydantic.BaseModel):
    visits: int = 0


class DictOrder(TypedDict, total=False):
    visits: int


async def changed(stored: Any, type_: Any, change: Any) -> Any:
    """What is stored after older code has changed a value."""
    storage = MemoryStorage()
    await storage.put_if(KEY, json.dumps({"order": stored}).encode(), etag=None)
    states = StateScopes(storage)
    order = states.user.create_property("order", type_)
    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        change(await order.get(work))
    item = await storage.get(KEY)
    assert item is not None
    return json.loads(item.data)["order"]


def visit(order: Any) -> None:
    if isinstance(order, dict):
        order["visits"] = 5
    else:
        order.visits = 5


CLASSES = [Order, SlottedOrder, AttrsOrder, StructOrder, ModelOrder, DictOrder]


@pytest.mark.parametrize("cls", CLASSES)
async def test_a_field_of_newer_code_is_carried(cls: Any) -> None:
    after = await changed({"visits": 1, "coupon": {"code": "x"}}, cls, visit)
    assert after["visits"] == 5
    assert after["coupon"] == {"code": "x"}


@pytest.mark.parametrize("cls", CLASSES)
async def test_a_value_that_did_not_change_is_no_change(cls: Any) -> None:
    stored = {"visits": 1, "coupon": 2}
    assert await changed(stored, cls, lambda order: None) == stored


async def test_fields_follow_their_object_and_not_its_position() -> None:
    stored = {
        "lines": [{"sku": "a", "note": 1}, {"sku": "b", "note": 2}],
        "by_name": {"x": {"sku": "c", "note": 3}},
    }

    def change(order: Order) -> None:
        order.lines.insert(0, Line("new"))
        del order.lines[1]
        order.by_name["y"] = order.by_name.pop("x")

    after = await changed(stored, Order, change)
    assert after["lines"] == [{"sku": "new", "count": 1}, {"sku": "b", "note": 2}]
    assert after["by_name"] == {"y": {"sku": "c", "note": 3}}


async def test_an_object_that_was_replaced_loses_them_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def change(order: Order) -> None:
        order.lines[0] = replace(order.lines[0], count=2)

    with caplog.at_level(logging.WARNING, logger="botstate_ext"):
        after = await changed({"lines": [{"sku": "a", "note": "secret"}]}, Order, change)
    assert after["lines"] == [{"sku": "a", "count": 2}]
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert "Line" in warnings[0]
    assert "secret" not in warnings[0]


async def test_a_field_under_an_alias_is_no_unknown_one() -> None:
    class Aliased(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(populate_by_name=True)
        total: int = pydantic.Field(0, validation_alias=pydantic.AliasChoices("sum", "total"))
        visits: int = 0

    def change(order: Any) -> None:
        order.total = 7

    assert await changed({"sum": 3, "visits": 1}, Aliased, change) == {"total": 7, "visits": 1}


async def test_update_and_a_merge_function_carry_them() -> None:
    storage = MemoryStorage()
    await storage.put_if(KEY, b'{"order":{"visits":1,"coupon":2}}', etag=None)
    states = StateScopes(storage)
    order: Any = states.user.create_property(
        "order", Order, merge=lambda base, mine, theirs: theirs
    )
    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        await order.update(work, visit)
    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        (await order.get(work)).visits = 6
        async with states.unit_of_work(channel_id="test", user_id="ann") as other:
            (await order.get(other)).visits = 7
    item = await storage.get(KEY)
    assert item is not None
    stored = json.loads(item.data)["order"]
    assert (stored["visits"], stored["coupon"]) == (7, 2)


async def test_a_value_that_was_replaced_by_a_patch_is_no_lost_change(
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage = MemoryStorage()
    await storage.put_if(KEY, b'{"order":{"visits":1,"coupon":2}}', etag=None)
    states = StateScopes(storage)
    order: Any = states.user.create_property("order", Order)
    async with states.unit_of_work(channel_id="test", user_id="ann") as work:
        await order.get(work)
        await states.user.patch_state(work, "order", {"visits": 9})
    item = await storage.get(KEY)
    assert item is not None
    stored = json.loads(item.data)["order"]
    assert (stored["visits"], stored["coupon"]) == (9, 2)
    assert caplog.records == []
