"""Templates: the examples they come from, what is checked before a bot runs, what is rendered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from botstate_ext.errors import StateQueryError
from botstate_ext.templates.template import DocumentName, Template, TemplateNames, TemplateProblem

NAMES = TemplateNames()
DOCUMENTS: dict[DocumentName, dict[str, Any]] = {
    ("conversation", None): {"orderCode": "12345", "number": 12345, "flags": {"vip": True}},
    ("user", None): {
        "firstName": "Ann",
        "empty": "",
        "nothing": None,
        "age": 27,
        "ratio": 0.5,
        "active": True,
        "list": ["é", {"a": 1}],
        "first-name": "Anna",
        "template": "{@user.firstName}",
    },
    ("shared", "test"): {"firstName": "Bob", "item": "Funghi", "next": "12345"},
    ("shared", "12345"): {
        "firstName": "Cas",
        "item": "Margherita",
        "items": [{"name": "Margherita", "by": "Ann"}, {"name": "Funghi", "by": "Bob"}],
    },
    ("workflow", None): {"step": "bound"},
    ("workflow", "w1"): {"step": "named"},
}


class Documents:
    """Plays the storage: remembers what was asked for, a batch an entry."""

    def __init__(self, documents: Mapping[DocumentName, dict[str, Any]] = DOCUMENTS) -> None:
        self._documents = documents
        self.batches: list[dict[DocumentName, frozenset[str] | None]] = []

    async def documents(
        self, wanted: Mapping[DocumentName, frozenset[str] | None]
    ) -> Mapping[DocumentName, dict[str, Any]]:
        self.batches.append(dict(wanted))
        return {name: self._documents[name] for name in wanted if name in self._documents}


async def render(text: str, *, strict: bool = False, names: TemplateNames = NAMES) -> str:
    return await Template.parse(text).render(Documents(), names, strict=strict)


def problems(text: str, names: TemplateNames = NAMES) -> list[tuple[int, str]]:
    return [(one.position, one.message) for one in Template.parse(text).check(names)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{@session.orderCode}", "12345"),
        ("{@chat.firstName}", "Ann"),
        ("{@shared('test').firstName}", "Bob"),
        ("{@shared(@session.orderCode).firstName}", "Cas"),
        (
            "Hi {@chat.firstName}, your {@shared(@session.orderCode).item}",
            "Hi Ann, your Margherita",
        ),
    ],
)
async def test_the_examples_of_the_scripted_chatbot_word_for_word(text: str, expected: str) -> None:
    assert await render(text) == expected
    assert problems(text) == []


async def test_a_variable_that_does_not_exist_is_replaced_with_an_empty_text() -> None:
    assert await render("[{@session.missing}]") == "[]"
    assert await render("[{@shared('missing').firstName}]") == "[]"
    assert await render("[{@shared(@session.missing).firstName}]") == "[]"
    assert await render("[{@bot.missing}]") == "[]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{@user.firstName}", "Ann"),
        ("{@conversation.orderCode}", "12345"),
        ("{@workflow.step}/{@workflow('w1').step}", "bound/named"),
        ("{@shared(@session.orderCode).items[0].name}", "Margherita"),
        ("{@shared('12345').items[-1].name}", "Funghi"),
        ("{@shared('12345').items[2].name}", ""),
        ("{@user['first-name']}", "Anna"),
        ('{@user["first-name"]}', "Anna"),
        ("{@session.flags.vip}", "true"),
        ("{@session.flags['vip']}", "true"),
        ("{@session.flags.vip.more}", ""),
        ("{@shared(@session.number).item}", "Margherita"),
        ("{@shared(@shared('test').next).item}", "Margherita"),
        ("{@shared( @shared( 'test' ).next ).item }", "Margherita"),
        ("{@user[0]}", ""),
    ],
)
async def test_paths_indexes_and_identifiers(text: str, expected: str) -> None:
    assert await render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{@user.age}", "27"),
        ("{@user.ratio}", "0.5"),
        ("{@user.active}", "true"),
        ("{@user.nothing}", ""),
        ("{@user.empty}", ""),
        ("{@user.list}", '["é",{"a":1}]'),
        ("{@session.flags}", '{"vip":true}'),
    ],
)
async def test_strings_are_written_as_they_are_and_all_else_as_json(
    text: str, expected: str
) -> None:
    assert await render(text) == expected


async def test_a_scope_alone_is_its_whole_document() -> None:
    assert json.loads(await render("{@shared('test')}")) == DOCUMENTS["shared", "test"]
    documents = Documents()
    await Template.parse("{@user.age} {@user}").render(documents, NAMES)
    assert documents.batches == [{("user", None): None}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{@user.name|'there'}", "there"),
        ("{@user.name | 'there' }", "there"),
        ('{@user.name|"there"}', "there"),
        ("{@user.nothing|'there'}", "there"),
        ("{@user.firstName|'there'}", "Ann"),
        ("[{@user.empty|'there'}]", "[]"),
        ("[{@user.name|''}]", "[]"),
        (r"{@user.name|'it\'s {@user} \\ }'}", r"it's {@user} \ }"),
        ("{@shared(@session.missing).item|'none'}", "none"),
        ("{@shared(@user.empty).item|'none'}", "none"),
        ("{@shared(@user.active).item|'none'}", "none"),
        ("{@shared(@user.list).item|'none'}", "none"),
    ],
)
async def test_a_default_stands_in_for_what_is_missing(text: str, expected: str) -> None:
    assert await render(text) == expected
    assert await render(text, strict=True) == expected


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("{@user.name}", 0),
        ("Hi {@user.firstName} {@user.nothing}", 21),
        ("{@shared('missing').item}", 0),
        ("{@shared(@session.missing).item}", 0),
        ("{@shared(@user.active).item}", 0),
    ],
)
async def test_strict_raises_for_what_is_missing(text: str, position: int) -> None:
    with pytest.raises(StateQueryError, match=f"position {position}: .* has no value"):
        await render(text, strict=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("no placeholder: {name} @user {{x}} }{", "no placeholder: {name} @user {{x}} }{"),
        ("{{@user.firstName}", "{@user.firstName}"),
        ("{{@", "{@"),
        ("{{@{@user.firstName}}}", "{@Ann}}"),
        ("{{{@user.firstName}", "{{@user.firstName}"),
        ('{"name": "{@user.firstName}"}', '{"name": "Ann"}'),
        ("line\n{@user.firstName}\n", "line\nAnn\n"),
    ],
)
async def test_text_outside_of_placeholders_is_never_touched(text: str, expected: str) -> None:
    assert await render(text) == expected


async def test_a_value_is_never_read_as_a_template() -> None:
    assert await render("{@user.template}") == "{@user.firstName}"
    assert await render("{@user.template}{@user.template}") == "{@user.firstName}" * 2


async def test_documents_with_an_identifier_are_one_batch_for_each_level() -> None:
    documents = Documents()
    text = (
        "{@shared('test').item} {@chat.firstName} {@shared(@session.orderCode).item}"
        " {@shared(@shared('test').next).items} {@workflow('w1').step} {@user.age}"
    )
    await Template.parse(text).render(documents, NAMES)
    assert documents.batches == [
        {
            ("user", None): frozenset({"firstName", "age"}),
            ("conversation", None): frozenset({"orderCode"}),
        },
        {
            ("shared", "test"): frozenset({"item", "next"}),
            ("shared", "12345"): frozenset({"item"}),
            ("workflow", "w1"): frozenset({"step"}),
        },
        {("shared", "12345"): frozenset({"items"})},
    ]


async def test_a_template_without_placeholders_asks_for_nothing() -> None:
    documents = Documents()
    await Template.parse("Hi {{@user.name}").render(documents, NAMES)
    assert documents.batches == []


async def test_aliases_are_added_and_own_scopes_go_before_them() -> None:
    team = TemplateNames({"team": "never", "chat": "never"}, {"order": "shared", "session": "bot"})
    documents = Documents(
        {
            ("team", None): {"name": "t"},
            ("chat", None): {"name": "c"},
            ("shared", "1"): {"name": "s"},
            ("bot", None): {"name": "b"},
        }
    )
    text = "{@team.name}{@chat.name}{@order('1').name}{@session.name}"
    assert await Template.parse(text).render(documents, team) == "tcsb"


def test_an_alias_is_for_a_scope_that_exists() -> None:
    with pytest.raises(StateQueryError, match="'order' is for 'orders', which is no scope"):
        TemplateNames(aliases={"order": "orders"})


@pytest.mark.parametrize("alias", ["user", "turn", "", "my order", "a.b", "1st"])
def test_an_alias_that_a_template_could_not_mean_is_refused(alias: str) -> None:
    with pytest.raises(StateQueryError, match="another name"):
        TemplateNames(aliases={alias: "shared"})


async def test_a_scope_may_have_a_hyphen_in_its_name() -> None:
    names = TemplateNames({"my-team": "never"}, {"our-order": "shared"})
    assert await render("{@our-order('test').item}{@my-team.name}", names=names) == "Funghi"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi {@usr.name}", [(4, "'usr' is no scope; these are: user, conversation, ")]),
        ("{@shared(@sesion.code).item}", [(9, "'sesion' is no scope")]),
        ("{@shared.item}", [(1, "'shared' needs an identifier: {@shared('id')}")]),
        ("{@chat('1').item}", [(1, "'chat' takes no identifier")]),
        ("{@user.name", [(11, "expected '}'")]),
        ("{@user.name {@user.age}", [(12, "expected '}'")]),
        ("{@user.na-me}", [(9, "expected '}'")]),
        ("{@}", [(2, "expected the name of a scope")]),
        ("{@ user.name}", [(2, "expected the name of a scope")]),
        ("{@user.}", [(7, "expected a name")]),
        ("{@user..name}", [(7, "expected a name")]),
        ("{@user.0}", [(7, "expected a name")]),
        ("{@user[]}", [(7, "expected an index or a quoted name")]),
        ("{@user[*]}", [(7, "expected an index or a quoted name")]),
        ("{@user[01]}", [(8, "expected ']'")]),
        ("{@user['a}", [(7, "expected an index or a quoted name")]),
        ("{@shared(12345).item}", [(9, "expected an identifier: 'in quotes'")]),
        ("{@shared('1'.item}", [(12, "expected ')'")]),
        ("{@shared(@session.code|'x').item}", [(22, "expected ')'")]),
        ("{@user.name|there}", [(12, "expected a default in quotes")]),
        ("{@user.name|'there}", [(12, "expected a default in quotes")]),
        ("{@user.name|'a' 'b'}", [(16, "expected '}'")]),
        (
            "{@a.b} {@user.} {@user.name} {@shared.x",
            [
                (1, "'a' is no scope"),
                (15 - 1, "expected a name"),
                (39, "expected '}'"),
            ],
        ),
    ],
)
async def test_a_check_finds_what_is_wrong_and_where(
    text: str, expected: list[tuple[int, str]]
) -> None:
    found = problems(text)
    assert [position for position, _ in found] == [position for position, _ in expected]
    for (_, message), (_, start) in zip(found, expected, strict=True):
        assert message.startswith(start)
    with pytest.raises(StateQueryError, match=f"position {expected[0][0]}: "):
        await render(text)


def test_a_problem_is_a_value() -> None:
    found = Template.parse("{@user.name").check(NAMES)
    assert found == [TemplateProblem(position=11, message="expected '}'")]


async def test_limits_are_problems_that_a_check_names() -> None:
    long = "a" * 100_001
    many = "{@user.age}" * 501
    deep = "{" + "@shared(" * 9 + "'a'" + ").b" * 9 + "}"
    assert [message for _, message in problems(long)] == [
        "the template is over the limit on length: 100,000 characters"
    ]
    assert [message for _, message in problems(many)] == [
        "the template is over the limit on placeholders: 500"
    ]
    assert [message for _, message in problems(deep)] == [
        "the template is over the limit on nesting: 8 references"
    ]
    for text in (long, many, deep):
        with pytest.raises(StateQueryError, match="over the limit"):
            await render(text)
    assert await render("{@user.age}" * 500) == "27" * 500
    assert await render("{" + "@shared(" * 8 + "'a'" + ").b" * 8 + "}") == ""


async def test_a_thousand_unclosed_quotes_are_read_in_time() -> None:
    assert len(problems("{@user['" * 12_500)) == 501


async def test_the_result_has_a_limit() -> None:
    documents = Documents({("user", None): {"a": "x" * 500_000}})
    assert len(await Template.parse("{@user.a}{@user.a}").render(documents, NAMES)) == 1_000_000
    with pytest.raises(StateQueryError, match="over the limit on length: 1,000,000"):
        await Template.parse("{@user.a}{@user.a}.").render(documents, NAMES)


async def test_what_json_cannot_write_is_a_typed_error_without_the_value() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    for value in (nested, {"secret"}):
        documents = Documents({("user", None): {"a": value}})
        with pytest.raises(StateQueryError, match="cannot be written as JSON") as caught:
            await Template.parse("{@user.a}").render(documents, NAMES)
        assert "secret" not in str(caught.value)
