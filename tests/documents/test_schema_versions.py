"""Values that were stored by older and by newer code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import jsonpickle
import pytest

from botstate_ext import StateDecodeError
from botstate_ext.storage import MemoryStorage
from tests.serialization.models import Order
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext

KEY = "test/users/user"
DAY = datetime(2024, 1, 2, tzinfo=timezone.utc)


@dataclass
class Profile:
    first: str
    last: str
    age: int = 0


def split_name(value: Any) -> Any:
    first, _, last = value.pop("name").partition(" ")
    return {**value, "first": first, "last": last}


def years(value: Any) -> None:
    value["age"] = value.pop("years", 0)


MIGRATIONS = {1: split_name, 2: years}


class World:
    """Instances of a bot, each with its own idea of a profile, on one storage."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()

    def instance(self, version: int = 3, type_: Any = Profile, **options: Any) -> Instance:
        migrations = {v: f for v, f in MIGRATIONS.items() if v < version}
        return Instance(self.storage, version, migrations, type_, **options)

    async def store(self, name: str, value: Any, version: int | None = None) -> None:
        body: dict[str, Any] = {name: value}
        if version is not None:
            body["$state"] = {"v": 1, "props": {name: {"version": version}}}
        await self.storage.put_if(KEY, json.dumps(body).encode(), etag="*")

    async def body(self) -> dict[str, Any]:
        item = await self.storage.get(KEY)
        assert item is not None
        return dict(json.loads(item.data))


class Instance:
    def __init__(
        self, storage: MemoryStorage, version: int, migrations: Any, type_: Any, **options: Any
    ) -> None:
        self.states = StateScopes(storage)
        self.profile = self.states.user.create_property(
            "profile", type_, version=version, migrations=migrations, **options
        )
        self.bot = Bot(StateMiddleware(self.states))

    async def read(self, default: Any = None) -> Any:
        found = []

        async def logic(turn: TurnContext) -> None:
            found.append(await self.profile.get(turn, default))

        await self.bot.turn(logic)
        return found[0]

    async def change(self, **fields: Any) -> None:
        async def logic(turn: TurnContext) -> None:
            value = await self.profile.get(turn)
            for name, value_of in fields.items():
                setattr(value, name, value_of)

        await self.bot.turn(logic)


@pytest.fixture
def world() -> World:
    return World()


async def test_an_old_value_is_brought_forward_and_written_with_the_turn(world: World) -> None:
    await world.store("profile", {"name": "Ann Lee", "years": 30})
    assert await world.instance().read() == Profile("Ann", "Lee", 30)
    body = await world.body()
    assert body["profile"] == {"first": "Ann", "last": "Lee", "age": 30}
    assert body["$state"]["props"]["profile"]["version"] == 3


async def test_the_chain_begins_at_the_stored_version(world: World) -> None:
    await world.store("profile", {"first": "Ann", "last": "Lee", "years": 30}, version=2)
    assert await world.instance().read() == Profile("Ann", "Lee", 30)


async def test_what_is_not_read_is_not_brought_forward(world: World) -> None:
    await world.store("profile", {"name": "Ann Lee", "years": 30})
    instance = world.instance()
    other = instance.states.user.create_property("other")
    await instance.bot.turn(lambda turn: other.set(turn, 1))
    body = await world.body()
    assert body["profile"] == {"name": "Ann Lee", "years": 30}
    assert "version" not in body["$state"]["props"]["profile"]
    assert await instance.read() == Profile("Ann", "Lee", 30)


async def test_a_turn_that_fails_writes_nothing(world: World) -> None:
    await world.store("profile", {"name": "Ann Lee", "years": 30})
    before = await world.body()
    instance = world.instance()

    async def logic(turn: TurnContext) -> None:
        await instance.profile.get(turn)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await instance.bot.turn(logic)
    assert await world.body() == before


async def test_what_upstream_wrote_is_brought_forward_as_plain_json(world: World) -> None:
    stored = json.loads(jsonpickle.encode({"profile": Order("Ann", [DAY])}))
    await world.store("profile", stored["profile"])
    seen = []

    def first(value: Any) -> Any:
        seen.append(json.loads(json.dumps(value)))
        return {"first": value["name"], "last": ""}

    instance = Instance(world.storage, 2, {1: first}, Profile)
    assert await instance.read() == Profile("Ann", "")
    assert seen == [{"name": "Ann", "items": ["2024-01-02T00:00:00Z"]}]


@pytest.mark.parametrize("on_undecodable", ["raise", "quarantine"])
async def test_a_newer_value_is_refused_and_stays(world: World, on_undecodable: Any) -> None:
    await world.store("profile", {"names": ["Ann"]}, version=4)
    before = await world.body()
    instance = world.instance(on_undecodable=on_undecodable)
    with pytest.raises(StateDecodeError, match=r"'profile'.*version 4.*up to version 3") as caught:
        await instance.read(lambda: Profile("", ""))
    assert (caught.value.scope, caught.value.key) == ("user", KEY)
    with pytest.raises(StateDecodeError, match="version 4"):
        await instance.bot.turn(lambda turn: instance.profile.set(turn, Profile("", "")))
    with pytest.raises(StateDecodeError, match="version 4"):
        await instance.bot.turn(lambda turn: instance.profile.update(turn, lambda value: value))
    assert await world.body() == before


