"""Through real scopes: any template, whatever is stored, gives a text or a typed error, and no
stored value is ever evaluated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext import StateError, StateQueryError
from botstate_ext.storage import MemoryStorage
from tests.turns import StateScopes, context, message

SECRET = "the secret"

references = st.recursive(
    st.sampled_from(["@user.a", "@chat.a", "@session.b", "@bot.secret", "@turn.text", "@private"]),
    lambda inner: inner.map("@shared({}).a".format) | inner.map("@workflow( {} )['b']".format),
    max_leaves=3,
)
placeholders = references.map("{{{}}}".format) | references.map("{{{}|'none'}}".format)
scraps = st.sampled_from([*"{}@.|'\"()[]\\a1 \n", "{@", "{{@", "shared('", "\ud800"])
texts = st.lists(placeholders | scraps | st.text(max_size=3), max_size=8).map("".join)
names = placeholders | st.sampled_from(["a", "b", "secret"])
values = st.recursive(
    texts | st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)


async def remember(a: Any, b: Any, *, ids: tuple[str, ...] = ()) -> StateScopes:
    states = StateScopes(MemoryStorage())
    turn = context()
    await states.bot.create_property("secret").set(turn, SECRET)
    for scope in (states.user, states.conversation, *(states.shared.at(one) for one in ids)):
        await scope.create_property("a").set(turn, a)
        await scope.create_property("b").set(turn, b)
        await scope.save_changes(turn)
    await states.bot.save_changes(turn)
    return states


@given(texts, values, values, st.booleans())
async def test_any_template_renders_or_raises_a_typed_error(
    template: str, a: Any, b: Any, strict: bool
) -> None:
    states = await remember(a, b)
    turn = context(message("{@bot.secret}"))
    problems = states.check_template(template)
    try:
        rendered = await states.render(turn, template, strict=strict)
    except StateQueryError:
        assert problems or strict
    except StateError as error:
        # An identifier that is read from a value may be none that a storage takes.
        pytest.fail(f"{type(error).__name__} for {template!r}")
    else:
        assert not problems
        assert isinstance(rendered, str)


@given(values)
async def test_no_stored_value_is_evaluated(value: Any) -> None:
    states = await remember(value, value, ids=("1",))
    turn = context(message("{@bot.secret}"))
    everything = "{@user}{@session.a}{@shared('1').b}{@turn.text}{@user.a|'{@bot.secret}'}"
    assert SECRET not in await states.render(turn, everything)
    assert SECRET in await states.render(turn, "{@bot.secret}")


@given(texts)
async def test_a_stored_text_is_written_as_it_is(value: str) -> None:
    states = await remember(value, None)
    turn = context()
    assert await states.render(turn, "{@user.a}") == value
    await states.user.create_property("a").set(turn, value + "!")
    assert await states.render(turn, "<{@user.a}>") == f"<{value}!>"
