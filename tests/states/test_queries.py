"""Queries and templates over real turns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from botstate_ext import JsonPath, StateDecodeError, StateQuery, StateQueryError
from botstate_ext import storage as storages
from botstate_ext.testing import CountingStorage, ManualClock
from tests.turns import StateScopes, context, load_all, message


@dataclass
class Birth:
    Day: int
    Month: int
    Year: int


@dataclass
class Order:
    items: list[str] = field(default_factory=list)


@pytest.fixture
def storage() -> CountingStorage:
    return CountingStorage(storages.MemoryStorage())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2024, 1, 1, tzinfo=timezone.utc))


@pytest.fixture
def states(storage: CountingStorage, clock: ManualClock) -> StateScopes:
    return StateScopes(storage, clock=clock, aliases={"basket": "shared"})


async def test_the_seeds_query_gives_the_seeds_answer(states: StateScopes) -> None:
    turn = context()
    for name, value in (("Firstname", "Thimo"), ("Lastname", "Koolen"), ("Active", True)):
        await states.user.create_property(name).set(turn, value)
    await states.user.create_property("DateOfBirth", Birth).set(turn, Birth(22, 12, 1997))
    query = StateQuery().add_from_json(
        '{"First": ".$Firstname", "Last": ".$Lastname", "BirthYear": ".$DateOfBirth.Year"}'
    )
    answer = {"First": "Thimo", "Last": "Koolen", "BirthYear": 1997}
    assert await states.user.query(turn, query) == answer
    await states.user.save_changes(turn)
    assert await states.user.query(context(), query) == answer


async def test_a_query_sees_unsaved_changes_and_no_expired_values(
    states: StateScopes, clock: ManualClock
) -> None:
    offer = states.user.create_property("offer", expires_after=timedelta(hours=1))
    name = states.user.create_property("name")
    turn = context()
    await offer.set(turn, 5)
    await name.set(turn, "Ann")
    await states.user.save_changes(turn)
    clock.advance(timedelta(hours=1))
    later = context()
    await name.set(later, "Bob")
    assert await states.user.query(later, "$.*") == ["Bob"]
    assert await states.user.query(later, "$.offer") is None
    assert await states.user.query(later, "$['$state']") is None
    await name.delete(later)
    assert await states.user.query(later, "$.*") == []


async def test_the_tree_holds_every_scope_the_turn_and_named_shared_documents(
    states: StateScopes, storage: CountingStorage
) -> None:
    team = states.scope("team", key=lambda turn: "t")
    order = states.shared.create_property("order", Order)
    turn = context(message("two pizzas"))
    states.workflow.bind(turn, "w")
    for scope in (states.user, states.conversation, states.private, states.bot, team):
        await scope.create_property("n").set(turn, scope.scope_name)
    await states.workflow.create_property("n").set(turn, "workflow")
    await order.at("12").set(turn, Order(["funghi"]))
    for scope in states:
        await scope.save_changes(turn)

    turn = context(message("two pizzas"))
    assert await states.query(turn, "$.team.n") == "team"
    assert await states.query(turn, "$.turn.text") == "two pizzas"
    assert await states.query(turn, "$.shared['12'].order.items[0]") == "funghi"
    assert await states.query(turn, "$.shared[*].order.items[*]") == ["funghi"]
    assert await states.query(turn, "$.workflow.n") is None, "it is not bound in this turn"
    found = await states.query(turn, "$.*.n")
    assert sorted(found) == ["bot", "conversation", "private", "team", "user"]
    assert await states.query(context(message(user=None)), "$.user.n") is None


async def test_only_what_a_path_can_reach_is_loaded_and_decoded(
    states: StateScopes, storage: CountingStorage
) -> None:
    key = "test/users/user"
    await storage.put_if(key, b'{"good": 1, "bad": {"py/function": "os.system"}}', etag=None)
    turn = context()
    assert await states.query(turn, "$.user.good") == 1
    assert list(storage.keys_read) == [key]
    with pytest.raises(StateDecodeError):
        await states.query(turn, "$.user.bad")


async def test_what_a_query_gives_is_a_copy(states: StateScopes) -> None:
    cart = states.user.create_property("cart")
    turn = context()
    await cart.set(turn, {"items": [1]})
    (await states.user.query(turn, "$.cart.items")).append(2)
    assert await cart.get(turn) == {"items": [1]}


async def test_a_property_is_asked_by_itself(states: StateScopes) -> None:
    order = states.shared.create_property("order", Order).at("1")
    turn = context()
    assert await order.query(turn, "$.items[0]") is None
    assert await order.query(turn, JsonPath("$.items[*]")) == []
    await order.set(turn, Order(["a", "b"]))
    assert await order.query(turn, "$.items[-1]") == "b"
    query = StateQuery({"first": "$.items[0]", "all": "$.items.*", "none": "$.x"})
    assert await order.query(turn, query) == {"first": "a", "all": ["a", "b"], "none": None}
    absent = states.shared.create_property("order", Order).at("2")
    assert await absent.query(turn, query) == {"first": None, "all": [], "none": None}
    assert await absent.query(turn, "$..*") == []


async def test_shared_documents_are_in_the_tree_under_the_ids_they_were_asked_for(
    states: StateScopes,
) -> None:
    # Of a long id the key holds a hash.
    ids = ["12345", "a/b%2F", "o" * 600, "\ud800"]
    turn = context()
    for document_id in ids:
        await states.shared.at(document_id).create_property("n").set(turn, 1)
    tree = await states.query(turn, "$.shared")
    assert tree == {document_id: {"n": 1} for document_id in ids}
    await states.shared.at("12345").delete(turn)
    assert len(await states.query(turn, "$.shared.*")) == 3


async def test_asking_for_a_shared_document_does_not_make_it_exist(states: StateScopes) -> None:
    turn = context()
    assert await states.query(turn, "$.shared['typo']") is None
    assert await states.query(turn, "$.shared['typo'].item") is None
    assert await states.query(turn, "$.shared.*") == []
    assert await states.query(turn, "$.user") == {}


async def test_a_named_shared_document_is_loaded_whatever_else_is_asked(
    states: StateScopes,
) -> None:
    item = states.shared.create_property("item")
    turn = context()
    await item.at("1").set(turn, "funghi")
    await states.shared.save_changes(turn)
    query = StateQuery({"one": "$.shared['1'].item", "all": "$.shared.*.item"})
    assert await states.query(context(), query) == {"one": "funghi", "all": ["funghi"]}
    path = "$.shared['1'][?count($.shared.*) == 1]"
    assert await states.query(context(), path) == ["funghi"]


async def test_a_query_sees_what_someone_else_wrote_where_get_does(states: StateScopes) -> None:
    item, note = states.user.create_property("item"), states.user.create_property("note")
    turn, other = context(), context()
    await item.set(turn, {"n": 1})
    await states.user.save_changes(turn)
    await item.set(other, {"n": 2})
    await states.user.save_changes(other)
    await note.set(turn, "this turn writes too, and finds that")
    await states.user.save_changes(turn)
    assert await states.user.query(turn, "$.item.n") == 2
    assert await item.get(turn) == {"n": 2}


async def test_a_value_that_cannot_be_read_is_named_and_not_shown(
    states: StateScopes, storage: CountingStorage
) -> None:
    await storage.put_if("test/users/user", b'{"bad": {"py/function": "secret.name"}}', etag=None)
    bad = states.user.create_property("bad")
    for asking in (
        states.user.query(context(), "$.bad"),
        states.query(context(), "$.user.bad"),
        bad.query(context(), "$"),
        states.render(context(), "{@user.bad}"),
    ):
        with pytest.raises(StateDecodeError, match="'bad'") as raised:
            await asking
        assert raised.value.__cause__ is None


async def test_what_would_be_moved_aside_is_absent(
    states: StateScopes, storage: CountingStorage
) -> None:
    stored = b'{"bad": {"py/function": "secret.name"}, "good": 1}'
    await storage.put_if("test/users/user", stored, etag=None)
    bad = states.user.create_property("bad", Order, on_undecodable="quarantine")
    turn = context()
    assert await states.user.query(turn, "$.*") == [1]
    assert await bad.query(turn, "$.items") is None
    assert await states.render(turn, "{@user.bad|'none'}") == "none"
    await states.user.save_changes(turn)
    assert (await storage.get_many(["test/users/user"]))["test/users/user"].data == stored
    assert [found.data async for found in states.user.scan(where="$.good")] == [{"good": 1}]
    with pytest.raises(StateDecodeError):
        await states.user.read_data(turn)  # it could be written back, without that


async def test_an_older_version_is_asked_as_the_one_that_the_code_knows(
    states: StateScopes,
) -> None:
    turn = context()
    await states.user.create_property("name").set(turn, "Ann Bee")
    await states.user.save_changes(turn)
    states.user.create_property("name", dict, version=2, migrations={1: lambda old: {"full": old}})
    assert await states.user.query(context(), "$.name.full") == "Ann Bee"
    assert await states.render(context(), "{@user.name.full}") == "Ann Bee"


async def test_looking_at_a_sliding_property_does_not_renew_it(
    states: StateScopes, storage: CountingStorage, clock: ManualClock
) -> None:
    lifetime = timedelta(hours=1)
    cart = states.user.create_property("cart", expires_after=lifetime, sliding=True)
    turn = context()
    await cart.set(turn, 1)
    await states.user.save_changes(turn)
    clock.advance(lifetime / 2)
    turn = context()
    assert await states.user.query(turn, "$..*") == [1]
    assert await states.render(turn, "{@user.cart}") == "1"
    await states.user.save_changes(turn)
    clock.advance(lifetime / 2)
    assert await cart.get(context()) is None


async def test_an_own_scope_is_in_templates_and_cannot_take_a_name_of_the_tree(
    states: StateScopes,
) -> None:
    team = states.scope("my-team")
    turn = context()
    await team.at("red").create_property("name").set(turn, "Reds")
    assert await states.render(turn, "{@my-team('red').name}{@my-team.name}") == "Reds"
    with pytest.raises(ValueError, match="turn"):
        states.scope("turn")


async def test_an_alias_may_be_for_a_scope_that_is_made_later() -> None:
    states = StateScopes(storages.MemoryStorage(), aliases={"crew": "team"})
    with pytest.raises(StateQueryError, match="'team', which is no scope"):
        states.check_template("{@crew.name}")
    team = states.scope("team", key=lambda turn: "red")
    turn = context()
    await team.create_property("name").set(turn, "Reds")
    assert await states.render(turn, "{@crew.name}") == "Reds"


async def test_outside_any_turn_the_same_is_asked(states: StateScopes) -> None:
    name = states.user.create_property("name")
    async with states.unit_of_work(channel_id="test", user_id="user") as work:
        await name.set(work, "Ann")
        assert await states.query(work, "$.user.name") == "Ann"
        assert await states.query(work, "$.turn.channelId") == "test"
        assert await states.render(work, "{@user.name}{@session.none}") == "Ann"
    assert await states.user.query(context(), "$.name") == "Ann"


async def test_an_activity_that_is_no_json_is_a_typed_error(states: StateScopes) -> None:
    activity = message()
    activity.timestamp = "secret"
    for asking in (
        states.query(context(activity), "$.turn.text"),
        states.render(context(activity), "{@turn.text}"),
    ):
        with pytest.raises(StateQueryError, match="activity") as raised:
            await asking
        assert "secret" not in str(raised.value)


async def test_what_a_query_gives_of_the_activity_is_a_copy(states: StateScopes) -> None:
    activity = message()
    activity.channel_data = {"team": ["a"]}
    (await states.query(context(activity), "$.turn.channelData.team")).append("b")
    assert activity.channel_data == {"team": ["a"]}


@pytest.mark.parametrize("path", [None, 5, b"$.a", ["$.a"]])
async def test_what_is_no_path_is_the_typed_error(states: StateScopes, path: Any) -> None:
    name = states.user.create_property("name")
    for ask in (states.query, states.user.query, name.query):
        with pytest.raises(StateQueryError):
            await ask(context(), path)


async def test_a_wrong_path_is_refused_before_anything_is_read(
    states: StateScopes, storage: CountingStorage
) -> None:
    for ask in (states.query, states.user.query):
        with pytest.raises(StateQueryError):
            await ask(context(), "$.[")
    assert storage.round_trips == 0


async def test_a_template_reads_one_batch_of_shared_documents(
    states: StateScopes, storage: CountingStorage
) -> None:
    item = states.shared.create_property("item")
    turn = context()
    await states.user.create_property("firstName").set(turn, "Ann")
    await states.conversation.create_property("orderCode").set(turn, "12345")
    await item.at("12345").set(turn, "funghi {@chat.firstName}")
    await item.at("test").set(turn, {"of": ["salami"]})
    for scope in (states.user, states.conversation, states.shared):
        await scope.save_changes(turn)

    turn = context()
    await load_all(states, turn)
    storage.reset()
    text = await states.render(
        turn,
        "Hi {@chat.firstName}, your {@shared(@session.orderCode).item}, "
        "{@basket('test').item.of[0]}, {@shared('test').item}"
        "{@user.none}{@user.none|'there'} {{@user.firstName}",
    )
    assert text == (
        'Hi Ann, your funghi {@chat.firstName}, salami, {"of":["salami"]}there {@user.firstName}'
    )
    assert storage.round_trips == 1
    with pytest.raises(StateQueryError, match="no value"):
        await states.render(turn, "{@user.none}", strict=True)


async def test_the_seeds_context_variables_word_for_word(states: StateScopes) -> None:
    first_name = states.shared.create_property("firstName")
    turn = context()
    await states.conversation.create_property("orderCode").set(turn, "12345")
    await states.user.create_property("firstName").set(turn, "Ann")
    await first_name.at("test").set(turn, "Bob")
    await first_name.at("12345").set(turn, "Cas")
    for template, expected in {
        "{@session.orderCode}": "12345",
        "{@chat.firstName}": "Ann",
        "{@shared('test').firstName}": "Bob",
        "{@shared(@session.orderCode).firstName}": "Cas",
        "{@session.doesNotExist}": "",
    }.items():
        assert states.check_template(template) == []
        assert await states.render(turn, template) == expected


async def test_a_template_reads_the_activity(states: StateScopes) -> None:
    assert await states.render(context(message("hello")), "{@turn.text}") == "hello"


def test_a_template_is_checked_without_a_turn(states: StateScopes) -> None:
    states.scope("team")
    assert states.check_template("{@team.name} {@team('x').name}") == []
    problems = states.check_template("Hi {@usr.name}, {@shared.item}")
    assert [problem.position for problem in problems] == [4, 17]
    assert "usr" in problems[0].message
