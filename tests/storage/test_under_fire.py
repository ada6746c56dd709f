"""Processes append to one order while requests and answers are lost, late, refused and forged."""

from __future__ import annotations

import pytest

from benchmarks.under_fire import MANY, append_under_fire
from tests.storage.front import Chances

pytestmark = pytest.mark.blob

# A forged or shortened answer to a write ends its operation at once, for nobody can know.
FAULTS = [
    Chances(lost=0.03, late=0.02, delayed=0.02, reset=0.03, half_closed=0.03, seed=1),
    Chances(lost=0.05, storm=0.02, shortened=0.03, forged=0.03, seed=2),
]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["update", "merge", "replay", "lease"])
@pytest.mark.parametrize("chances", FAULTS, ids=["network", "proxies"])
async def test_what_is_acknowledged_is_stored_exactly_once(
    azurite_endpoint: str, way: str, chances: Chances
) -> None:
    result = await append_under_fire(way, azurite_endpoint, chances, processes=4, turns=5)
    assert result.faults > 0
    assert result.lost == set()
    assert result.twice == set()
    # Every failure is ours, and says whether the write may have been made.
    assert set(result.failures) <= {"StateStorageError", "StateStorageError, maybe written"}
    assert result.not_asked_for == set()
    assert result.denied == set(), "said not to be written, and is there"


@pytest.mark.parametrize(
    ("way", "turns"),
    [
        ("merge", 1),
        *(pytest.param(way, 5, marks=pytest.mark.slow) for way in ("update", "merge", "replay")),
    ],
)
async def test_more_writers_than_a_document_names(
    azurite_endpoint: str, way: str, turns: int
) -> None:
    """A write that got no answer may have so many others after it that its name is gone."""
    result = await append_under_fire(
        way, azurite_endpoint, MANY, processes=2, turns=turns, writers=10
    )
    assert result.faults > 0
    assert len(result.acknowledged) + len(result.failed) == 20 * turns
    assert (result.lost, result.twice, result.denied) == (set(), set(), set())
