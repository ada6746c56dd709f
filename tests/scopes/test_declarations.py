"""What a bot declares wrongly is refused where it is declared, and the text says what is right."""

from __future__ import annotations

from typing import Any

import pytest

from botstate_ext import StateKeyError
from tests.turns import StateScopes, UpstreamMemoryStorage


class Profile:
    pass


@pytest.mark.parametrize(
    ("options", "error", "advice"),
    [
        ({"merge": "apend"}, ValueError, "'fields', 'append' or a function"),
        ({"merge": True}, ValueError, "'fields', 'append' or a function"),
        ({"merge": "append", "trim": 10}, TypeError, "a function of a value, not int"),
        ({"trim": lambda value: value[-3:]}, ValueError, "give a merge too"),
        ({"type": Profile()}, TypeError, r"an instance of Profile .*: give the class"),
    ],
)
def test_a_wrong_option_of_a_property(
    options: dict[str, Any], error: type[Exception], advice: str
) -> None:
    with pytest.raises(error, match=advice):
        StateScopes(UpstreamMemoryStorage()).user.create_property("cart", **options)


def test_types_is_several_classes() -> None:
    with pytest.raises(TypeError, match=r"types=\[Profile\]"):
        StateScopes(UpstreamMemoryStorage(), types=Profile)  # type: ignore[arg-type]


def test_a_storage_that_was_not_called() -> None:
    with pytest.raises(TypeError, match="not the class MemoryStorage"):
        StateScopes(UpstreamMemoryStorage)


def test_an_empty_id_is_called_empty() -> None:
    with pytest.raises(StateKeyError, match="not an empty one"):
        StateScopes(UpstreamMemoryStorage()).shared.at("")
