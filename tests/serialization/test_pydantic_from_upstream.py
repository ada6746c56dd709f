"""pydantic models as upstream stored them, where pydantic is installed."""

from __future__ import annotations

from typing import Any

import jsonpickle
import pytest

from botstate_ext import StateMiddleware, StateScopes
from botstate_ext.storage import MemoryStorage
from tests.turns import Bot, context

pydantic: Any = pytest.importorskip("pydantic")


class Order(pydantic.BaseModel):
    name: str
    lines: list[str] = pydantic.Field(default_factory=list)


ORDER = Order(name="Ann", lines=["pizza"])


async def test_what_upstream_stored_is_read() -> None:
    storage = MemoryStorage()
    data = jsonpickle.encode({"order": ORDER}).encode()
    await storage.put_if("test/users/user", data, etag=None)
    order = StateScopes(storage).user.create_property("order", Order)
    assert await order.get(context()) == ORDER


async def test_with_tags_upstream_reads_what_we_store() -> None:
    storage = MemoryStorage()
    states = StateScopes(storage)
    order = states.user.create_property("order", Order, write_type_tags=True)
    await Bot(StateMiddleware(states)).turn(lambda turn: order.set(turn, ORDER))
    item = await storage.get("test/users/user")
    assert item is not None
    assert jsonpickle.decode(item.data)["order"] == ORDER  # noqa: S301 - upstream, again
    assert await order.get(context()) == ORDER
