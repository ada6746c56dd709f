"""Sweeps, erasures, exports, migrations and held replies while answers are lost, late, cut, refused
and forged."""

from __future__ import annotations

import pytest

from benchmarks import jobs_under_fire
from benchmarks.jobs_under_fire import CHANCES, JOBS
from tests.storage.front import Chances

pytestmark = pytest.mark.blob

# Without late answers, each of which takes two seconds.
SHORT = Chances(
    lost=0.05, reset=0.05, half_closed=0.05, storm=0.01, shortened=0.05, forged=0.05, walled=0.25,
    seed=1,
)  # fmt: skip
LOSSY = Chances(lost=0.2, reset=0.05, half_closed=0.1, seed=1)
TURNS = ("held replies", "replay")


async def check(name: str, endpoint: str, chances: Chances, count: int) -> None:
    result = await jobs_under_fire.run(name, endpoint, chances, count)
    assert result.wrong == []
    assert result.injected.total() > 0


@pytest.mark.parametrize("name", JOBS)
async def test_a_job_is_done_in_the_end_and_right(azurite_endpoint: str, name: str) -> None:
    await check(name, azurite_endpoint, LOSSY if name in TURNS else SHORT, 12)


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
async def test_a_long_job_is_done_in_the_end_and_right(azurite_endpoint: str, name: str) -> None:
    await check(name, azurite_endpoint, CHANCES, 24)
