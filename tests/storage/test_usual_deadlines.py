"""The deadlines that storages have by default."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import patience

# Teams delivers an activity again after 15 s.
IN_TIME = timedelta(seconds=15)

# After a whole deadline without an answer, the error handler of the turn fails at once.
FAIL_FAST = {"BlobStorage", "PostgresStorage", "RedisStorage", "CosmosStorage"}


@pytest.mark.parametrize("name", patience.STORAGES)
def test_a_turn_and_its_error_handler_fail_in_time(name: str) -> None:
    if name not in patience.USUAL:
        pytest.skip("its driver is not installed")
    waits = 1 if name in FAIL_FAST else 2
    assert waits * patience.USUAL[name] < IN_TIME
