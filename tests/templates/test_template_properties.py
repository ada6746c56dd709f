"""Whatever the template and the value: a text or the typed error, and no value is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.errors import StateQueryError
from botstate_ext.templates.template import DocumentName, Template, TemplateNames

NAMES = TemplateNames()

placeholders = st.sampled_from(
    [
        "{@user.a}",
        "{@chat.b|'x'}",
        "{@shared('1').a}",
        "{@shared(@session.a).b}",
        "{@shared(@shared('1').a).b[0]}",
        "{@workflow['b']}",
        "{@turn.a}",
        "{{@user.a}",
    ]
)
fragments = st.sampled_from([*"{}@.|'\"()[]\\ab1 \n", "{@", "{{@", "user", "shared(", "@session.a"])
templates = st.lists(placeholders | fragments | st.text(max_size=3), max_size=12).map("".join)
texts = st.lists(placeholders | fragments, max_size=4).map("".join)
values = st.recursive(
    texts | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)
documents = st.fixed_dictionaries({}, optional={"a": values, "b": values})


class OneDocument:
    """Every document holds the same."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    async def documents(
        self, wanted: Mapping[DocumentName, frozenset[str] | None]
    ) -> Mapping[DocumentName, dict[str, Any]]:
        return dict.fromkeys(wanted, self._document)


@given(templates, documents, st.booleans())
async def test_any_template_renders_or_raises_the_typed_error(
    text: str, document: dict[str, Any], strict: bool
) -> None:
    template = Template.parse(text)
    problems = template.check(NAMES)
    try:
        rendered = await template.render(OneDocument(document), NAMES, strict=strict)
    except StateQueryError:
        assert problems or strict
    else:
        assert isinstance(rendered, str)
        assert not problems


@given(templates)
def test_a_check_never_raises_and_its_positions_are_in_the_text(text: str) -> None:
    positions = [problem.position for problem in Template.parse(text).check(NAMES)]
    assert positions == sorted(positions)
    assert all(0 <= position <= len(text) for position in positions)


@given(texts, texts)
async def test_a_stored_value_is_written_as_it_is(before: str, value: str) -> None:
    # What stands before is made literal, so only the last placeholder is one.
    literal = before.replace("{@", "{{@").rstrip("{")
    template = Template.parse(literal + " {@user.a}")
    rendered = await template.render(OneDocument({"a": value}), NAMES)
    assert rendered.endswith(f" {value}")


@given(st.text(alphabet="{}@a.'|( \\", max_size=30))
async def test_a_text_without_an_opening_comes_back_unchanged(text: str) -> None:
    plain = text.replace("{@", "{ @")
    assert await Template.parse(plain).render(OneDocument({}), NAMES) == plain
