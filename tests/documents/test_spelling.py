"""Texts that say the same in another spelling: reading them is no change and no write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstate_ext.serialization import json_text
from botstate_ext.storage import MemoryStorage
from botstate_ext.testing import CountingStorage
from tests.backends import body, read_all
from tests.turns import Bot, StateMiddleware, StateScopes, TurnContext, context

KEY = "test/users/user"
OTHERS = {
    "spaces": {"x": [1, 2], "y": {"z": None}},
    "escapes": "caf\u00e9",
    "a list of two": [1, 2],
    "one large number": 1e16,
    "one small number": 1e-07,
    "a tuple": {"py/tuple": [1, {"py/tuple": ["a"]}]},
    "a set": {"py/set": ["a"]},
    "long text, with commas: and colons": ["a, b", "c: d", 'e"', "\\u00e9"],
}


@pytest.mark.parametrize("mode", ["merge", "raise", "last_writer_wins"])
@pytest.mark.parametrize("value", OTHERS.values(), ids=OTHERS)
async def test_reading_what_upstream_spelled_beside_ours_writes_nothing(
    value: Any, mode: Any
) -> None:
    memory = MemoryStorage()
    await memory.put_if(KEY, json.dumps({"theirs": value, "ours": 0}).encode(), etag=None)
    counting = CountingStorage(memory)
    states = StateScopes(counting)
    bot = Bot(StateMiddleware(states, on_conflict=mode))
    theirs, ours = states.user.create_property("theirs"), states.user.create_property("ours")
    await bot.turn(lambda turn: ours.set(turn, 1))  # from here on, $state says that we wrote it
    assert json.dumps(value).encode() in (await body(memory, KEY) or b""), "it was copied as it is"
    before = counting.operations["put"]

    async def only_reads(turn: TurnContext) -> None:
        await theirs.get(turn)
        other = context()
        await theirs.set(other, "newer")
        await states.user.save_changes(other)

    await bot.turn(lambda turn: theirs.get(turn))
    assert counting.operations["put"] == before
    await bot.turn(only_reads)
    assert counting.operations["put"] == before + 1, "the other turn's, and no more"
    assert await read_all(states.user) == {"theirs": "newer", "ours": 1}


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
SPELLINGS = [
    {},
    {"separators": (",", ":")},
    {"ensure_ascii": False},
    {"separators": (",", ":"), "ensure_ascii": False},
    {"indent": 1},
]


@given(anything, st.sampled_from(SPELLINGS))
def test_own_spelling_is_never_claimed_of_another(value: Any, spelling: dict[str, Any]) -> None:
    text = json.dumps(value, **spelling).encode("utf-8", "surrogatepass")
    if json_text.is_own_spelling(text):
        assert json_text.dumps(json_text.loads(text)) == text


@given(st.lists(st.integers() | st.text("abc, :{}é", max_size=9), max_size=3))
def test_own_spelling_is_known_of_usual_values(value: Any) -> None:
    assert json_text.is_own_spelling(json_text.dumps(value))
    assert json_text.is_own_spelling(json_text.dumps({"name": value, "b": {"c": value}}))