async def test_a_newer_value_can_be_deleted(world: World) -> None:
    await world.store("profile", {"names": ["Ann"]}, version=4)
    instance = world.instance()
    await instance.bot.turn(lambda turn: instance.profile.delete(turn))
    assert "profile" not in await world.body()


async def test_code_without_versions_reads_no_newer_value(world: World) -> None:
    await world.store("profile", {"names": ["Ann"]}, version=2)
    with pytest.raises(StateDecodeError, match="version 2"):
        await world.instance(version=1, type_=None).read()


async def test_a_deploy_that_is_rolled_back_does_not_harm(world: World) -> None:
    old, new = world.instance(version=2, type_=None), world.instance()
    await world.store("profile", {"name": "Ann Lee", "years": 30})
    assert (await old.read())["first"] == "Ann"
    await new.change(age=31)
    with pytest.raises(StateDecodeError):
        await old.read()
    assert await new.read() == Profile("Ann", "Lee", 31)


async def test_two_who_bring_it_forward_are_in_no_conflict(world: World) -> None:
    await world.store("profile", {"name": "Ann Lee", "years": 30})
    first, second = world.instance(), world.instance()

    async def logic(turn: TurnContext) -> None:
        value = await first.profile.get(turn)
        assert value is not None
        await second.read()  # meanwhile another instance brings it forward too
        value.age = 31

    await first.bot.turn(logic)
    assert await second.read() == Profile("Ann", "Lee", 31)


async def test_values_of_two_versions_are_merged_in_the_newer_one(world: World) -> None:
    await world.store("profile", {"name": "Ann Lee", "years": 30})
    instance = world.instance(merge="fields")

    async def logic(turn: TurnContext) -> None:
        value = await instance.profile.get(turn)
        assert value is not None
        value.age = 31
        # An instance without this package writes what it knows.
        await world.store("profile", {"name": "Ann Ho", "years": 30})

    await instance.bot.turn(logic)
    assert await instance.read() == Profile("Ann", "Ho", 31)


async def test_update_brings_forward(world: World) -> None:
    await world.store("profile", {"name": "Ann Lee", "years": 30})
    instance = world.instance()

    def birthday(value: Profile) -> None:
        value.age += 1

    await instance.bot.turn(lambda turn: instance.profile.update(turn, birthday))
    body = await world.body()
    assert body["profile"]["age"] == 31
    assert body["$state"]["props"]["profile"]["version"] == 3


async def test_null_is_null_in_every_version(world: World) -> None:
    await world.store("profile", None)
    assert await world.instance().read() is None


async def test_queries_see_the_version_of_the_code(world: World) -> None:
    await world.store("profile", {"name": "Ann Lee", "years": 30})
    instance = world.instance()
    found = []

    async def logic(turn: TurnContext) -> None:
        found.append(await instance.states.user.query(turn, "$.profile.first"))

    await instance.bot.turn(logic)
    assert found == ["Ann"]


async def test_a_migration_that_fails_says_where_and_shows_nothing(world: World) -> None:
    await world.store("profile", {"secret": "hunter2"})
    before = await world.body()
    with pytest.raises(StateDecodeError, match="version 1 raised KeyError") as caught:
        await world.instance().read()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert await world.body() == before


async def test_a_migration_must_give_json(world: World) -> None:
    await world.store("profile", {})
    instance = Instance(world.storage, 2, {1: lambda value: {1, 2, object()}}, None)
    with pytest.raises(StateDecodeError, match="no JSON"):
        await instance.read()


@pytest.mark.parametrize(
    ("version", "migrations"),
    [
        (2, None), (3, {1: years}), (3, {2: years}), (4, {1: years, 3: years}), (2, {2: years}),
        (1, {1: years}), (2, {0: years, 1: years}), (2, {"1": years}), (0, None), (-1, None),
    ],
)  # fmt: skip
def test_a_chain_with_a_gap_is_refused(world: World, version: int, migrations: Any) -> None:
    with pytest.raises(ValueError, match="version"):
        StateScopes(world.storage).user.create_property(
            "profile", version=version, migrations=migrations
        )


@pytest.mark.parametrize(
    ("version", "migrations"), [(True, None), ("2", None), (2.0, {1: years}), (2, {1: "f"})]
)
def test_what_is_no_version_or_migration(world: World, version: Any, migrations: Any) -> None:
    with pytest.raises(TypeError):
        StateScopes(world.storage).user.create_property(
            "profile", version=version, migrations=migrations
        )


async def test_an_expired_value_reaches_its_handler_in_the_new_version(world: World) -> None:
    await world.store("profile", {"name": "Ann Lee", "years": 30})
    item = await world.storage.get(KEY)
    assert item is not None
    body = json.loads(item.data)
    ended = datetime(2024, 1, 1, tzinfo=timezone.utc).isoformat()
    body["$state"] = {"v": 1, "scope": "user", "props": {"profile": {"expires": ended}}}
    await world.storage.put_if(KEY, json.dumps(body).encode(), etag="*")
    instance = world.instance()
    handled: list[Any] = []
    instance.profile.on_expired(lambda state: handled.append(state.value))
    await instance.bot.turn(lambda turn: instance.profile.get(turn))  # it waits in $state now
    await instance.states.sweep()
    assert handled == [Profile("Ann", "Lee", 30)]
